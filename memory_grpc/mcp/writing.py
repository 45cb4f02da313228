"""The tools that store and change."""

from __future__ import annotations

from typing import Annotated, Any

from mcp.server.mcpserver.exceptions import ToolError
from pydantic import Field

from memory_grpc.client import types
from memory_grpc.mcp import arguments as a
from memory_grpc.mcp.failures import answered
from memory_grpc.mcp.shapes import Added, Memory
from memory_grpc.mcp.user_memory import CurrentMemory


class Writing:
    """Each method is a tool; its docstring is what the model reads."""

    def __init__(self, current: CurrentMemory) -> None:
        self._current = current

    async def add_memories(self, memories: a.NewMemories, conversation_id: a.Into = None) -> Added:
        """Remember something of the user for later conversations: facts, preferences, plans, decisions. All of them are
        stored, or none. What was stored in the same words within the hour is not stored twice. Send more than about
        half a million characters in several calls."""
        memory = self._current()
        stored = await answered(
            memory.client.batch_ingest_messages(
                messages=[
                    types.IngestMessageRequest(
                        conversation_id=conversation_id or memory.scope.conversation_id,
                        role=one.role,
                        content=one.content,
                        name=one.name,
                        created_at=one.created_at,
                        importance_override=one.importance,
                        pinned=one.pinned,
                        metadata=one.metadata or {},
                        on_duplicate="return_existing",
                        **memory.user,
                    )
                    for one in memories
                ]
            )
        )
        return Added(memories=[Memory.of(one) for one in stored.messages])

    async def update_memory(
        self,
        memory_id: a.MemoryId,
        content: a.NewContent = None,
        importance: a.Importance = None,
        pinned: Annotated[bool | None, Field(description="Whether it is never archived.")] = None,
        metadata: a.Metadata = None,
    ) -> Memory:
        """Correct a memory; what is not given stays. What it said before is kept as a revision."""
        memory = self._current()
        given = {"content": content, "importance_override": importance, "pinned": pinned, "metadata": metadata}
        changes: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
        if not changes:
            raise ToolError("An argument is missing: say what to change.")
        seen = await memory.message(memory_id)
        # The etag: what was looked at is what is changed.
        changed = await answered(
            memory.client.update_message(
                message_id=memory_id, tenant_id=seen.tenant_id, update_mask=list(changes), etag=seen.etag, **changes
            )
        )
        return Memory.of(changed)
