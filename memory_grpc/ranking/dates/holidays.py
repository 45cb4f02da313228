"""Holidays, fixed and computed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from typing import Final, NamedTuple


class Holiday(NamedTuple):
    """When a holiday is, and how many days before and after it are meant with it."""

    of: Callable[[int], date]
    around: int


def _fixed(month: int, day: int) -> Callable[[int], date]:
    return lambda year: date(year, month, day)


def _nth(month: int, weekday: int, number: int) -> Callable[[int], date]:
    """The `number`-th such weekday of a month (Monday is 0); of -1, the last."""

    def of(year: int) -> date:
        if number > 0:
            first = date(year, month, 1)
            return first + timedelta(days=(weekday - first.weekday()) % 7 + 7 * (number - 1))
        last = date(year, month + 1, 1) - timedelta(days=1)
        return last - timedelta(days=(last.weekday() - weekday) % 7)

    return of


def _easter(days: int) -> Callable[[int], date]:
    """So many days after Easter Sunday, by the Gregorian computus of Meeus, Jones and Butcher."""

    def of(year: int) -> date:
        a, (b, c) = year % 19, divmod(year, 100)
        d, e = divmod(b, 4)
        g = (8 * b + 13) // 25
        h = (19 * a + b - d - g + 15) % 30
        i, k = divmod(c, 4)
        weekday = (32 + 2 * e + 2 * i - h - k) % 7
        m = (a + 11 * h + 19 * weekday) // 433
        month = (h + weekday - 7 * m + 90) // 25
        return date(year, month, (h + weekday - 7 * m + 33 * month + 19) % 32) + timedelta(days=days)

    return of


# What the name says is a day or an eve is that day; the others are celebrated around it.
HOLIDAYS: Final = {
    "christmas eve": Holiday(_fixed(12, 24), 0),
    "christmas day": Holiday(_fixed(12, 25), 0),
    "christmas": Holiday(_fixed(12, 25), 1),
    "xmas": Holiday(_fixed(12, 25), 1),
    "boxing day": Holiday(_fixed(12, 26), 0),
    "new year's eve": Holiday(_fixed(12, 31), 0),
    "new year's day": Holiday(_fixed(1, 1), 0),
    "new year's": Holiday(_fixed(1, 1), 1),
    "valentine's day": Holiday(_fixed(2, 14), 0),
    "valentine's": Holiday(_fixed(2, 14), 1),
    "st patrick's day": Holiday(_fixed(3, 17), 0),
    "halloween": Holiday(_fixed(10, 31), 1),
    "independence day": Holiday(_fixed(7, 4), 0),
    "veterans day": Holiday(_fixed(11, 11), 0),
    "juneteenth": Holiday(_fixed(6, 19), 1),
    "good friday": Holiday(_easter(-2), 0),
    "easter sunday": Holiday(_easter(0), 0),
    "easter monday": Holiday(_easter(1), 0),
    "easter": Holiday(_easter(0), 1),
    "pentecost": Holiday(_easter(49), 1),
    "thanksgiving day": Holiday(_nth(11, 3, 4), 0),
    "thanksgiving": Holiday(_nth(11, 3, 4), 1),
    "black friday": Holiday(lambda year: _nth(11, 3, 4)(year) + timedelta(days=1), 0),
    "mother's day": Holiday(_nth(5, 6, 2), 0),
    "father's day": Holiday(_nth(6, 6, 3), 0),
    "memorial day": Holiday(_nth(5, 0, -1), 0),
    "labor day": Holiday(_nth(9, 0, 1), 0),
    "labour day": Holiday(_nth(9, 0, 1), 0),
    "martin luther king day": Holiday(_nth(1, 0, 3), 0),
    "mlk day": Holiday(_nth(1, 0, 3), 0),
}
