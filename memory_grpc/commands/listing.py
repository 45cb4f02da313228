"""``memory-grpc list``, ``conversations`` and ``users``: what is stored, page by page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rich.table import Table
from rich.text import Text

from memory_grpc.commands import output
from memory_grpc.commands.client import client
from memory_grpc.commands.configuration import Target
from memory_grpc.commands.failure import OK
from memory_layer.v1 import listing_pb2 as pb

_PAGE = 1000
_CONTENT_CHARS = 120
_ID_CHARS = 64
_SHOWN_USERS = 5


@dataclass(frozen=True, slots=True)
class Messages:
    """Which messages to list."""

    tenant_id: str
    user_id: str | None
    conversation_id: str | None
    role: str | None
    created_after: datetime | None
    created_before: datetime | None
    metadata_equals: tuple[str, ...]
    filter: str | None
    importance_min: float | None
    include_archived: bool
    newest_first: bool
    as_of: datetime | None
    include_total: bool

    def request(self) -> pb.ListMessagesRequest:
        """The request for the first page."""
        return pb.ListMessagesRequest(
            tenant_id=self.tenant_id,
            user_id=self.user_id,
            conversation_id=self.conversation_id,
            role=self.role,
            metadata_equals=self.metadata_equals,
            filter=self.filter,
            created_after=output.timestamp(self.created_after),
            created_before=output.timestamp(self.created_before),
            importance_min=self.importance_min,
            include_archived=self.include_archived,
            order_by="created_at desc" if self.newest_first else "created_at",
            as_of=output.timestamp(self.as_of),
            include_total=self.include_total,
        )


@dataclass(frozen=True, slots=True)
class _Found:
    """Rows of a list; ``has_more`` when there are others behind, ``total`` as the service counted."""

    rows: Sequence[Any]
    has_more: bool
    total: int | None = None


def messages(wanted: Messages, most: int | None, target: Target, *, as_json: bool) -> int:
    """Prints messages, up to ``most`` or all."""
    found = _pages("ListMessages", wanted.request(), "messages", most, target)
    if found.total is not None and not as_json:
        print(f"Passing: {output.counted(found.total, 'message')}.")
    return _print(found, "messages", ("said", "who", "conversation", "id", "message"), _message, as_json=as_json)


def conversations(tenant_id: str, most: int | None, target: Target, *, as_json: bool) -> int:
    """Prints conversations, up to ``most`` or all."""
    request = pb.ListConversationsRequest(tenant_id=tenant_id)
    found = _pages("ListConversations", request, "conversations", most, target)
    columns = ("conversation", "first message", "last message", "messages", "archived", "users")
    return _print(found, "conversations", columns, _conversation, as_json=as_json)


def users(tenant_id: str, most: int | None, target: Target, *, as_json: bool) -> int:
    """Prints end users, up to ``most`` or all."""
    found = _pages("ListUsers", pb.ListUsersRequest(tenant_id=tenant_id), "users", most, target)
    columns = ("user", "first message", "last message", "messages", "archived")
    return _print(found, "users", columns, _user, as_json=as_json)


def _pages(method: str, request: Any, field: str, most: int | None, target: Target) -> _Found:
    rows: list[Any] = []
    total: int | None = None
    # The same size for every page: it is no part of what a token is bound to, but the last page may be cut here.
    request.page_size = _PAGE if most is None else min(most, _PAGE)
    with client(target) as service:
        while True:
            page = service.memory(method, request)
            rows += getattr(page, field)
            if field == "messages" and page.HasField("total_size"):
                total = page.total_size
            if not page.next_page_token or (most is not None and len(rows) >= most):
                break
            request.page_token = page.next_page_token
    has_more = bool(page.next_page_token) or (most is not None and len(rows) > most)
    return _Found(rows[:most], has_more, total)


def _print(found: _Found, noun: str, columns: tuple[str, ...], cells: Any, *, as_json: bool) -> int:
    if as_json:
        shown: dict[str, Any] = {noun: [output.as_dict(row) for row in found.rows], "has_more": found.has_more}
        if found.total is not None:
            shown["total_size"] = found.total
        output.write_json(shown)
        return OK
    if not found.rows:
        print(f"No {noun}.")
        return OK
    table = Table()
    for name in columns:
        table.add_column(name, no_wrap=name == "id", justify="right" if name in ("messages", "archived") else "left")
    for row in found.rows:
        table.add_row(*map(Text, cells(row)))
    output.console().print(table)
    if found.has_more:
        print("There are more: give --limit or --all.")
    return OK


def _message(message: Any) -> tuple[str, ...]:
    archived = " (archived)" if message.HasField("archived_at") else ""
    return (
        output.moment(message.created_at) + archived,
        output.shortened(message.name or message.role, _ID_CHARS),
        output.shortened(message.conversation_id, _ID_CHARS),
        message.id,
        output.shortened(message.content, _CONTENT_CHARS),
    )


def _conversation(found: Any) -> tuple[str, ...]:
    names = ", ".join(output.shortened(user, _ID_CHARS) for user in found.user_ids[:_SHOWN_USERS])
    others = found.user_count - _SHOWN_USERS
    return (
        output.shortened(found.conversation_id, _ID_CHARS),
        output.moment(found.first_message_at),
        output.moment(found.last_message_at),
        f"{found.message_count:,}",
        f"{found.archived_count:,}",
        f"{names} and {others} more" if others > 0 else names,
    )


def _user(found: Any) -> tuple[str, ...]:
    return (
        output.shortened(found.user_id, _ID_CHARS),
        output.moment(found.first_message_at),
        output.moment(found.last_message_at),
        f"{found.message_count:,}",
        f"{found.archived_count:,}",
    )
