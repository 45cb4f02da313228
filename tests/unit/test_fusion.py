"""The hybrid score from arrays: what the reference test of tests/integration does not reach."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from memory_grpc.offload import INLINE_BYTES
from memory_grpc.ranking import HybridWeights, fusion
from memory_grpc.ranking.fusion import Fused, Memory, fuse
from memory_grpc.store import rank_request
from memory_grpc.store.hybrid_columns import places

DAY = 86_400_000_000


def memory(similarities: list[float], **changes: Any) -> Memory:
    """Messages of one window each, each in a conversation of its own, without words, all as old as the search."""
    count = len(similarities)
    values: dict[str, Any] = {
        "ids": np.array([[0, number] for number in range(count)], ">u8").view(np.uint64),
        "conversation": np.arange(count),
        "previous": np.full((count, 2), -1),
        "lengths": np.zeros(count, np.int64),
        "counts": np.zeros((count, 0), np.uint8),
        "turn": np.arange(count),
        "similarity": np.array(similarities),
        "importance": np.full(count, 0.5),
        "created": np.zeros(count, np.int64),
        "speaker": np.zeros(count, bool),
        "date": np.zeros(count),
        "cues": np.zeros(count, np.int64),
        "passes": np.ones(count, bool),
        "as_of": 0,
    }
    return Memory(**values | changes)


def value(hit: Fused, name: str) -> float:
    """Of a term of a hit's relevance."""
    return next(part.value for part in hit.parts if part.name == name)


def best(of: Memory, top_k: int = 10, parts: HybridWeights | None = None) -> tuple[list[int], list[Fused], int]:
    """The numbers of the messages found, the hits, and how many were ranked."""
    found, candidates = fuse(of, parts or HybridWeights(), similarity=0.6, importance=0.3, decay=0.1, top_k=top_k)
    numbers = {halves.tobytes(): number for number, halves in enumerate(of.ids)}
    return [numbers[hit.message_id] for hit in found], found, candidates


def test_nothing_is_found_where_nothing_passes() -> None:
    assert best(memory([])) == ([], [], 0)
    assert best(memory([0.5, 0.4], passes=np.zeros(2, bool))) == ([], [], 0)


def test_the_best_come_first_and_ties_are_broken_by_time_and_then_by_id_the_highest_first() -> None:
    # What is of the future decays like what is of now: the scores are the same, the times are not.
    of = memory([0.1, 0.2, 0.2, 0.2], created=np.array([1, 1, 2, 1]))
    assert best(of)[0] == [2, 3, 1, 0]


def test_ties_at_the_edge_are_decided_by_the_id_however_few_are_asked_for() -> None:
    of = memory([0.5] * 1000)
    assert best(of, top_k=3)[0] == [999, 998, 997]
    assert best(of, top_k=999)[0] == list(range(999, 0, -1))


def test_of_many_equals_no_more_are_made_than_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    made = 0

    def counted(**values: Any) -> Fused:
        nonlocal made
        made += 1
        return Fused(**values)

    monkeypatch.setattr(fusion, "Fused", counted)
    assert best(memory([0.5] * 5000), top_k=3)[0] == [4999, 4998, 4997]
    assert made == 3


def test_a_message_of_many_windows_is_one_hit_and_hides_no_other() -> None:
    message = np.array([0] * 200 + [1, 2])
    similarity = np.concatenate([np.linspace(0.9, 0.99, 200), [0.2, 0.1]])
    windows = {"speaker": np.zeros(202, bool), "date": np.zeros(202), "passes": np.ones(202, bool)}
    of = memory(
        [0, 0, 0],
        turn=message,
        importance=np.full(202, 0.5),
        created=np.zeros(202, np.int64),
        cues=np.zeros(202, np.int64),
        **windows,
    )
    numbers, found, candidates = best(memory_with(of, similarity=similarity), top_k=3)
    assert (numbers, candidates) == ([0, 1, 2], 3)
    assert found[0].similarity == pytest.approx(0.99)


def memory_with(of: Memory, **changes: Any) -> Memory:
    return Memory(**{name: getattr(of, name) for name in Memory.__slots__} | changes)


def test_negative_relevance_counts_for_nothing() -> None:
    _, found, _ = best(memory([-0.2, -0.4]))
    assert [hit.score for hit in found] == pytest.approx([0.3 * 0.5 + 0.1] * 2)


def test_a_message_before_the_reach_of_a_double_fades_to_nothing_and_one_of_the_future_is_new() -> None:
    _, found, _ = best(memory([0.2, 0.1], created=np.array([DAY, -20_000 * DAY])))
    assert found[0].decay == 1
    assert 0 < found[1].decay < 1e-300


def test_a_conversation_lifts_what_passes_by_what_does_not() -> None:
    of = memory([0.3, 0.9, 0.3], conversation=np.array([0, 0, 1]), passes=np.array([True, False, True]))
    numbers, found, candidates = best(of)
    assert (numbers, candidates) == ([0, 2], 2)
    assert found[0].raw_relevance == pytest.approx(0.3 + 0.4 * 0.9)
    assert found[0].best_relevance == found[0].raw_relevance


def test_words_reach_two_turns_on_and_not_into_the_next_conversation() -> None:
    of = memory(
        [0.0] * 5,
        conversation=np.array([0, 0, 0, 0, 1]),
        previous=np.array([[-1, -1], [0, -1], [1, 0], [2, 1], [-1, -1]]),
        lengths=np.array([4, 4, 4, 4, 4]),
        counts=np.array([[2, 0], [0, 0], [0, 0], [0, 1], [0, 0]], np.uint8),
    )
    lexical = {number: value(hit, "lexical") for number, hit in zip(*best(of)[:2], strict=True)}
    lengths = [4, 6, 7, 7, 4]
    mean = sum(lengths) / 5
    idf = math.log(1 + (5 - 1 + 0.5) / (1 + 0.5))

    def bm25(count: float, length: float) -> float:
        return idf * count * 1.9 / (count + 0.9 * (0.6 + 0.4 * length / mean)) / math.log(6)

    expected = [bm25(2, 4), bm25(1, 6), bm25(0.5, 7), bm25(1, 7), 0]
    assert [lexical[number] for number in range(5)] == pytest.approx(expected, abs=1e-7)


def test_without_saturation_a_word_counts_once_and_where_it_is_not_not_at_all() -> None:
    of = memory([0.0, 0.0], lengths=np.array([3, 3]), counts=np.array([[3], [0]], np.uint8))
    lexical = {
        number: value(hit, "lexical") for number, hit in zip(*best(of, parts=HybridWeights(k1=0))[:2], strict=True)
    }
    assert lexical == {0: pytest.approx(math.log(1 + 1.5 / 1.5) / math.log(3), abs=1e-7), 1: 0}


def test_messages_whose_words_are_not_known_are_found_by_the_rest() -> None:
    of = memory([0.1, 0.9], previous=np.full((1, 2), -1), lengths=np.array([3]), counts=np.array([[1]], np.uint8))
    numbers, found, _ = best(of)
    assert numbers == [1, 0]
    assert [value(hit, "lexical") > 0 for hit in found] == [False, True]


def test_places_of_ids_that_share_a_half_and_of_ids_that_are_not_there() -> None:
    ids = np.array([[7, 1], [7, 2], [3, 9], [2**64 - 1, 0]], np.uint64)
    wanted = np.array([[7, 2], [7, 1], [8, 1], [2**64 - 1, 0], [3, 9], [3, 8]], np.uint64)
    assert places(ids, wanted).tolist() == [1, 0, -1, 3, 2, -1]
    assert places(ids[:0], wanted[:2]).tolist() == [-1, -1]
    assert places(ids, wanted[:0]).tolist() == []


def test_places_of_so_many_ids_that_some_share_a_slot() -> None:
    rng = np.random.default_rng(1)
    ids = np.concatenate([rng.integers(0, 2**64, (4000, 2), np.uint64), [[1, number] for number in range(4000)]])
    ids = ids.astype(np.uint64)
    wanted = np.concatenate([ids[::-1], rng.integers(0, 2**64, (500, 2), np.uint64)])
    assert places(ids, wanted).tolist() == [*range(len(ids))[::-1], *[-1] * 500]


@pytest.mark.parametrize(("turns", "windows", "words"), [(1000, 200_000, 5), (2000, 2000, 64), (16_000, 16_000, 3)])
@pytest.mark.asyncio
async def test_what_takes_long_is_ranked_in_a_thread(
    turns: int, windows: int, words: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []

    async def by_size(size: int, work: Any) -> Any:
        sizes.append(size)

    monkeypatch.setattr(rank_request, "by_size", by_size)
    of = memory_with(memory([0.0] * turns), turn=np.zeros(windows, np.int64), counts=np.zeros((turns, words), np.uint8))
    request: Any = SimpleNamespace(weights=SimpleNamespace(similarity=1.0, importance=0.0, decay=0.0), top_k=1)
    await rank_request.fused(of, request, cast(Any, SimpleNamespace(parts=HybridWeights())))
    assert sizes[0] > INLINE_BYTES
