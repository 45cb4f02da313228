"""Participants in a query: who is meant, and that reading it takes as long as the query and the names are, not the one
times the other."""

from __future__ import annotations

import itertools
import string
import time
from datetime import UTC, datetime

import pytest

from memory_grpc.ranking import HybridWeights, Participants, plan_query
from memory_grpc.ranking.names import find_mentions

NOW = datetime(2026, 1, 1, tzinfo=UTC)
_WORDS = ("".join(letters) for letters in itertools.product(string.ascii_lowercase, repeat=3))
LONGEST_QUERY = 10_000
# Of a speaker's name 64 characters are kept, of a tenant 1,000 names.
LONG_NAMES = tuple(" ".join(next(_WORDS) for _ in range(16)) for _ in range(1000))
ALIKE = tuple(f"Aa Bb {number}q" for number in range(1000))
NEARLY = tuple("人" * 63 + chr(0x4E00 + number) for number in range(1000))


@pytest.mark.parametrize(
    ("query", "names", "named"),
    [
        ("小明说了什么", ("小明",), {"小明"}),
        ("小明明说了什么", ("小明", "小明明"), {"小明明"}),
        ("我和Anna去", ("Anna",), {"Anna"}),
        ("John Smith or John", ("John Smith", "John Doe"), {"John Smith", "John Doe"}),
        ("Did May call in May?", ("May",), {"May"}),
        ("Did I go in May?", ("May",), set()),
        ("Ann Ann Ann", ("Ann", "Ann Lee"), {"Ann", "Ann Lee"}),
        ("Will he come?", ("Will",), set()),
        ('"  (Will he come?', ("Will",), set()),
        ("Then Will came", ("Will",), {"Will"}),
    ],
)
def test_who_is_named(query: str, names: tuple[str, ...], named: set[str]) -> None:
    plan = plan_query(query, Participants(names), NOW, HybridWeights())
    assert set(plan.speaker_names) == named


def test_words_that_are_read_as_a_date_name_nobody_wherever_they_stand() -> None:
    text = "Did May, 1 May, 2 May call May"
    spans = [(9, 14), (16, 21)]
    assert [(m.start, m.end) for m in find_mentions(text, Participants(("May",)), spans)] == [(4, 7), (27, 30)]


@pytest.mark.parametrize(
    ("query", "names"),
    [("一", LONG_NAMES), ("人", NEARLY), ("Aa, ", ALIKE), ("Aa ", ALIKE), ("Aa Bb, ", ALIKE), ("Aa 1 May, ", ALIKE)],
    ids=["unspaced", "nearly", "alike", "one run", "two words", "dates"],
)
def test_the_longest_query_is_read_in_a_moment_whoever_speaks_in_the_tenant(query: str, names: tuple[str, ...]) -> None:
    text = (query * LONGEST_QUERY)[:LONGEST_QUERY]
    # Of this thread alone, so that a busy machine changes nothing; the collector, which may run in it, takes a second
    # after thousands of tests. The name times the query took up to 17 seconds.
    started = time.thread_time()
    plan_query(text, Participants(names), NOW, HybridWeights())
    assert time.thread_time() - started < 3
