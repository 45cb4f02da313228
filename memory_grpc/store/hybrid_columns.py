"""What the hybrid ranking reads of a tenant: one statement's strings of records, as arrays (sql/queries/hybrid.sql)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from memory_grpc.ranking import QueryPlan
from memory_grpc.ranking.fusion import Flags, Integers, Memory
from memory_grpc.store.database import Parts, Transaction
from memory_grpc.store.queries import QUERIES

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Postgres counts from 2000.
_OFFSET = (datetime(2000, 1, 1, tzinfo=UTC) - _EPOCH) // timedelta(microseconds=1)
# Halves of ids are compared only, and keep the order of their bytes.
_WINDOW = np.dtype([("id", "u8", 2), ("importance", ">f8"), ("created", ">i8"), ("distance", ">f8")])
# What a turn's length has besides, from 20 bits up.
_LENGTH, _ASKED, _UNSAID, _LONG = 2**20 - 1, 2**20, 2**21, 2**22
# Counts of words are of 5 bits, and go up to this; the sign bit of an int8 is spared.
_MOST = 31
_FIRST = range(23, 63, 5)
_FURTHER = range(0, 60, 5)

_COMMENT = re.compile(r"--.*")

Ids = NDArray[np.uint64]


async def read(tx: Transaction, params: Mapping[str, Any], plan: QueryPlan, *, filtered: bool) -> Memory:
    """Reads a tenant; ``params`` are those of ``hybrid.columns`` but for the words.

    Words are looked for in every message of the tenant, in that statement; the further rows of long messages, and
    messages whose words were never stored, are looked up after it.
    """
    asked = await tx.one("hybrid.words", params)
    words: list[str] = asked["words"] if asked else []
    asks_who, flagged = bool(plan.speaker_names or plan.speaker_roles), filtered or bool(plan.speaker_roles)
    given = dict(params) | {f"word_{i}": word for i, word in enumerate(words)}
    given |= {"any_word": " | ".join(words) or None, "words": words}
    name = "hybrid.columns_with_archive" if params["include_archived"] else "hybrid.columns"
    row = await tx.one(name, given, binary=True, parts=parts(len(words), asks_who=asks_who, flagged=flagged))
    assert row is not None, "an aggregate has a row"

    turns = np.frombuffer(row["turns"] or b"", _turn(len(words)))
    windows = np.frombuffer(row["windows"] or b"", _WINDOW)
    sizes = np.frombuffer(row["sizes"] or b"", ">i4")
    flags = np.frombuffer(row["flags"] or b"", ">i2") if flagged else None
    turn_ids, window_ids = turns["id"], windows["id"]
    about = turns["about"].astype(np.int64)
    conversation = np.repeat(np.arange(len(sizes), dtype=np.int64), sizes)
    counted = [_counted(about, turns["further"].astype(np.int64), len(words))]
    long = about & _LONG > 0
    long[counted[0][counted[0][:, 2] == _MOST, 0]] = True
    if words and long.any():
        counted.append(_rest(await tx.all("hybrid.rest", given | {"message_ids": _uuids(turn_ids[long])}), turn_ids))
    counts = np.concatenate(counted)
    message = places(turn_ids, window_ids)
    if (message < 0).any():
        turn_ids, conversation, message = await _with_fellows(tx, given, turn_ids, conversation, window_ids, message)
        about = np.append(about, np.full(len(turn_ids) - len(about), _UNSAID))

    created = windows["created"].astype(np.int64) + _OFFSET
    by_role: Flags = np.zeros(len(windows), bool) if flags is None else flags & 2 > 0
    spoken = about[message]
    return Memory(
        ids=turn_ids,
        conversation=conversation,
        lengths=about[: len(turns)] & _LENGTH,
        counted_message=counts[:, 0],
        counted_word=counts[:, 1],
        occurrences=counts[:, 2],
        message=message,
        similarity=1 - windows["distance"].astype(np.float64),
        importance=windows["importance"].astype(np.float64),
        created=created,
        speaker=np.where(spoken & _UNSAID > 0, by_role, spoken & _ASKED > 0),
        date=_dated(created, plan),
        passes=np.ones(len(windows), bool) if flags is None else flags & 1 > 0,
        as_of=int.from_bytes(row["as_of"], "big", signed=True) + _OFFSET,
    )


def places(ids: Ids, wanted: Ids) -> Integers:
    """[n, 2], [m, 2] -> [m]: where each of the wanted ids is among the others, which are unlike; -1 where it is not."""
    if not len(ids):
        return np.full(len(wanted), -1, np.int64)
    first, second, wanted_first, wanted_second = (half.copy() for pair in (ids, wanted) for half in pair.T)
    order, asked = np.argsort(first), np.argsort(wanted_first)
    in_order, asked_in_order = first[order], wanted_first[asked]
    found = np.empty(len(wanted), np.int64)
    if np.array_equal(in_order, asked_in_order):
        found[asked] = order  # nearly always: a window for each message
    else:
        # Looking for them in order finds each next to the last.
        found[asked] = order[np.minimum(np.searchsorted(in_order, asked_in_order), len(ids) - 1)]
    right = (first[found] == wanted_first) & (second[found] == wanted_second)
    if not right.all():
        # Not there, or one of several with the same first half.
        known = {tuple(halves): place for place, halves in enumerate(ids.tolist())}
        found[~right] = [known.get(tuple(halves), -1) for halves in wanted[~right].tolist()]
    return np.asarray(found)


@cache
def parts(words: int, *, asks_who: bool, flagged: bool) -> Parts:
    """What ``hybrid.columns`` says of so many words, of who spoke, and of which windows may be found."""

    def of_each(part: str, shifts: range, first: int) -> str:
        return " | ".join(
            _part(part).replace("{word}", f"%(word_{word})s").replace("{shift}", str(shift))
            for shift, word in zip(shifts, range(first, words), strict=False)
        )

    def counts(shifts: range, first: int) -> str:
        held, repeated = (of_each(part, shifts, first) for part in ("hybrid.held", "hybrid.repeated"))
        return _part("hybrid.counts").replace("{held}", held).replace("{repeated}", repeated)

    further = [f"|| int8send({counts(_FURTHER, first)})" for first in range(len(_FIRST), words, len(_FURTHER))]
    return (
        ("counts", f"| {counts(_FIRST, 0)}" if words else ""),
        ("further", " ".join(further)),
        ("speaker", _part("hybrid.speaker") if asks_who else ""),
        ("flags", _part("hybrid.flags") if flagged else ""),
    )


def _part(name: str) -> str:
    """A part of a statement, without its comment and semicolon."""
    return _COMMENT.sub("", QUERIES[name]).strip().rstrip(";")


def _turn(words: int) -> np.dtype[np.void]:
    """A turn's record."""
    further = -(-max(0, words - len(_FIRST)) // len(_FURTHER))
    return np.dtype([("id", "u8", 2), ("about", ">i8"), ("further", ">i8", (further,))])


def _counted(about: Integers, further: Integers, words: int) -> Integers:
    """[turns], [turns, numbers] -> [counts, 3]: a turn's number, a word's, and how often the turn holds it."""
    first = about >> _FIRST[0]
    matching = np.flatnonzero((first | further.any(axis=1) if further.size else first) > 0)
    counts = (about[matching, None] >> np.array(_FIRST)) & _MOST
    if further.size:
        more = (further[matching, :, None] >> np.array(_FURTHER)) & _MOST
        counts = np.concatenate([counts, more.reshape(len(matching), -1)], axis=1)
    turn, word = np.nonzero(counts[:, :words])
    return np.stack([matching[turn], word, counts[turn, word]], axis=1)


def _rest(rows: Sequence[Mapping[str, Any]], ids: Ids) -> Integers:
    """The same from ``hybrid.rest``."""
    found = [(row["message_id"].bytes, row["word"], row["occurrences"]) for row in rows]
    record = np.array(found, [("id", "V16"), ("word", np.int64), ("occurrences", np.int64)])
    return np.stack([places(ids, _halves(record["id"])), record["word"], record["occurrences"]], axis=1)


async def _with_fellows(
    tx: Transaction, params: Mapping[str, Any], ids: Ids, conversation: Integers, window_ids: Ids, message: Integers
) -> tuple[Ids, Integers, Integers]:
    """``ids`` [messages, 2], ``conversation`` [messages] and ``message`` [windows] with the messages whose words are
    not known: those that were stored under another text-search configuration."""
    strangers = np.unique(window_ids[message < 0], axis=0)
    rows = await tx.all("hybrid.fellows", dict(params) | {"message_ids": _uuids(strangers)})
    by_id = {row["message_id"]: row for row in rows}
    numbers: dict[Any, int] = {}
    joined = []
    for uuid in _uuids(strangers):
        row = by_id.get(uuid) or {"fellow": None, "conversation_id": uuid}  # deleted since
        fellow = -1 if row["fellow"] is None else int(places(ids, _halves(np.array([row["fellow"].bytes], "V16")))[0])
        if fellow >= 0:
            joined.append(int(conversation[fellow]))
        else:
            number = int(conversation.max(initial=-1)) + 1 + len(numbers)
            joined.append(numbers.setdefault(row["conversation_id"], number))
    ids = np.concatenate([ids, strangers])
    return ids, np.append(conversation, joined), places(ids, window_ids)


def _dated(created: Integers, plan: QueryPlan) -> Flags:
    """[windows]: whether a date that the query names is a window's."""
    matches = np.zeros(len(created), bool)
    for start, end in plan.date_ranges:
        first, last = ((moment - _EPOCH) // timedelta(microseconds=1) for moment in (start, end))
        matches |= (created >= first) & (created < last)
    return matches


def _halves(uuids: NDArray[np.void]) -> Ids:
    """[n] of 16 bytes -> [n, 2]."""
    return np.frombuffer(uuids.tobytes(), np.uint64).reshape(len(uuids), 2)


def _uuids(ids: Ids) -> list[UUID]:
    return [UUID(bytes=halves.tobytes()) for halves in ids]
