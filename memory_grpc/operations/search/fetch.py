"""What a search asks for when it has ranked: all of it in one round trip, with the commit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from memory_grpc.domain.messages import StoredMessage
from memory_grpc.domain.search import Hit, Ranked, SearchRequest
from memory_grpc.errors import AnswerTooLarge
from memory_grpc.store import clock, filters, messages, models
from memory_grpc.store.database import Deferred, Transaction
from memory_grpc.store.messages import Neighbours
from memory_grpc.store.models import TenantModel
from memory_grpc.store.rank_request import RankRequest

# A message of the longest text and metadata takes no more.
_LONGEST_MESSAGE = 512 * 1024


@dataclass(frozen=True, slots=True)
class Fetched:
    """The messages of the hits and what the answer says besides."""

    ranked: Sequence[Ranked]
    model: Deferred[TenantModel]
    now: Deferred[datetime]
    pending: Deferred[int]
    messages: Deferred[dict[UUID, StoredMessage]]
    neighbours: Deferred[dict[UUID, Neighbours]] | None

    @classmethod
    async def ask(
        cls,
        tx: Transaction,
        request: SearchRequest,
        wanted: RankRequest,
        ranked: Sequence[Ranked],
        most_bytes: int,
    ) -> Fetched:
        """Asks, and waits for nothing but, where the answer may be large, how large it is.

        Raises AnswerTooLarge, before a row is read, for more than ``most_bytes``. Where long texts are left out it has
        no neighbours instead.
        """
        ids = [hit.message_id for hit in ranked]
        as_of = request.filters.as_of
        turns = request.neighbours
        if (
            (turns or request.longest is None)
            and len(ids) * (1 + 2 * turns) * _LONGEST_MESSAGE > most_bytes
            and await messages.bytes_of_hits(tx, request.tenant_id, ids, turns, as_of) > most_bytes
        ):
            if request.longest is None:
                raise AnswerTooLarge(f"The answer is larger than {most_bytes} bytes; lower top_k or neighbours.")
            turns = 0
        return cls(
            ranked=ranked,
            model=await models.of_tenant_deferred(tx, request.tenant_id),
            now=await clock.now_deferred(tx),
            pending=await filters.pending(tx, request.tenant_id, wanted.filter),
            messages=await messages.found(tx, request.tenant_id, ids, wanted.filter, longest=request.longest),
            neighbours=await messages.neighbours(tx, request.tenant_id, ids, turns, as_of) if turns else None,
        )

    async def hits(self) -> tuple[Hit, ...]:
        """What was ranked, with its message; one that does not pass the filter is left out."""
        found = await self.messages.get()
        hits = tuple(Hit(r, found[r.message_id]) for r in self.ranked if r.message_id in found)
        if self.neighbours is None:
            return hits
        around = await self.neighbours.get()
        return tuple(replace(hit, neighbours=around.get(hit.message.id, ([], []))) for hit in hits)
