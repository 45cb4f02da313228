"""Pages of messages, conversations and users."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from memory_grpc.domain.listing import Conversation, User
from memory_grpc.domain.messages import StoredMessage
from memory_grpc.store import page_bytes
from memory_grpc.store.database import Transaction
from memory_grpc.store.filters import Filter
from memory_grpc.store.queries import Parts, part

# Of a conversation or a user so many messages are counted.
MOST_COUNTED = 10_000
MOST_USERS = 20
# Where metadata leads to more messages than these, they are found by their age.
_MOST_BY_METADATA = 10_000

Place = tuple[datetime, UUID]

_START: Place = (datetime(1, 1, 1, tzinfo=UTC), UUID(int=0))
_END: Place = (datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC), UUID(int=2**128 - 1))


async def with_metadata(tx: Transaction, tenant_id: str, filter_: Filter) -> list[UUID] | None:
    """The ids of the messages that pass by their metadata, whatever else a filter says; None where it says nothing of
    metadata, or they are many."""
    if filter_.metadata is None:
        return None
    given = {"tenant_id": tenant_id, "most": _MOST_BY_METADATA}
    rows = await tx.all("listing.with_metadata", filter_.params | given)
    return None if len(rows) > _MOST_BY_METADATA else [row["id"] for row in rows]


async def messages(
    tx: Transaction,
    tenant_id: str,
    filter_: Filter,
    among: Sequence[UUID] | None,
    after: Place | None,
    limit: int,
    *,
    newest_first: bool,
) -> tuple[list[StoredMessage], int]:
    """Up to ``limit`` messages that pass, behind a place; and how many of them fit on a page (``page_bytes``): fewer
    where the rest is not on it. ``among`` is what ``with_metadata`` found."""
    after_at, after_id = after or (_END if newest_first else _START)
    place = {"after_at": after_at, "after_id": after_id, "limit": limit, "most_bytes": page_bytes.most_bytes()}
    parts = (
        ("direction", part("listing.newest_first" if newest_first else "listing.oldest_first")),
        ("beyond", part("listing.earlier" if newest_first else "listing.later")),
        ("lists_live", part("listing.no" if filter_.scope == "archived" else "listing.yes")),
        ("lists_archived", part("listing.no" if filter_.scope == "live" else "listing.yes")),
    )
    rows = await tx.all(
        "listing.messages",
        _params(tenant_id, filter_, among) | place,
        parts=(*parts, *_of_metadata(among), *filter_.parts),
    )
    fitting = page_bytes.take_fitting(rows)
    return [StoredMessage(**row) for row in rows], fitting


async def total(tx: Transaction, tenant_id: str, filter_: Filter, among: Sequence[UUID] | None) -> int:
    """How many messages pass."""
    parts = (*_of_metadata(among), *filter_.parts)
    row = await tx.one("listing.total", _params(tenant_id, filter_, among), parts=parts)
    return int(row["total"]) if row else 0


async def conversations(tx: Transaction, tenant_id: str, after: str, limit: int) -> list[Conversation]:
    """Conversations behind an id, in the order of the ids; an empty one stands before all."""
    given = {"tenant_id": tenant_id, "after_key": after, "limit": limit, "most": MOST_COUNTED, "most_users": MOST_USERS}
    rows = await tx.all("listing.conversations", given)
    return [Conversation(**(row | {"user_ids": tuple(row["user_ids"])})) for row in rows]


async def users(tx: Transaction, tenant_id: str, after: str, limit: int) -> list[User]:
    """The same of end users."""
    given = {"tenant_id": tenant_id, "after_key": after, "limit": limit, "most": MOST_COUNTED}
    return [User(**row) for row in await tx.all("listing.users", given)]


def _params(tenant_id: str, filter_: Filter, among: Sequence[UUID] | None) -> dict[str, Any]:
    return filter_.params | {"tenant_id": tenant_id, "ids": None if among is None else list(among)}


def _of_metadata(among: Sequence[UUID] | None) -> Parts:
    return (("of_metadata", "" if among is None else part("listing.of_ids")),)
