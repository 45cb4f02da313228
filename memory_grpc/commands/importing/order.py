"""Which batches wait for others, so that the messages of a conversation keep the order of the file.

Messages of one conversation and one moment come back in the order in which they were stored, so a batch that has such a
moment in common with one that is still under way waits until the server has all of that one. The others overtake each
other as they like: nobody can tell.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import datetime

from memory_grpc.commands.importing.batches import Batch
from memory_grpc.commands.importing.records import Record

Moment = tuple[str, datetime | None]
# Messages without a time get that of the moment they are stored at: all of a tenant's are stored in their order.
_NOW: Moment = ("", None)


@dataclass(eq=False, slots=True)
class Turn:
    """A batch's place among those under way; ``over`` once nothing more is done about it."""

    tenant_id: str
    moments: frozenset[Moment]
    before: list[Turn]
    over: asyncio.Event = field(default_factory=asyncio.Event)
    is_complete: bool = False


class Order:
    """The turns of all batches that are under way."""

    def __init__(self) -> None:
        self._turns: list[Turn] = []

    def take(self, batch: Batch) -> Turn:
        """The turn of a batch: after all batches that took one before it and share a moment with it."""
        moments = frozenset(_moment(record) for record in batch.records)
        before = [turn for turn in self._turns if turn.tenant_id == batch.tenant_id and turn.moments & moments]
        turn = Turn(batch.tenant_id, moments, before)
        self._turns.append(turn)
        return turn

    async def come(self, turn: Turn) -> bool:
        """Returns when it is a batch's turn. False: it never is, since one before it was not stored to its end."""
        for earlier in turn.before:
            await earlier.over.wait()
        return all(earlier.is_complete for earlier in turn.before)

    def end(self, turn: Turn, *, is_complete: bool) -> None:
        """The server has the batch, or refused some of it. Of a failure nobody is told: it ends the import."""
        turn.is_complete = is_complete
        turn.over.set()
        turn.before.clear()
        if is_complete:  # the others stay, so that nothing comes after them
            self._turns.remove(turn)


def _moment(record: Record) -> Moment:
    assert record.request is not None, "only messages are sent"
    time = record.created_at
    return _NOW if time is None else (record.request.conversation_id, time)
