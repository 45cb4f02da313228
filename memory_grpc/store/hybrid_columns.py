"""What the hybrid ranking reads, as arrays: the strings of records that sql/queries/hybrid.sql gives."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from operator import itemgetter
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from memory_grpc.offload import by_size
from memory_grpc.ranking import QueryPlan
from memory_grpc.ranking.corpus import Floats
from memory_grpc.ranking.date_fit import date_fit
from memory_grpc.ranking.fusion import Flags, Ids, Integers, Memory
from memory_grpc.store.database import Row, Statement, Transaction
from memory_grpc.store.queries import Parts, part
from memory_grpc.store.rank_request import ALL, HybridQuery, RankRequest

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Postgres counts from 2000.
POSTGRES_EPOCH = (datetime(2000, 1, 1, tzinfo=UTC) - _EPOCH) // timedelta(microseconds=1)

# Halves of ids are only compared. They keep the order of their bytes in memory.
_GROUP = np.dtype([("conversation", ">i8"), ("size", ">i4")])
_WINDOW = [("id", "u8", 2), ("importance", ">f8"), ("created", ">i8"), ("distance", ">f8")]
# Words are counted in numbers of 8 bytes.
_WORDS_A_NUMBER = 8
# Ids are looked up in a table of 2^4 to 2^5 slots for each: one in fifty shares its slot.
_SPARE_BITS = 4
_GOLDEN = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / the golden ratio
# Arrays are made of so many bytes of records in the time that other work takes for one.
_READING = 16
# The strings of hybrid.columns, and their bytes that come at a time.
_STRINGS, _PIECE = ("groups", "turns", "windows"), 1 << 16
# The flags of a turn and of a window, as hybrid.turn and hybrid.flags set them.
ASKED, _UNSAID, _FURTHER = 1, 2, 8
_CUES = 4  # bits of the flags before those of the cues
_PASSES, _ROLE_ASKED = 1, 2


@dataclass(frozen=True, slots=True)
class Stretches:
    """The turns of a row of hybrid.columns: ``turns`` [turns] as hybrid.turn has them, with the ``counts`` [turns,
    words] of their further rows too; ``stretch`` [turns] numbers the stretch of each, and ``conversation`` [stretches]
    is a hash."""

    turns: NDArray[np.void]
    counts: NDArray[np.uint8]
    stretch: Integers
    conversation: NDArray[np.int64]

    @property
    def previous(self) -> Integers:
        """[turns, 2]: the turns one and two before each in its stretch, -1 where there is none."""
        number = np.arange(len(self.turns))
        previous = np.stack([number - 1, number - 2], axis=1)
        for back in (1, 2):
            previous[:back, back - 1] = -1
            previous[back:][self.stretch[back:] != self.stretch[:-back], back - 1] = -1
        return previous


async def whole(tx: Transaction, request: RankRequest, hybrid: HybridQuery) -> Memory:
    """Reads a whole tenant."""
    params = request.params | {"most": ALL, "piece": _PIECE}
    late = parts(request, hybrid, late=part("search.all_late"))
    (pieces,) = await tx.together(Statement("hybrid.all", params, late))
    pieces.sort(key=itemgetter("place"))
    row = pieces[0] | {name: b"".join([piece[name] or b"" for piece in pieces]) for name in _STRINGS}
    # Of a tenant of many messages this takes long, and must not keep the event loop from other calls.
    size = len(row["turns"]) + len(row["windows"])
    read, memory = await by_size(size // _READING, _read, row, request, hybrid)
    return memory if len(memory.ids) == len(read.turns) else await _joined(tx, request, memory, read)


def _read(row: Row, request: RankRequest, hybrid: HybridQuery) -> tuple[Stretches, Memory]:
    read = stretches(row, hybrid)
    return read, gathered(row, request, hybrid, read.turns, read.counts, read.stretch, read.previous)


async def _joined(tx: Transaction, request: RankRequest, memory: Memory, read: Stretches) -> Memory:
    """A memory whose messages without words are in their conversations, and not each in one of its own."""
    strangers = memory.ids[len(read.turns) :]
    rows = await tx.all("hybrid.conversations", request.params | {"ids": uuids(strangers)})
    hashes = {row["id"]: row["conversation"] for row in rows}
    theirs = np.array([hashes.get(id_, 0) for id_ in uuids(strangers)], np.int64)
    known = read.conversation.astype(np.int64)[read.stretch]
    _, conversation = np.unique(np.concatenate([known, theirs]), return_inverse=True)
    return replace(memory, conversation=conversation)


def stretches(row: Row, hybrid: HybridQuery) -> Stretches:
    """The turns of a row of hybrid.columns."""
    groups = np.frombuffer(row["groups"] or b"", _GROUP)
    rows = turns(row["turns"], hybrid)
    of_row = np.repeat(np.arange(len(groups)), groups["size"])
    further = (rows["flags"] & _FURTHER) > 0
    if not further.any():
        return Stretches(rows, rows["counts"], of_row, groups["conversation"])
    first = np.flatnonzero(~further)
    counts = np.add.reduceat(rows["counts"].astype(np.uint16), first, axis=0)
    return Stretches(rows[first], np.minimum(counts, 127).astype(np.uint8), of_row[first], groups["conversation"])


def gathered(
    row: Row,
    request: RankRequest,
    hybrid: HybridQuery,
    turns: NDArray[np.void],
    counts: NDArray[np.uint8],
    conversation: Integers,
    previous: Integers,
    ranked: Flags | None = None,
) -> Memory:
    """The turns of a row of hybrid.columns with its windows. Those of turns that are not ``ranked`` [turns] do not
    pass."""
    flagged = _is_flagged(request, hybrid)
    windows = np.frombuffer(row["windows"] or b"", np.dtype(_WINDOW + ([("flags", ">i2")] if flagged else [])))
    ids, said = turns["id"], turns["flags"].astype(np.int64)
    turn = places(ids, windows["id"])
    if (strangers := turn < 0).any():
        # Messages whose words were never stored by this text-search configuration: each stands alone.
        more = np.unique(windows["id"][strangers], axis=0)
        ids, said = np.concatenate([ids, more]), np.append(said, np.full(len(more), _UNSAID))
        conversation = np.append(conversation, int(conversation.max(initial=-1)) + 1 + np.arange(len(more)))
        turn = places(ids, windows["id"])
    said = said[turn]
    created = windows["created"].astype(np.int64) + POSTGRES_EPOCH
    flags = windows["flags"] if flagged else np.full(len(windows), _PASSES)
    passes = (flags & _PASSES) > 0
    return Memory(
        ids=ids,
        conversation=conversation,
        previous=previous,
        lengths=turns["length"].astype(np.int64),
        counts=np.asfortranarray(counts[:, : len(hybrid.words.words)]),  # ranked word by word
        turn=turn,
        similarity=1 - windows["distance"].astype(np.float64),
        importance=windows["importance"].astype(np.float64),
        created=created,
        speaker=np.where((said & _UNSAID) > 0, (flags & _ROLE_ASKED) > 0, (said & ASKED) > 0),
        date=graded(created, hybrid.plan) if hybrid.parts.graded_dates else dated(created, hybrid.plan).astype(float),
        cues=said >> _CUES,
        passes=passes if ranked is None else passes & ranked[turn],
        as_of=int.from_bytes(row["as_of"], "big", signed=True) + POSTGRES_EPOCH,
        asks_when=hybrid.plan.asks_when,
    )


def turns(records: bytes | None, hybrid: HybridQuery) -> NDArray[np.void]:
    """The records of hybrid.turn: ``id``, ``length``, ``flags``, ``counts`` [words]."""
    padded = -(-len(hybrid.words.words) // _WORDS_A_NUMBER) * _WORDS_A_NUMBER
    record = np.dtype([("id", "u8", 2), ("flags", ">i4"), ("length", ">i4"), ("counts", "u1", (padded,))])
    return np.frombuffer(records or b"", record)


def places(ids: Ids, wanted: Ids) -> Integers:
    """[n, 2], [m, 2] -> [m]: where each of the wanted ids is among the others, which are unlike; -1 where it is not."""
    # A hash table: to sort both takes six times as long.
    (first, second), (wanted_first, wanted_second) = ids.T.copy(), wanted.T.copy()
    bits = len(ids).bit_length() + _SPARE_BITS
    table = np.zeros(1 << bits, np.int32)
    slots, number = _slots(second, bits), np.arange(len(ids), dtype=np.int32)
    table[slots] = number
    found = table[_slots(wanted_second, bits)].astype(np.int64)
    if not len(ids):
        return found - 1
    right = (first[found] == wanted_first) & (second[found] == wanted_second)
    if not right.all():
        # Not there, or another id has its slot.
        others = np.flatnonzero(table[slots] != number)
        known = dict(zip(map(tuple, ids[others].tolist()), others.tolist(), strict=True))
        found[~right] = [known.get(tuple(halves), -1) for halves in wanted[~right].tolist()]
    return found


def _slots(halves: NDArray[np.uint64], bits: int) -> NDArray[np.uint64]:
    """[n] -> [n]: numbers of so many bits, which differ where any bits of the halves do (Fibonacci hashing)."""
    return np.asarray((halves * _GOLDEN) >> np.uint64(64 - bits))


def dated(created: Integers, plan: QueryPlan) -> Flags:
    """[windows]: whether a date that the query names is a window's."""
    matches = np.zeros(len(created), bool)
    for start, end in plan.date_ranges:
        begun = True if start is None else created >= microseconds(start)
        matches |= begun & (True if end is None else created < microseconds(end))
    return matches


def graded(created: Integers, plan: QueryPlan) -> Floats:
    """[windows]: how well the dates of a query fit, 0 to 1: the best of them (ranking.date_fit)."""
    best = np.zeros(len(created))
    for start, end in plan.dates:
        of_range = date_fit(
            created, None if start is None else microseconds(start), None if end is None else microseconds(end)
        )
        best = np.maximum(best, of_range)
    return best


def uuids(ids: Ids) -> list[UUID]:
    """[n, 2] -> n uuids."""
    return [UUID(bytes=halves.tobytes()) for halves in ids]


def microseconds(moment: datetime) -> int:
    """Since 1970."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


def parts(request: RankRequest, hybrid: HybridQuery, *, late: str | None = None) -> Parts:
    """What stands for the parts of the statements: the filter, and what is said of words and speakers. ``late`` stands
    for what of the filter only messages tell, if there is such."""
    plan, filter_ = hybrid.plan, request.filter
    late = late if late is not None and filter_.needs_messages else filter_.late
    said = part("hybrid.said") if plan.speaker_names or plan.speaker_roles else "0"
    flags = part("hybrid.flags") if _is_flagged(request, hybrid) else ""
    passes = f"{filter_.inline} and {late}"
    own = (("said", said), ("counts", _counts(len(hybrid.words.words))), ("flags", flags.replace("{passes}", passes)))
    return (*filter_.parts, *own)


def _is_flagged(request: RankRequest, hybrid: HybridQuery) -> bool:
    return request.filter.is_narrowing or bool(hybrid.plan.speaker_roles)


@cache
def _counts(words: int) -> str:
    """What counts so many words in a turn."""

    def each(name: str, first: int) -> str:
        return " | ".join(
            part(name).replace("{word}", f"%(word_{word})s").replace("{shift}", str(56 - 8 * (word - first)))
            for word in range(first, min(first + _WORDS_A_NUMBER, words))
        )

    firsts = range(0, words, _WORDS_A_NUMBER)
    eights = (
        part("hybrid.eight")
        .replace("{held}", each("hybrid.held", first))
        .replace("{repeated}", each("hybrid.repeated", first))
        for first in firsts
    )
    size = str(_WORDS_A_NUMBER * len(firsts))
    return part("hybrid.counts").replace("{size}", size).replace("{eights}", " || ".join(eights)) if words else ""
