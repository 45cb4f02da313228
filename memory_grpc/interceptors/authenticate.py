"""x-api-key: keys are compared as SHA-256 digests, in constant time, all of them, with no early exit."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from pydantic import SecretStr

from memory_grpc.errors import Unauthenticated
from memory_grpc.interceptors.call import Call, is_open

HEADER = "x-api-key"
_HEALTH_SYMBOL = "grpc.health.v1."
_HEALTH_FILE = "grpc_health/"


class Authenticate:
    """Lets calls in that carry one of the keys; without keys, all of them."""

    def __init__(self, keys: Sequence[SecretStr]) -> None:
        self._digests = [_digest(key.get_secret_value()) for key in keys]

    @asynccontextmanager
    async def interceptor(self, call: Call) -> AsyncIterator[None]:
        """Raises Unauthenticated; notes on the call whether it carried a valid key."""
        call.authenticated = not self._digests or self._is_known(call.metadata.get(HEADER, ""))
        if not call.authenticated and not is_open(call):
            raise Unauthenticated
        yield

    def _is_known(self, key: str) -> bool:
        digest = _digest(key)
        found = False
        for known in self._digests:
            found |= hmac.compare_digest(digest, known)
        return found


async def guard_reflection(call: Call, requests: AsyncIterator[Any]) -> AsyncIterator[Any]:
    """Passes a reflection stream on; without a key only what probes need, the health service's own descriptor."""
    async for request in requests:
        if not call.authenticated and not _asks_for_health(request):
            raise Unauthenticated
        yield request


def _asks_for_health(request: Any) -> bool:
    symbol, file = request.file_containing_symbol, request.file_by_filename
    return bool(symbol.startswith(_HEALTH_SYMBOL) or file.startswith(_HEALTH_FILE))


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()
