"""Holidays, fixed and computed."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, timedelta
from typing import Final, NamedTuple

from memory_grpc.ranking.dates.lunar import days_after_new_year, dragon_boat, mid_autumn, new_year


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


OF_THE_MOON: Final = ("chinese", "lunar", "korean", "vietnamese")
"""Whose new year is that of the Chinese calendar."""
# What the name says is a day or an eve is that day; the others are celebrated around it.
HOLIDAYS: Final = {
    "christmas eve": Holiday(_fixed(12, 24), 0),
    "christmas day": Holiday(_fixed(12, 25), 0),
    "christmas": Holiday(_fixed(12, 25), 1),
    "xmas eve": Holiday(_fixed(12, 24), 0),
    "xmas day": Holiday(_fixed(12, 25), 0),
    "xmas": Holiday(_fixed(12, 25), 1),
    "boxing day": Holiday(_fixed(12, 26), 0),
    "new year's eve": Holiday(_fixed(12, 31), 0),
    "new year's day": Holiday(_fixed(1, 1), 0),
    "new year's": Holiday(_fixed(1, 1), 1),
    "new year": Holiday(_fixed(1, 1), 1),
    "epiphany": Holiday(_fixed(1, 6), 0),
    "australia day": Holiday(_fixed(1, 26), 0),
    "groundhog day": Holiday(_fixed(2, 2), 0),
    "international women's day": Holiday(_fixed(3, 8), 0),
    "valentine's day": Holiday(_fixed(2, 14), 0),
    "valentine's": Holiday(_fixed(2, 14), 1),
    "st patrick's day": Holiday(_fixed(3, 17), 0),
    "st. patrick's day": Holiday(_fixed(3, 17), 0),
    "april fools' day": Holiday(_fixed(4, 1), 0),
    "april fool's day": Holiday(_fixed(4, 1), 0),
    "earth day": Holiday(_fixed(4, 22), 0),
    "anzac day": Holiday(_fixed(4, 25), 0),
    "may day": Holiday(_fixed(5, 1), 0),
    "cinco de mayo": Holiday(_fixed(5, 5), 0),
    "canada day": Holiday(_fixed(7, 1), 0),
    "bastille day": Holiday(_fixed(7, 14), 0),
    "all saints' day": Holiday(_fixed(11, 1), 0),
    "all souls' day": Holiday(_fixed(11, 2), 0),
    "bonfire night": Holiday(_fixed(11, 5), 0),
    "guy fawkes night": Holiday(_fixed(11, 5), 0),
    "remembrance day": Holiday(_fixed(11, 11), 0),
    "halloween": Holiday(_fixed(10, 31), 1),
    "independence day": Holiday(_fixed(7, 4), 0),
    "veterans day": Holiday(_fixed(11, 11), 0),
    "juneteenth": Holiday(_fixed(6, 19), 1),
    "shrove tuesday": Holiday(_easter(-47), 0),
    "pancake day": Holiday(_easter(-47), 0),
    "mardi gras": Holiday(_easter(-47), 0),
    "ash wednesday": Holiday(_easter(-46), 0),
    "palm sunday": Holiday(_easter(-7), 0),
    "maundy thursday": Holiday(_easter(-3), 0),
    "good friday": Holiday(_easter(-2), 0),
    "easter sunday": Holiday(_easter(0), 0),
    "easter monday": Holiday(_easter(1), 0),
    "easter": Holiday(_easter(0), 1),
    "ascension day": Holiday(_easter(39), 0),
    "whit sunday": Holiday(_easter(49), 0),
    "whit monday": Holiday(_easter(50), 0),
    "corpus christi": Holiday(_easter(60), 0),
    "pentecost": Holiday(_easter(49), 1),
    "thanksgiving day": Holiday(_nth(11, 3, 4), 0),
    "thanksgiving": Holiday(_nth(11, 3, 4), 1),
    "black friday": Holiday(lambda year: _nth(11, 3, 4)(year) + timedelta(days=1), 0),
    "cyber monday": Holiday(lambda year: _nth(11, 3, 4)(year) + timedelta(days=4), 0),
    "presidents' day": Holiday(_nth(2, 0, 3), 0),
    "president's day": Holiday(_nth(2, 0, 3), 0),
    "columbus day": Holiday(_nth(10, 0, 2), 0),
    "mother's day": Holiday(_nth(5, 6, 2), 0),
    "father's day": Holiday(_nth(6, 6, 3), 0),
    "memorial day": Holiday(_nth(5, 0, -1), 0),
    "labor day": Holiday(_nth(9, 0, 1), 0),
    "labour day": Holiday(_nth(9, 0, 1), 0),
    "martin luther king day": Holiday(_nth(1, 0, 3), 0),
    "martin luther king jr day": Holiday(_nth(1, 0, 3), 0),
    "martin luther king jr. day": Holiday(_nth(1, 0, 3), 0),
    "mlk day": Holiday(_nth(1, 0, 3), 0),
    **{
        f"{whose} new year{rest}": Holiday(days_after_new_year(-1 if "eve" in rest else 0), 0 if " " in rest else 1)
        for whose in OF_THE_MOON
        for rest in ("", "'s", "'s eve", " eve", "'s day", " day")
    },
    "seollal": Holiday(new_year, 1),
    "spring festival": Holiday(new_year, 1),
    "lantern festival": Holiday(days_after_new_year(14), 0),
    "dragon boat festival": Holiday(dragon_boat, 0),
    "mid-autumn festival": Holiday(mid_autumn, 0),
    "moon festival": Holiday(mid_autumn, 0),
    "chuseok": Holiday(mid_autumn, 1),
}

# Places, thoughts, a film and any feast in spring are called so as well.
_ONLY_IF_SAID = frozenset({"corpus christi", "epiphany", "groundhog day", "spring festival"})
_SAYS_SO = re.compile(
    r"(?:\b(?:on|before|after|since|until|till|by|during|over|around|last|this|next|(?:day|eve|feast|week|weekend) of)"
    r"|(?<!\bleave )(?<!\bleft )(?<!\bleaving )\bfor)\s+(?:the\s+)?(?:feast\s+of\s+)?$",
    re.IGNORECASE,
)
_AS_A_FILM = re.compile(r"\b(?:watch|watched|watching|saw|seen|film|movie)\s+$", re.IGNORECASE)


def is_meant(name: str, written: str, before: str) -> bool:
    """Whether a holiday's name means its day: not in "the bus from Corpus Christi", "my epiphany", "we watched
    Independence Day".

    Args:
        name: a key of HOLIDAYS.
        written: the name as the text has it.
        before: some of the text before it.
    """
    if name in _ONLY_IF_SAID and (written.islower() or not _SAYS_SO.search(before)):
        return False
    return not _AS_A_FILM.search(before)
