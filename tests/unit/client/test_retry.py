"""What is tried again, after how long, and when no more."""

from __future__ import annotations

import pytest

from memory_grpc.client.errors import (
    DeadlineExceeded,
    Internal,
    MemoryServiceError,
    NotFound,
    ResourceExhausted,
    Unavailable,
)
from memory_grpc.client.retry import Attempts, Retry
from memory_layer.client import rpcs

DOWN = Unavailable("down", code="UNAVAILABLE")
BUSY = ResourceExhausted("busy", code="RESOURCE_EXHAUSTED", retry_after=2.0)


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def attempts(retry: Retry | None = None, timeout: float | None = 30.0, *, is_repeatable: bool = True) -> Attempts:
    return Attempts(retry or Retry(), timeout, is_repeatable=is_repeatable, clock=Clock(), chance=lambda: 1.0)


def test_pauses_double_up_to_the_longest():
    patient = attempts(Retry(attempts=6, first_pause_seconds=1.0, longest_pause_seconds=3.0), timeout=None)
    assert [patient.pause_after(DOWN) for _ in range(5)] == [1.0, 2.0, 3.0, 3.0, 3.0]
    with pytest.raises(Unavailable):
        patient.pause_after(DOWN)


def test_chance_takes_up_to_half_of_a_pause_away():
    lucky = Attempts(Retry(first_pause_seconds=1.0), None, is_repeatable=True, clock=Clock(), chance=lambda: 0.0)
    assert lucky.pause_after(DOWN) == 0.5


def test_what_the_service_asks_for_is_the_least():
    assert attempts().pause_after(BUSY) == 2.0
    with pytest.raises(ResourceExhausted):
        attempts(timeout=1.5).pause_after(BUSY)  # the deadline comes first: there is nothing to wait for


@pytest.mark.parametrize("error", [DOWN, DeadlineExceeded("late", code="DEADLINE_EXCEEDED")])
def test_what_may_have_been_done_is_repeated_only_where_that_does_no_harm(error: MemoryServiceError):
    assert attempts().pause_after(error) > 0
    with pytest.raises(type(error)):
        attempts(is_repeatable=False).pause_after(error)


def test_what_was_refused_for_want_of_room_is_repeated_in_any_case():
    assert attempts(is_repeatable=False).pause_after(BUSY) == 2.0


@pytest.mark.parametrize(
    "error", [NotFound("no"), Internal("fault"), ResourceExhausted("too large", reason="REQUEST_TOO_LARGE")]
)
def test_what_would_fail_again_is_not_repeated(error: MemoryServiceError):
    with pytest.raises(type(error)):
        attempts().pause_after(error)


def test_progress_begins_the_count_anew():
    patient = attempts(Retry(attempts=2, first_pause_seconds=1.0))
    for _ in range(3):
        assert patient.pause_after(DOWN) == 1.0
        patient.progress()


def test_all_attempts_share_one_deadline():
    clock = Clock()
    patient = Attempts(Retry(first_pause_seconds=1.0), 3.0, is_repeatable=True, clock=clock, chance=lambda: 1.0)
    assert patient.left() == 3.0
    clock.now += 1.5
    assert patient.pause_after(DOWN) == 1.0
    clock.now += 1.0
    assert patient.left() == 0.5
    with pytest.raises(Unavailable):
        patient.pause_after(DOWN)


def test_a_retry_that_cannot_be_is_refused():
    for wrong in ({"attempts": 0}, {"first_pause_seconds": 9.0}, {"first_pause_seconds": -1.0}):
        with pytest.raises(ValueError, match="retry"):
            Retry(**wrong)


def test_the_contract_says_what_may_be_repeated():
    assert rpcs.INGEST_MESSAGE.is_repeatable
    assert rpcs.SEARCH_MEMORIES.is_repeatable
    assert not rpcs.CREATE_API_KEY.is_repeatable
    assert not rpcs.PLAN_ERASURE.is_repeatable


def test_patience_ends_attempts_and_shortens_none():
    clock = Clock()
    of_command = Attempts(
        Retry(attempts=100, first_pause_seconds=1.0),
        None,
        is_repeatable=True,
        clock=clock,
        chance=lambda: 1.0,
        each_seconds=60.0,
        patience_seconds=5.0,
    )
    assert of_command.left() == 60.0
    assert of_command.pause_after(DOWN) == 1.0
    clock.now += 4.5
    assert of_command.left() == 60.0
    with pytest.raises(Unavailable):
        of_command.pause_after(DOWN)
