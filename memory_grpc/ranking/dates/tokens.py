"""A text to typed tokens: one pass of one regex, and a look-up of each word."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from datetime import date, datetime
from itertools import chain, pairwise
from typing import Any, Final

from lark import Token

from memory_grpc.ranking.dates.holidays import HOLIDAYS

OTHER: Final = "OTHER"
"""What no date contains. It ends a run of tokens."""

_UNITS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_TEENS = ("ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen")
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_NUMBERS = {word: number for number, word in enumerate(_UNITS + _TEENS, 1)}
_NUMBERS |= {word: 10 * number for number, word in enumerate(_TENS, 2)} | {"hundred": 100, "thousand": 1000}
_ORDINALS = ("first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")
_MONTHS = ("january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november",
           "december")  # fmt: skip
_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_SHORT_DAYS = {"mon": 0, "tue": 1, "tues": 1, "wed": 2, "thu": 3, "thur": 3, "thurs": 3, "fri": 4, "sat": 5, "sun": 6}
# As common words they are written small.
_ONLY_CAPITALISED = {"mon", "sat", "sun", "mar"}

_WORDS: Final[dict[str, tuple[str, Any]]] = {
    **{word: ("MONTH", number) for number, word in enumerate(_MONTHS, 1)},
    **{word[:3]: ("ABBR", number) for number, word in enumerate(_MONTHS, 1) if word != "may"},
    "sept": ("ABBR", 9),
    **{word: ("WDAY", number) for number, word in enumerate(_WEEKDAYS)},
    **{word + "s": ("WDAYS", number) for number, word in enumerate(_WEEKDAYS)},
    **{word: ("WDAY", number) for word, number in _SHORT_DAYS.items()},
    **{word: ("NUMW", number) for word, number in _NUMBERS.items()},
    **{word: ("ORDW", number) for number, word in enumerate(_ORDINALS, 1)},
    **{word + s: ("UNIT", word) for word in ("minute", "hour", "month", "fortnight", "decade") for s in ("", "s")},
    "seconds": ("UNIT", "second"),
    **{word + s: (word.upper(), word) for word in ("day", "week", "quarter", "year") for s in ("", "s")},
    "weekend": ("WEEKEND", "weekend"), "weekends": ("UNIT", "weekend"),
    **{word: ("SEASON", number) for word, number in
       {"spring": 3, "summer": 6, "fall": 9, "autumn": 9, "winter": 12}.items()},
    **{word: ("PART", word) for word in ("morning", "afternoon", "evening", "night")},
    "half": ("HALF", "half"),
    "yesterday": ("NEAR", -1), "today": ("NEAR", 0), "tomorrow": ("NEAR", 1), "tonight": ("TONIGHT", 0),
    "now": ("NOW", 0), "ago": ("AGO", 0),
    **dict.fromkeys(("last", "previous"), ("LAST", -1)),
    "past": ("PAST", -1),
    **dict.fromkeys(("this", "current"), ("THIS", 0)),
    **dict.fromkeys(("next", "coming", "upcoming"), ("NEXT", 1)),
    "earlier": ("EARLIER", 0), "later": ("LATER", 0), "shortly": ("SHORTLY", 0), "just": ("SHORTLY", 0),
    "a": ("A", 1), "an": ("A", 1), "couple": ("NUMW", 2), "few": ("FEW", (2, 5)), "several": ("FEW", (2, 5)),
    **{word: ("IN", word) for word in ("in", "during", "throughout", "within", "over")},
    **{word: ("FOR", word) for word in ("for", "around", "at")},
    "on": ("ON", "on"), "of": ("OF", "of"), "from": ("FROM", "from"),
    "before": ("BEFORE", 0), "after": ("AFTER", 0), "following": ("AFTER", 0), "since": ("SINCE", 0),
    **dict.fromkeys(("until", "till", "by"), ("UNTIL", 0)),
    "between": ("BETWEEN", 0), "to": ("TO", "to"), "through": ("TO", "to"), "and": ("AND", "and"), "or": ("OR", "or"),
    **dict.fromkeys(("onwards", "onward"), ("ONWARDS", 0)),
    "early": ("EDGE", 0), "mid": ("EDGE", 1), "late": ("EDGE", 2),
    "beginning": ("TIP", 0), "start": ("TIP", 0), "middle": ("TIP", 1), "end": ("TIP", 2),
    "-": ("TO", "-"), "–": ("TO", "-"), "—": ("TO", "-"), ",": ("COMMA", ","),
}  # fmt: skip
_PHRASES: Final = {
    "as of": ("FOR", "as of"), "prior to": ("BEFORE", 0), "up to": ("UNTIL", 0), "from now": ("HENCE", 0),
    "from today": ("HENCE", 0), "so far": ("EARLIER", 0), "and a half": ("ANDHALF", 0.5),
}  # fmt: skip
# Nothing hangs on these: "in the last week" is "in last week", "a couple of days" two days.
_SILENT = {"the", "'s", "’s"}
_CORE = {"MONTH", "ABBR", "WDAY", "WDAYS", "UNIT", "DAY", "WEEK", "WEEKEND", "QUARTER", "YEAR", "SEASON", "HOLIDAY",
         "PART", "NEAR", "TONIGHT", "NOW", "ORD", "Y", "DECADE", "QN", "HN", "DATE", "YM", "INSTANT"}  # fmt: skip


def _any(phrases: Any) -> str:
    return "|".join(re.escape(phrase).replace(r"\ ", r"\s+").replace("'", "['’]?") for phrase in phrases)


_TOKEN = re.compile(
    rf"""
      (?P<INSTANT>\d{{4}}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?(?!\w))
    | (?P<YMD>\d{{4}}(?P<sep>[-/.])\d\d?(?P=sep)\d\d?(?![\w-]))
    | (?P<DMY>\d\d?(?P<sep2>[-/.])\d\d?(?P=sep2)\d{{4}}(?![\w-]))
    | (?P<YM>(?:19|20)\d\d-(?:0[1-9]|1[0-2])(?![\w-]))
    | (?P<DECADE>(?:19|20)\d0s|['’][1-9]0s)\b
    | (?P<money>[$€£¥#]\s?\d[\d.,]*|\d[\d.,]*\s?[%$€£¥]|\d+(?:\.\d+){{2,}}|\d+:\d[\d:]*)
    | (?P<ORD>(?:[12]?\d|3[01])(?:st|nd|rd|th))\b
    | (?P<NUMBER>\d{{1,3}}(?:,\d{{3}})+(?![\w,])|\d{{1,9}}(?:\.\d{{1,9}})?(?![\w]))
    | (?P<QN>q[1-4])\b
    | (?P<HN>h[12])\b
    | (?P<NUMW>(?:{"|".join(_TENS)})[-\s]+(?:{"|".join(_UNITS)}))\b
    | (?P<HOLIDAY>{_any(sorted(HOLIDAYS, key=len, reverse=True))})\b
    | (?P<PHRASE>{_any(_PHRASES)})\b
    | (?P<WORD>['’]s\b|\w+|[^\s\w])
    """,
    re.IGNORECASE | re.VERBOSE,
)


# A text names no date if it has no digit and none of these words.
_TELLING = {word for word, (kind, _) in _WORDS.items() if kind in _CORE}
_TELLING |= {
    spelled for name in HOLIDAYS for spelled in (name.split()[0].split("'")[0], name.split()[0].replace("'", ""))
}
_SPLIT = re.compile(r"[^\W\d_]+|\d")


def tokens(text: str) -> Iterator[Token]:
    """The tokens of a text, in order, each made when it is asked for; none where no date can be. What no date contains
    is OTHER."""
    words = _SPLIT.findall(text.lower())
    if _TELLING.isdisjoint(words) and not any(word.isdigit() for word in words):
        return iter(())
    return _punctuated(_joined(text))


def _joined(text: str) -> Iterator[Token]:
    """Without what belongs to the token before: "couple of", "Fri."."""
    last: Token | None = None
    for kind, value, start, end in _typed(text):
        if last is not None:
            if kind == "OF" and last.type == "NUMW" and text[last.start_pos : start].lower() == "couple ":
                continue
            if text[start] == "." and last.type in {"ABBR", "WDAY"} and last.end_pos == start:
                continue
        last = Token(kind, value, start_pos=start, end_pos=end)
        yield last


def _typed(text: str) -> Iterator[tuple[str, Any, int, int]]:
    for match in _TOKEN.finditer(text):
        group, word = match.lastgroup or OTHER, match.group()
        # lastgroup is the last that closed: the separators close before what holds them.
        kind, value = (OTHER, None)
        if group == "WORD":
            if word.lower() in _SILENT:
                continue
            kind, value = _word(word, text)
        elif group != "money":
            try:
                kind, value = _form(group, word)
            except (ValueError, KeyError):  # 2025-13-01; a long s is an s to a regex, and not to a look-up
                pass
        yield kind, value, match.start(), match.end()


def _word(word: str, text: str) -> tuple[str, Any]:
    key = word.lower()
    kind, value = _WORDS.get(key, (OTHER, None))
    if key in _ONLY_CAPITALISED and not word[0].isupper():
        return OTHER, None
    if word == "APR" and not text.isupper():  # the annual percentage rate
        return OTHER, None
    return kind, value


def _form(group: str, word: str) -> tuple[str, Any]:
    """The token of a form that is more than a word. ValueError where there is no such date."""
    key = " ".join(word.lower().replace("’", "'").split())
    match group:
        case "INSTANT":
            return "INSTANT", datetime.fromisoformat(word.upper())
        case "YMD" | "DMY":
            first, second, third = map(int, re.split(r"[-/.]", word))
            return "DATE", date(first, second, third) if group == "YMD" else _day_first(first, second, third)
        case "YM":
            return "YM", (int(word[:4]), int(word[5:]))
        case "DECADE":
            digits = int(re.sub(r"\D", "", word))
            return "DECADE", digits if digits > 99 else (1900 if digits > 30 else 2000) + digits
        case "ORD" | "QN" | "HN":
            return group, int(re.sub(r"\D", "", word))
        case "NUMBER":
            return _number(word)
        case "NUMW":
            tens, unit = re.split(r"[-\s]+", key)
            return "NUMW", _NUMBERS[tens] + _NUMBERS[unit]
        case "HOLIDAY":
            return "HOLIDAY", _HOLIDAY_KEYS[key.replace("'", "")]
        case _:
            return _PHRASES[key]


_HOLIDAY_KEYS = {name.replace("'", ""): name for name in HOLIDAYS}


def _day_first(first: int, second: int, year: int) -> date:
    """25/12/2025, as most of the world writes it; month-first only where that is the one way to read it."""
    return date(year, second, first) if second <= 12 else date(year, first, second)


def _number(word: str) -> tuple[str, Any]:
    if "." in word:
        return "DEC", float(word)
    number = int(word.replace(",", ""))
    if len(word) == 4 and 1900 <= number < 2100:
        return "Y", number
    return ("NUM" if 1 <= number <= 31 else "INT"), number


def _punctuated(found: Iterable[Token]) -> Iterator[Token]:
    """Without the punctuation that belongs to its neighbours: "Fri.", "6 July, 2023", "Monday, 6 July", "mid-June"."""
    before = OTHER
    for token, following in pairwise(chain(found, (Token(OTHER, None),))):
        after = following.type
        if token.type == "COMMA" and (
            after in {"Y", "AND", "OR"} or (before == "WDAY" and after in {"NUM", "ORD", "MONTH", "ABBR", "DATE"})
        ):
            continue
        if token.type == "TO" and token.value == "-" and before == "EDGE":
            continue
        is_counted = token.type == "ORD" and after in {"DAY", "WEEK", "WEEKEND", "QUARTER", "HALF", "UNIT", "WDAY"}
        kept = token.update(type="ORDW") if is_counted else token  # "the 2nd half of May"
        before = kept.type
        yield kept
