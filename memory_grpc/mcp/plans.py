"""The ids of plans to forget: which plan it is, and a digest of whose it is, so that only its caller applies it.

The digest is signed with the server's own key where it has one that the service made; what a caller knows is not enough
to make one then, and the caller may be named by what stays when its token is renewed. A key that somebody chose could
be guessed with the help of a plan's id: with such a key, or without any, it is signed with the caller's own key or
token, and a renewed token has no plans.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json

from memory_grpc.mcp.user_memory import UserMemory


def plan_id(memory: UserMemory, kind: str, id_: str, *more: str) -> str:
    """The id of a plan of this memory's caller."""
    caller = _caller(memory.key or "")
    whose = json.dumps([kind, id_, memory.scope.tenant_id, memory.scope.user_id, caller, *more]).encode()
    own = memory.signing_key if (memory.signing_key or "").startswith("mk_") else None
    digest = hmac.new((own or memory.key or "").encode(), whose, hashlib.sha256).hexdigest()[:32]
    return f"{kind}.{id_}.{digest}"


def _caller(key: str) -> list[str]:
    """The issuer and the subject of a token, and otherwise the key.

    The token is not verified here: the service does so in the call that applies the plan, before anything is erased.
    """
    try:
        _, payload, _ = key.split(".")
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        issuer, subject = claims["iss"], claims["sub"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return ["key", key]
    return ["token", issuer, subject] if isinstance(issuer, str) and isinstance(subject, str) else ["key", key]
