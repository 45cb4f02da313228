"""``memory-grpc get``, ``update`` and ``revisions``: one message, now and before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from rich.table import Table
from rich.text import Text

from memory_grpc.commands import output
from memory_grpc.commands.client import client
from memory_grpc.commands.configuration import Target
from memory_grpc.commands.failure import OK
from memory_layer.v1 import memory_service_pb2, revision_pb2

_PAGE = 1000
_CONTENT_CHARS = 120


@dataclass(frozen=True, slots=True)
class Change:
    """What to change of a message, by the fields of the contract, and what to clear."""

    message_id: UUID
    tenant_id: str
    changes: Mapping[str, Any]
    clear: tuple[str, ...]
    etag: str | None

    def request(self) -> revision_pb2.UpdateMessageRequest:
        """The request for it."""
        plain = {name: value for name, value in self.changes.items() if name != "metadata"}
        request = revision_pb2.UpdateMessageRequest(
            message_id=str(self.message_id),
            tenant_id=self.tenant_id,
            update_mask=[*self.changes, *self.clear],
            etag=self.etag,
            **plain,
        )
        if "metadata" in self.changes:
            request.metadata.update(self.changes["metadata"])
        return request


def get(message_id: UUID, tenant_id: str | None, as_of: datetime | None, target: Target, *, as_json: bool) -> int:
    """Prints a message, as it was at a moment where one is given."""
    request = memory_service_pb2.GetMessageRequest(
        message_id=str(message_id), tenant_id=tenant_id, as_of=output.timestamp(as_of)
    )
    with client(target) as service:
        _print(service.memory("GetMessage", request), as_json=as_json)
    return OK


def update(change: Change, target: Target, *, as_json: bool) -> int:
    """Changes a message and prints what it is now."""
    with client(target) as service:
        _print(service.memory("UpdateMessage", change.request()), as_json=as_json)
    return OK


def revisions(message_id: UUID, tenant_id: str, target: Target, *, as_json: bool) -> int:
    """Prints what a message was."""
    request = revision_pb2.ListRevisionsRequest(message_id=str(message_id), tenant_id=tenant_id, page_size=_PAGE)
    found: list[Any] = []
    with client(target) as service:
        while True:
            page = service.memory("ListRevisions", request)
            found += page.revisions
            if not page.next_page_token:
                break
            request.page_token = page.next_page_token
    if as_json:
        output.write_json({"revisions": [output.as_dict(revision) for revision in found]})
    elif not found:
        print("It was never updated.")
    else:
        table = Table()
        for name in ("from", "to", "etag", "message"):
            table.add_column(name)
        for one in found:
            said = output.shortened(one.message.content, _CONTENT_CHARS)
            cells = (output.moment(one.valid_from), output.moment(one.valid_to), one.message.etag, said)
            table.add_row(*map(Text, cells))
        output.console().print(table)
    return OK


def _print(message: Any, *, as_json: bool) -> None:
    if as_json:
        output.write_json(output.as_dict(message))
        return
    rows = [
        ("tenant", message.tenant_id),
        ("conversation", message.conversation_id),
        ("user", message.user_id),
        ("role", message.role),
        ("name", message.name),
        ("said", output.moment(message.created_at)),
        ("changed", output.moment(message.updated_at)),
        ("importance", f"{message.importance_score:.4f}"),
        ("embedding", message.embedding_status),
        ("pinned", "yes" if message.pinned else ""),
        ("expires", output.moment(message.expires_at)),
        ("archived", output.moment(message.archived_at)),
        ("etag", message.etag),
        ("content", output.shortened(message.content, 10_000)),
    ]
    shown = [(name, output.shortened(value, 10_000)) for name, value in rows if value]
    output.console().print(output.pairs(message.id, shown))
