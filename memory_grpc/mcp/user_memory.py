"""The memory that the tools have: that of one user of one tenant, whatever a tool is asked for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypedDict

from mcp.server.mcpserver.exceptions import ToolError

from memory_grpc.client import AsyncMemoryClient, types
from memory_grpc.mcp.failures import NO_MEMORY, answered


@dataclass(frozen=True, slots=True)
class Scope:
    """Whose memory it is; ``conversation_id`` is where memories go that no conversation is named for."""

    tenant_id: str
    user_id: str
    conversation_id: str


class User(TypedDict):
    """Arguments that every call over many messages has."""

    tenant_id: str
    user_id: str


@dataclass(frozen=True, slots=True)
class UserMemory:
    """What a call works on. Every tool passes ``user`` on, or finds a message by ``message``.

    ``key`` is the caller's, ``signing_key`` the server's own, where it has one.
    """

    scope: Scope
    client: AsyncMemoryClient
    key: str | None = field(repr=False)
    signing_key: str | None = field(default=None, repr=False)

    @property
    def user(self) -> User:
        """The tenant and the user, as arguments of the client."""
        return {"tenant_id": self.scope.tenant_id, "user_id": self.scope.user_id}

    async def message(self, memory_id: str) -> types.Message:
        """A message of this user's. Raises ToolError when there is none: somebody else's is not there either."""
        message = await answered(self.client.get_message(message_id=memory_id, tenant_id=self.scope.tenant_id))
        if message.user_id != self.scope.user_id:
            raise ToolError(NO_MEMORY)
        return message


CurrentMemory = Callable[[], UserMemory]
"""Gives the memory for the call under way, with its caller's key."""
