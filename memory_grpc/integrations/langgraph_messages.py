"""The messages that items of a LangGraph store are kept as: finding one, putting and deleting."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from langgraph.store.base import PutOp

from memory_grpc.client import Conflict, MemoryClient, NotFound, types
from memory_grpc.integrations import langgraph_items as items
from memory_grpc.integrations.langgraph_items import Namespace

_CHANGED = ("content", "metadata", "user_id")


@dataclass(frozen=True, slots=True)
class Kept:
    """The items of a tenant; see MemoryStore for the rest."""

    client: MemoryClient
    tenant_id: str | None
    fields: tuple[str, ...]
    user_of: Callable[[Namespace], str | None]
    clock: Callable[[], datetime]

    def find(self, namespace: Namespace, key: str) -> Iterator[types.Message]:
        """The message of an item, and older ones where two programs made it anew at the same moment."""
        return iter(
            self.client.list_messages(
                tenant_id=self.tenant_id,
                conversation_id=items.conversation(namespace),
                filter=items.with_key(key),
                include_archived=True,
                order_by="created_at desc",
            )
        )

    def put(self, op: PutOp) -> None:
        """Stores an item, changes it, or deletes it."""
        messages = self.find(op.namespace, op.key)
        if op.value is None:
            for message in list(messages):
                self._delete(message.id)
            return
        newest = next(messages, None)
        if newest is None or not self._update(op, newest.id):
            self._create(op)

    def _create(self, op: PutOp, *, again: bool = False) -> None:
        """Stores a new item. All who do so at once have one request id; whoever comes too late changes the item."""
        try:
            self.client.ingest_message(
                tenant_id=self.tenant_id,
                conversation_id=items.conversation(op.namespace),
                role="user",
                request_id=None if again else items.request_id(op.namespace, op.key),
                keep_request_id=not again,
                pinned=True,
                **self._said(op, None),
            )
        except NotFound:  # deleted before: that request is not answered again
            self._create(op, again=True)
        except Conflict:
            message = next(self.find(op.namespace, op.key), None)
            if message is None or not self._update(op, message.id):
                self._create(op, again=True)

    def _update(self, op: PutOp, message_id: str) -> bool:
        """False when the item has gone meanwhile."""
        try:
            self.client.update_message(
                tenant_id=self.tenant_id,
                message_id=message_id,
                update_mask=_CHANGED,
                **self._said(op, self.clock()),
            )
        except NotFound:
            return False
        return True

    def _delete(self, message_id: str) -> None:
        with suppress(NotFound):
            self.client.delete_message(tenant_id=self.tenant_id, message_id=message_id)

    def _said(self, op: PutOp, updated_at: datetime | None) -> dict[str, Any]:
        value = op.value or {}
        return {
            "content": items.content(value, op.index, self.fields),
            "metadata": items.metadata(op.namespace, op.key, value, unindexed=op.index is False, updated_at=updated_at),
            "user_id": self.user_of(op.namespace),
        }
