"""Feasts of the Chinese calendar from 1970 to 2069, as lunardate 0.3.0 (PyPI) computes them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from typing import Final

from memory_grpc.ranking.dates.spans import NoSuchDay

_FIRST_YEAR: Final = 1970
# A letter a year, in base 32: how many days after the first day on which the feast can be.
_NEW_YEAR: Final = (
    "h7qe3mbti8rg5odvk9sh7qf3lbui8rg4nc2k9ti6pe3lbuj8rg5nc2l9sh6oe3mbuj8qf4nc2lash6pd3mcuj8qf4nd1k9sg6pe3"
)
_DRAGON_BOAT: Final = (
    "e3lbuk8rg5ncvlash6oe3mbuj8qf5ocvlash6pe3mcti8qf5odvk9sg6pf3mbui7qg5od2k9sh6pe4latj7qg5ncvk9sh7pe3mat"
)
_MID_AUTUMN: Final = (
    "8qf4nd1k9sg5oe3mbui7qf4nd2k9sh5oe4lbti7qf5nc1k8rh6oe3mati8qf5oc1k9rh6pd3lasi8rf4nc0j9sh6pe2lati8qg4m"
)


def new_year(year: int) -> date:
    """The first day of the first month. NoSuchDay outside of the table."""
    return _day(year, date(year, 1, 20), _NEW_YEAR)


def days_after_new_year(days: int) -> Callable[[int], date]:
    """Its eve for -1, the Lantern Festival for 14."""
    return lambda year: new_year(year) + timedelta(days=days)


def dragon_boat(year: int) -> date:
    """The fifth day of the fifth month. NoSuchDay outside of the table."""
    return _day(year, date(year, 5, 25), _DRAGON_BOAT)


def mid_autumn(year: int) -> date:
    """The fifteenth day of the eighth month. NoSuchDay outside of the table."""
    return _day(year, date(year, 9, 7), _MID_AUTUMN)


def _day(year: int, first: date, letters: str) -> date:
    if not 0 <= year - _FIRST_YEAR < len(letters):
        raise NoSuchDay(f"no feast of {year} is known")
    return first + timedelta(days=int(letters[year - _FIRST_YEAR], 32))
