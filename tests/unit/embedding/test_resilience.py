import pytest

from memory_grpc.embedding.resilience import Backoff, CircuitBreaker


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("attempt", "random", "seconds"), [(0, 0.0, 0.5), (0, 1.0, 1.0), (1, 0.5, 1.5), (3, 1.0, 8.0), (2000, 1.0, 8.0)]
)
def test_delays_double_up_to_the_cap_and_half_is_random(attempt: int, random: float, seconds: float) -> None:
    assert Backoff(base_seconds=1, cap_seconds=8).delay(attempt, lambda: random) == pytest.approx(seconds)


def test_the_circuit_opens_after_failures_in_a_row_only() -> None:
    breaker = CircuitBreaker(threshold=2, cooldown_seconds=10, clock=Clock())
    breaker.failed()
    breaker.succeeded()
    breaker.failed()
    assert breaker.allow()
    breaker.failed()
    assert not breaker.allow()


def test_half_open_lets_one_trial_through_and_its_outcome_decides() -> None:
    clock = Clock()
    breaker = CircuitBreaker(threshold=1, cooldown_seconds=10, clock=clock)
    breaker.failed()
    clock.now = 9.9
    assert not breaker.allow()
    clock.now = 10
    assert breaker.allow() and not breaker.allow()
    breaker.failed()
    clock.now = 19.9
    assert not breaker.allow()
    clock.now = 20
    assert breaker.allow()
    breaker.succeeded()
    assert breaker.allow() and breaker.allow()


def test_a_trial_that_never_reports_does_not_keep_the_circuit_open_for_good() -> None:
    clock = Clock()
    breaker = CircuitBreaker(threshold=1, cooldown_seconds=10, clock=clock)
    breaker.failed()
    clock.now = 10
    assert breaker.allow()
    clock.now = 20
    assert breaker.allow()
