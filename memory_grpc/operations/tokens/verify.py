"""Tokens: who shows a JWT (RFC 7519), and what they may do.

The algorithm is that of the key, and never what the token says: a public key is no secret that an HMAC could be made
with, and ``none`` is no key's. A token is refused in one way, whatever is wrong with it; the log says what
kind of fault it was.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jwt
import structlog
from cachetools import TTLCache

from memory_grpc.access import Grant
from memory_grpc.errors import IdentityUnavailable
from memory_grpc.operations.tokens.claims import ClaimNames, UnfitClaim, grant_of
from memory_grpc.operations.tokens.published_keys import PublishedKeys

log = structlog.get_logger(__name__)

MOST_CHARACTERS = 8192
LEEWAY_SECONDS = 30.0
# Each message of a stream asks again. A token that was checked is not checked again for so long.
_CACHE_SECONDS = 5.0
_CACHE_ENTRIES = 1_000


@dataclass(frozen=True, slots=True)
class Expected:
    """What a token must say; no issuer is any."""

    issuer: str
    audiences: Sequence[str]
    names: ClaimNames


class Tokens:
    """``clock`` is the time of day in seconds, which tokens are dated by; ``now`` a monotonic one."""

    def __init__(
        self, keys: PublishedKeys, expected: Expected, clock: Callable[[], float], now: Callable[[], float]
    ) -> None:
        self._keys = keys
        self._expected = expected
        self._clock = clock
        self._checked: TTLCache[bytes, tuple[int, float, Grant]] = TTLCache(_CACHE_ENTRIES, _CACHE_SECONDS, timer=now)

    def find(self, token: str) -> Grant | None:
        """The grant of a token that holds; None for any other. Raises IdentityUnavailable."""
        if len(token) > MOST_CHARACTERS:
            return self._refused("too_long")
        self._keys.check()
        digest = hashlib.sha256(token.encode(errors="replace")).digest()
        edition, ends_at, grant = self._checked.get(digest, (-1, 0.0, None))
        if grant is not None and edition == self._keys.edition and self._clock() < ends_at:
            return grant
        try:
            claims = self._claims(token)
            grant = grant_of(claims, self._expected.names)
            self._checked[digest] = (self._keys.edition, _moment(claims, "exp") + LEEWAY_SECONDS, grant)
        except IdentityUnavailable:
            raise
        except UnfitClaim as error:
            return self._refused(f"claim_{error}")
        except Exception as error:  # whatever a stranger's token makes a library raise, it is the token that is wrong
            return self._refused(type(error).__name__)
        return grant

    def _refused(self, kind: str) -> Grant | None:
        log.info("token_refused", kind=kind)
        return None

    def _claims(self, token: str) -> dict[str, Any]:
        header = jwt.get_unverified_header(token)
        if "crit" in header:  # extensions that must be understood, of which none is
            raise jwt.InvalidTokenError
        key_id = header.get("kid")
        key = self._keys.find(key_id) if isinstance(key_id, str) else None
        if key is None:
            raise jwt.InvalidKeyError
        claims: dict[str, Any] = jwt.decode(
            token,
            key.key,
            algorithms=[key.algorithm],
            audience=self._expected.audiences,
            issuer=self._expected.issuer or None,
            options={"require": ["exp", "aud", "sub"], "verify_exp": False, "verify_nbf": False, "verify_iat": False},
        )
        self._check_times(claims)
        return claims

    def _check_times(self, claims: dict[str, Any]) -> None:
        """By our clock, which tests set."""
        now = self._clock()
        if _moment(claims, "exp") + LEEWAY_SECONDS <= now:
            raise jwt.ExpiredSignatureError
        for name in ("nbf", "iat"):
            if name in claims and _moment(claims, name) - LEEWAY_SECONDS > now:
                raise jwt.ImmatureSignatureError


def _moment(claims: dict[str, Any], name: str) -> float:
    value = claims[name]
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise UnfitClaim(name)
    return float(value)
