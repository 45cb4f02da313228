"""Who makes a call: with this server's own API key, or the one that its HTTP caller sends, and from where."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Self

from mcp.server.mcpserver.exceptions import ToolError

from memory_grpc.addresses import parsed
from memory_grpc.client import AsyncMemoryClient
from memory_grpc.client.channel import key_metadata, open_channel_aio

_BEARER = "bearer "


@dataclass(frozen=True, slots=True)
class Caller:
    """Who makes a call; the address of one that came by HTTP."""

    key: str | None = field(default=None, repr=False)
    address: str | None = None


class KeyedClient(AsyncMemoryClient):
    """A client whose connection serves callers with different keys."""

    _user_agent = "memory-grpc-mcp"

    def of(self, caller: Caller) -> Self:
        """The same client for another caller. Raises ValueError where no header can carry the key.

        The service counts callers by their addresses, where it trusts this server to name them: otherwise one
        would use up the rate limit of all.
        """
        metadata = key_metadata(caller.key)
        if caller.address is not None:
            metadata += (("x-forwarded-for", caller.address),)
        if self._channel is None:  # opened by this one, and closed by it
            self._channel = open_channel_aio(self._endpoint, self._options, self._credentials)
        other = copy.copy(self)
        other._metadata = metadata
        return other


@dataclass(frozen=True, slots=True)
class Callers:
    """Who makes each call.

    ``by_header`` is of HTTP, where a caller brings its own key. One that brings none has ``own_key`` only if it is
    ``lent``: otherwise it has none, and the service decides.
    """

    client: KeyedClient
    own_key: str | None = field(default=None, repr=False)
    by_header: bool = False
    lent: bool = False

    def of(self, headers: Mapping[str, str] | None, host: str | None) -> Caller:
        """The caller of a call that came with these headers, from this host."""
        if not self.by_header:
            return Caller(self.own_key)
        return Caller(_sent(headers or {}) or (self.own_key if self.lent else None), _address(host))

    def client_of(self, caller: Caller) -> KeyedClient:
        """A client with its key. Raises ToolError where it cannot be one."""
        try:
            return self.client.of(caller)
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


def _address(host: str | None) -> str | None:
    """An address, without the scope of one, which may be any text; what a proxy wrote in its place is none."""
    address = parsed(host or "")
    return None if address is None else str(address)
