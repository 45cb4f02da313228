"""x-api-key, or a token in authorization: who calls.

Keys are compared as SHA-256 digests, in constant time, all of them, with no early exit. Those of MEMORY_API_KEYS are
admin keys for all tenants and need no database. Others, ``mk_…``, were made by CreateApiKey and are looked up. Calls
need a key once there is one of either kind; a made key that is shown is checked even before that.

A token (``authorization: Bearer …``) counts where the settings say whose are believed, and no key is shown. Where they
do, every call needs a key or a token.
"""

from __future__ import annotations

import hmac
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, Protocol

from pydantic import SecretStr

from memory_grpc import access
from memory_grpc.access import ANONYMOUS, EVERYTHING, Grant
from memory_grpc.errors import Unauthenticated
from memory_grpc.interceptors.call import Call

HEADER = "x-api-key"
_AUTHORIZATION = "authorization"
_HEALTH_SYMBOL = "grpc.health.v1."
_HEALTH_FILE = "grpc_health/"


class MadeKeys(Protocol):
    """The keys that were made. Both raise StoreUnavailable."""

    async def find(self, key: str) -> Grant | None:
        """The grant of a key that holds."""

    async def is_needed(self) -> bool:
        """Whether there are any, so that calls need one."""


class Tokens(Protocol):
    """The tokens of an identity provider."""

    def find(self, token: str) -> Grant | None:
        """The grant of a token that holds. Raises IdentityUnavailable."""


class Authenticate:
    """Lets calls in that carry a key or a token; where there are neither, all of them."""

    def __init__(self, keys: Sequence[SecretStr], made: Callable[[], MadeKeys], tokens: Tokens | None = None) -> None:
        self._known = [
            (access.digest(key.get_secret_value()), replace(EVERYTHING, actor=f"setting:{number}"))
            for number, key in enumerate(keys, 1)
        ]
        self._made = made
        self._tokens = tokens

    @asynccontextmanager
    async def interceptor(self, call: Call) -> AsyncIterator[None]:
        """Raises Unauthenticated, StoreUnavailable or IdentityUnavailable; notes on the call what it is granted."""
        call.grant = await self._grant_of(call)
        if call.grant is None and not call.is_open:
            raise Unauthenticated
        if call.grant is not None:
            access.enter(call.grant)
        yield

    async def again(self, call: Call) -> None:
        """For streams, which outlive what was found out when they began. Raises as ``interceptor``."""
        call.grant = await self._grant_of(call)
        if call.grant is None and not call.is_open:
            raise Unauthenticated

    async def _grant_of(self, call: Call) -> Grant | None:
        key = call.metadata.get(HEADER, "")
        if (configured := self._configured(key)) is not None:
            return configured
        if call.is_open and not call.is_reflection:
            # Probes and health say how the database is; they do not wait for it.
            return None
        if key.startswith(access.MARK):
            return await self._made().find(key)
        if not key and self._tokens is not None and (token := _bearer(call.metadata.get(_AUTHORIZATION, ""))):
            return self._tokens.find(token)
        if self._known or self._tokens is not None or await self._made().is_needed():
            return None
        return ANONYMOUS

    def _configured(self, key: str) -> Grant | None:
        digest = access.digest(key)
        found: Grant | None = None
        for known, grant in self._known:
            if hmac.compare_digest(digest, known):
                found = grant
        return found


def shown(metadata: Mapping[str, str]) -> str:
    """What a caller shows to say who calls, whether it holds or not: a key, or what stands in its place."""
    return metadata.get(HEADER) or metadata.get(_AUTHORIZATION, "")


def _bearer(header: str) -> str:
    """The token of an authorization header; nothing where it has none."""
    scheme, _, token = header.partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


async def guard_reflection(call: Call, requests: AsyncIterator[Any]) -> AsyncIterator[Any]:
    """Passes a reflection stream on; without a key only what probes need, the health service's own descriptor."""
    async for request in requests:
        if call.grant is None and not _asks_for_health(request):
            raise Unauthenticated
        yield request


def _asks_for_health(request: Any) -> bool:
    symbol, file = request.file_containing_symbol, request.file_by_filename
    return bool(symbol.startswith(_HEALTH_SYMBOL) or file.startswith(_HEALTH_FILE))
