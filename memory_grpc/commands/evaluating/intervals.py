"""How far a mean over questions may be trusted: percentile bootstrap (Efron and Tibshirani 1993, chapter 13)."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from statistics import quantiles

_RESAMPLES = 1000
_SEED = 0


def interval(values: Sequence[float]) -> tuple[float, float]:
    """The 95 % interval of the mean of ``values``, which is not empty: questions are drawn again, with replacement.

    The same values in the same order give the same interval: the seed is fixed. Questions about one conversation depend
    on each other, which no interval of this kind knows: for another conversation it is too narrow.
    """
    random = Random(_SEED)  # noqa: S311 -- repeatable is what it must be
    count = len(values)
    means = [sum(random.choices(values, k=count)) / count for _ in range(_RESAMPLES)]
    bounds = quantiles(means, n=40, method="inclusive")
    return bounds[0], bounds[-1]


def percent(values: Sequence[float]) -> list[float]:
    """The interval in percent, as rows have it."""
    return [round(100 * bound, 2) for bound in interval(values)]


def shown(bounds: Sequence[float]) -> str:
    """An interval as people read it."""
    low, high = bounds
    return f"{low:.1f} to {high:.1f}"
