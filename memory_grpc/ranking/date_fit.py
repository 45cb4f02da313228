"""How well a time of writing fits a date that a query names."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

_DAY = 86400 * 1e6
_YEAR = 365.0
# A side that is open is as far away as ten years; what is longer says no less.
_LONGEST = 10 * _YEAR
# What happened is told on the day and the week after it, and seldom before it.
_FADES_AFTER, _FADES_BEFORE = 7.0, 1 / 3
_LEAST_EXPONENT = -700.0


def date_fit(created: NDArray[np.int64], start: int | None, end: int | None) -> NDArray[np.float64]:
    """[n] -> [n], 0 to 1: 1 within a day that is named, fading after it (e-fold in a week) and before it (in 8 hours).

    Times are microseconds; None is a side that is open. A longer range says less of each time in it:
    1 / (1 + ln(days) / ln(365)), which is .75 for a week, .63 for a month and half for a year.
    """
    days = _LONGEST if start is None or end is None else min(max((end - start) / _DAY, 1.0), _LONGEST)
    exponents = np.zeros(len(created))
    if end is not None:
        exponents -= np.maximum(0, created - end) / _DAY / _FADES_AFTER
    if start is not None:
        exponents -= np.maximum(0, start - created) / _DAY / _FADES_BEFORE
    worth = 1 / (1 + math.log(days) / math.log(_YEAR))
    return np.asarray(worth * np.exp(np.maximum(_LEAST_EXPONENT, exponents)))
