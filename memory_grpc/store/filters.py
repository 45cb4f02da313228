"""What a search's filters come to in its statements: the parts that they fill in, and what is to be expected of
them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from psycopg.types.json import Jsonb

from memory_grpc.domain.search import SearchFilters
from memory_grpc.filtering import (
    EVERYTHING,
    And,
    Comparison,
    Node,
    all_of,
    conjuncts,
    is_projected,
    mentions,
    required_metadata,
    where,
)
from memory_grpc.store.database import Deferred, Transaction
from memory_grpc.store.queries import Parts, part

Scope = Literal["live", "archived", "live_and_archived"]

# What a scope says of windows, and of messages.
_SCOPES: dict[Scope, tuple[str, str]] = {
    "live": ("search.live", "search.live_messages"),
    "archived": ("search.archived", "search.archived_messages"),
    "live_and_archived": ("search.live_and_archived", "search.live_and_archived_messages"),
}
_LOWER, _UPPER, _EQUAL = frozenset({">", ">="}), frozenset({"<", "<="}), frozenset({"="})
# Comparisons that may leave few messages, and have an index. Of times there is more to say: see `span`.
_SELECTIVE = {
    "conversation_id": _EQUAL,
    "user_id": _EQUAL,
    "name": _EQUAL,
    "importance": _LOWER | _UPPER | _EQUAL,
    "created_at": _EQUAL,
}


@dataclass(frozen=True, slots=True)
class Filter:
    """A filter in SQL. ``inline`` is what a window `e` tells of it, ``late`` what only its message tells, ``whole`` all
    of it of a message `m`; ``values`` are their parameters, and ``metadata`` is what every message that passes holds.

    ``may_leave_few``: an index leads to what passes, which may be little; ``selective`` is what columns tell of that.
    ``span``: between which times it lies.
    """

    scope: Scope
    inline: str
    late: str
    whole: str
    values: Mapping[str, Any]
    metadata: Mapping[str, Any] | None
    as_of: datetime | None
    candidate_limit: int | None
    selective: str
    may_leave_few: bool
    is_narrowing: bool
    span: tuple[datetime | None, datetime | None] | None

    @property
    def params(self) -> dict[str, Any]:
        """Its parameters, by name."""
        return {
            **self.values,
            "as_of": self.as_of,
            "metadata": None if self.metadata is None else Jsonb(self.metadata),
            "candidate_limit": self.candidate_limit,
        }

    @property
    def parts(self) -> Parts:
        """What it fills into the statements."""
        return (
            ("archived", part(_SCOPES[self.scope][0])),
            ("archived_messages", part(_SCOPES[self.scope][1])),
            ("inline", self.inline),
            ("late", self.late),
            ("filter", self.whole),
            ("selective", self.selective),
            ("metadata", part("search.no_metadata") if self.metadata is None else part("search.metadata")),
            ("matching", "" if self.metadata is None else part("search.matching")),
        )

    @property
    def needs_messages(self) -> bool:
        """Whether windows do not tell all of it."""
        return self.late != "true"

    @property
    def by_archival(self) -> tuple[Filter | None, Filter | None]:
        """The same for live messages, and for archived ones; None where it lets none pass."""
        live = None if self.scope == "archived" else replace(self, scope="live")
        archived = None if self.scope == "live" else replace(self, scope="archived")
        return live, archived

    def from_candidate(self, oldest_at: datetime, oldest_id: UUID) -> Filter:
        """The same, with the oldest message that is a candidate."""
        return replace(
            self,
            inline=f"{self.inline} and {part('search.bound')}",
            whole=f"{self.whole} and {part('search.bound_messages')}",
            values={**self.values, "oldest_at": oldest_at, "oldest_id": oldest_id},
            is_narrowing=True,
            may_leave_few=True,
        )


def compiled(filters: SearchFilters) -> Filter:
    """A search's filters in SQL."""
    node = filters.where or EVERYTHING
    terms = conjuncts(node)
    projected = [term for term in terms if is_projected(term)]
    inline = where(all_of(projected), "e", projected=True, prefix="i")
    whole = where(node, "m")
    leading = [term for term in terms if _is_selective(term)]
    selective = where(all_of(leading), "m", prefix="s")
    late = part("search.late").replace("{filter}", whole.text) if len(projected) < len(terms) else "true"
    metadata: dict[str, Any] | None = None
    for wanted in required_metadata(node):
        if _has_scalar(wanted) and (metadata is None or not wanted.keys() & metadata.keys()):
            metadata = {**(metadata or {}), **wanted}
    return Filter(
        scope=_scope(node, filters.include_archived),
        inline=inline.text,
        late=late,
        whole=whole.text,
        values={**inline.params, **whole.params, **selective.params},
        metadata=metadata,
        as_of=filters.as_of,
        candidate_limit=filters.candidate_limit,
        selective=selective.text,
        may_leave_few=bool(leading) or metadata is not None,
        is_narrowing=bool(terms),
        span=_span(terms),
    )


async def pending(tx: Transaction, tenant_id: str, filter_: Filter) -> Deferred[int]:
    """How many messages pass and are not embedded, counted to 10,000; not waited for."""
    params = filter_.params | {"tenant_id": tenant_id}
    return await tx.defer("search.pending", params, lambda rows: int(rows[0]["pending"]), parts=filter_.parts)


def _scope(node: Node, include_archived: bool) -> Scope:
    """Which messages are looked at: where the filter itself says, all, and the filter tells them apart; live ones
    unless archived ones are asked for too."""
    for term in conjuncts(node):
        if isinstance(term, Comparison) and term.field == "archived" and term.operator == "=" and not term.negated:
            return "archived" if term.value is True else "live"
    return "live_and_archived" if include_archived or mentions(node, "archived") else "live"


def _is_selective(node: Node) -> bool:
    """Whether an index of a column leads to what passes."""
    if isinstance(node, And):
        return any(map(_is_selective, node.terms))
    if not isinstance(node, Comparison):
        return all(map(_is_selective, node.terms))
    return not node.negated and node.operator in _SELECTIVE.get(node.field, frozenset())


def _span(terms: tuple[Node, ...]) -> tuple[datetime | None, datetime | None] | None:
    start: datetime | None = None
    end: datetime | None = None
    for term in terms:
        if (
            isinstance(term, Comparison)
            and not term.negated
            and term.field == "created_at"
            and isinstance(term.value, datetime)
        ):
            if term.operator in _LOWER:
                start = max(term.value, start or term.value)
            elif term.operator in _UPPER:
                end = min(term.value, end or term.value)
    return None if start is None and end is None else (start, end)


def _has_scalar(value: Any) -> bool:
    """Whether JSON holds something that the index of metadata has an entry for."""
    if isinstance(value, Mapping):
        return any(map(_has_scalar, value.values()))
    if isinstance(value, list):
        return any(map(_has_scalar, value))
    return True
