"""Whose API key a call is made with: this server's own, or the one that its HTTP caller sends."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from mcp.server.mcpserver.exceptions import ToolError

from memory_grpc.client import AsyncMemoryClient
from memory_grpc.client.channel import key_metadata, open_channel_aio

_BEARER = "bearer "


class KeyedClient(AsyncMemoryClient):
    """A client whose connection serves callers with different keys."""

    _user_agent = "memory-grpc-mcp"

    def with_key(self, api_key: str | None) -> Self:
        """The same client with another key, or with none. Raises ValueError where no header can carry it."""
        metadata = key_metadata(api_key)
        if self._channel is None:  # opened by this one, and closed by it
            self._channel = open_channel_aio(self._endpoint, self._options, self._credentials)
        other = copy.copy(self)
        other._metadata = metadata
        return other


@dataclass(frozen=True, slots=True)
class Callers:
    """Which key each call has.

    ``by_header`` is of HTTP, where a caller brings its own key. One that brings none has ``own_key`` only if it is
    ``lent``: otherwise it has none, and the service decides.
    """

    client: KeyedClient
    own_key: str | None = field(default=None, repr=False)
    by_header: bool = False
    lent: bool = False

    def key(self, headers: Mapping[str, str] | None) -> str | None:
        """The key of a call that came with these headers."""
        if not self.by_header:
            return self.own_key
        return _sent(headers or {}) or (self.own_key if self.lent else None)

    def client_of(self, key: str | None) -> KeyedClient:
        """A client with this key. Raises ToolError where it cannot be one."""
        try:
            return self.client.with_key(key)
        except ValueError:
            raise ToolError("The API key contains characters that a header cannot carry.") from None


def _sent(headers: Mapping[str, str]) -> str | None:
    """``x-api-key``, or what ``authorization`` bears."""
    if key := headers.get("x-api-key", "").strip():
        return key
    authorization = headers.get("authorization", "")
    if authorization.lower().startswith(_BEARER):
        return authorization[len(_BEARER) :].strip() or None
    return None
