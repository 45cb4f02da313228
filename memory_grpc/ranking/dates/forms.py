"""Dates and numbers that are written in figures or in several words: what each is worth."""

from __future__ import annotations

import re
from datetime import date, datetime
from typing import Any, Final

from memory_grpc.ranking.dates.holidays import HOLIDAYS
from memory_grpc.ranking.dates.vocabulary import NUMBERS, ORDINALS, PHRASES, WORDS

DECADES: Final = {"thirties": 30, "forties": 40, "fifties": 50, "sixties": 60, "seventies": 70, "eighties": 80,
                  "nineties": 90}  # fmt: skip
_HOLIDAY_KEYS = {name.replace("'", ""): name for name in HOLIDAYS}


def form_of(group: str, word: str) -> tuple[str, Any]:
    """The token of a form that is more than a word. ValueError where there is no such date."""
    key = " ".join(word.lower().replace("’", "'").split())
    match group:
        case "INSTANT":
            return "INSTANT", datetime.fromisoformat(word.upper())
        case "YMD" | "DMY":
            first, second, third = map(int, re.split(r"[-/.]", word))
            return "DATE", date(first, second, third) if group == "YMD" else _day_first(first, second, _year(third))
        case "DMONY":
            day, month, year = key.split("-")
            return "DATE", date(_year(int(year)), 5 if month == "may" else WORDS[month][1], int(day))
        case "COMPACT":
            return "NUMBERS", date.fromisoformat(word)
        case "DM":
            first, second = map(int, word.split("/"))
            found = _day_first(first, second, 2000)
            return "NUMBERS", (found.month, found.day, max(first, second) > 12)
        case "YW":
            return "YW", date.fromisocalendar(int(word[:4]), int(word[-2:]), 1)
        case "YEARS":
            if (int(word[:4]) + 1) % 100 != int(word[-2:]):
                raise ValueError("no years in a row")
            return "YEARS", int(word[:4])
        case "SHORTYEAR":
            return "Y", _year(int(re.sub(r"\D", "", word)))
        case "MY":
            first, second = map(int, word.split("/"))
            return "MY", (first, second) if first > 12 else (second, first)
        case "YM":
            return "YM", (int(word[:4]), int(word[5:]))
        case "DECADE":
            digits = DECADES.get(key) or int(re.sub(r"\D", "", word))
            return "DECADE", _year(digits, 20)
        case "ORD" | "QN" | "HN":
            return group, int(re.sub(r"\D", "", word))
        case "NUMBER":
            return _number(word)
        case "NUMW":
            return "NUMW", _in_words(key)
        case "ORDW":
            tens, unit = re.split(r"[-\s]+", key)
            return "ORDW", NUMBERS[tens] + ORDINALS[unit]
        case "HOLIDAY" | "NEWYEAR":
            return "HOLIDAY", _HOLIDAY_KEYS[key.replace("'", "")]
        case _:
            return PHRASES[key]


def _day_first(first: int, second: int, year: int) -> date:
    """25/12/2025, as most of the world writes it; month-first only where that is the one way to read it."""
    return date(year, second, first) if second <= 12 else date(year, first, second)


def _year(number: int, latest: int = 69) -> int:
    """'98 is 1998, '24 is 2024."""
    return number if number > 99 else number + (2000 if number <= latest else 1900)


def _in_words(key: str) -> int:
    """ "twenty-one", "two hundred and five" """
    total = 0
    for word in re.split(r"[-\s]+", key):
        if word == "hundred":
            total = 100 * (total or 1)
        elif word != "and":
            total += 1 if word == "a" else NUMBERS[word]
    return total


def _number(word: str) -> tuple[str, Any]:
    if word.endswith("½"):
        return "DEC", int(word[:-1]) + 0.5
    if "." in word:
        return "DEC", float(word)
    number = int(word.replace(",", ""))
    if len(word) == 4 and 1900 <= number < 2100:
        return "Y", number
    return ("NUM" if 1 <= number <= 31 else "INT"), number
