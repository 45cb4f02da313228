"""What goes into a budget of tokens, and what it looks like."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from memory_grpc.domain.messages import StoredMessage
from memory_grpc.operations.context.render import line
from memory_grpc.ranking.budget import Candidate, Filled, Reason, fill


def one(
    number: int, tokens: int | None, relevance: float = 0.0, text: str = "", reason: Reason = "relevant"
) -> Candidate:
    return Candidate(UUID(int=number), text or f"text {number}", tokens, reason, relevance)


def kept(filled: Filled) -> list[int]:
    return [candidate.id.int for candidate in filled.kept]


candidates = st.lists(
    st.builds(
        one,
        st.integers(0, 30),
        st.none() | st.integers(1, 200),
        st.floats(-1, 2),
        st.sampled_from(["a", "b", "c", "d", "e", "the question"]),
    ),
    max_size=25,
)


@given(candidates, candidates, st.integers(0, 500), st.floats(0, 1))
def test_never_over_the_budget_nothing_twice_and_never_the_question(
    leading: list[Candidate], memories: list[Candidate], budget: int, share: float
) -> None:
    filled = fill(leading, memories, budget=budget, leading_budget=int(share * budget), question=" the question\n")
    assert sum(candidate.tokens or 0 for candidate in filled.kept) <= budget
    assert len(set(kept(filled))) == len(filled.kept)
    texts = [candidate.text for candidate in filled.kept]
    assert len(set(texts)) == len(texts) and "the question" not in texts
    assert None not in [candidate.tokens for candidate in filled.kept]
    missed = {candidate.id.int for candidate in filled.too_long}
    assert not missed & set(kept(filled)), "what went in did fit"
    again = fill(leading, memories, budget=budget, leading_budget=int(share * budget), question="the question")
    assert again == filled


def test_a_long_memory_must_be_more_relevant_than_a_short_one() -> None:
    # .08 · ln(100 / 10) = .184
    for long, first in ((0.60, 2), (0.70, 1)):
        filled = fill([], [one(1, 100, long), one(2, 10, 0.5)], budget=1000, leading_budget=0, question="")
        assert kept(filled)[0] == first


def test_what_does_not_fit_is_skipped_and_a_shorter_one_follows() -> None:
    memories = [one(1, 60, 0.9), one(2, 60, 0.8), one(3, 30, 0.1), one(4, None, 0.99)]
    filled = fill([], memories, budget=100, leading_budget=0, question="")
    assert kept(filled) == [1, 3]
    assert [candidate.id.int for candidate in filled.too_long] == [4, 2]


def test_what_leads_has_its_share_and_may_come_again_as_a_memory() -> None:
    leading = [one(1, 30, reason="pinned"), one(2, 30, reason="recent"), one(3, 10, reason="recent")]
    memories = [one(2, 30, 0.9), one(4, 30, 0.5)]
    filled = fill(leading, memories, budget=100, leading_budget=50, question="")
    assert [(candidate.id.int, candidate.reason) for candidate in filled.kept] == [
        (1, "pinned"),
        (3, "recent"),
        (2, "relevant"),
        (4, "relevant"),
    ]
    assert filled.too_long == []


def test_neighbours_follow_their_memory_and_only_if_it_is_in() -> None:
    near = one(5, 10, reason="neighbour")
    far = one(6, 10, reason="neighbour")
    first = Candidate(UUID(int=1), "first", 20, "relevant", 0.9, (near, far))
    second = Candidate(UUID(int=2), "second", 500, "relevant", 0.8, (one(7, 5, reason="neighbour"),))
    assert kept(fill([], [first, second], budget=35, leading_budget=0, question="")) == [1, 5]


def said(content: str, name: str | None = None) -> StoredMessage:
    moment = datetime(2026, 11, 14, 20, 30, 59, tzinfo=UTC)
    return StoredMessage(
        UUID(int=1), "acme", "c", "user", name, content, {}, 0.5, "completed", created_at=moment, updated_at=moment
    )


def test_a_line_says_when_who_and_what() -> None:
    assert line(said("I love Python", "Caroline")) == "[2026-11-14 20:30] Caroline: I love Python"
    assert line(said("I love Python")) == "[2026-11-14 20:30] user: I love Python"


@given(st.text(max_size=80), st.text(min_size=1, max_size=20))
def test_no_text_and_no_name_looks_like_another_message(content: str, name: str) -> None:
    first, *others = line(said(content, name)).splitlines()
    assert first.startswith("[2026-11-14 20:30] ")
    assert all(other.startswith("  ") for other in others)
