"""A text to typed tokens: one pass of one regex, and a look-up of each word."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import chain, pairwise
from typing import Any, Final

from lark import Token

from memory_grpc.ranking.dates.forms import DECADES, form_of
from memory_grpc.ranking.dates.holidays import HOLIDAYS, OF_THE_MOON, is_meant
from memory_grpc.ranking.dates.vocabulary import (
    CORE,
    FIRST_TO_NINTH,
    PHRASES,
    SILENT,
    SMALL,
    TEENS,
    TENS,
    UNITS,
    WORDS,
)  # fmt: skip

OTHER: Final = "OTHER"
"""What no date contains. It ends a run of tokens."""


def _any(phrases: Any) -> str:
    return "|".join(re.escape(phrase).replace(r"\ ", r"\s+").replace("'", "['’]?") for phrase in phrases)


_SHORT_MONTHS = [word for word, (kind, _) in WORDS.items() if kind == "ABBR"] + ["may"]
_AFTER_THE = r"(?:(?<=the\ )|(?<=the\ early\ )|(?<=the\ late\ )|(?<=the\ mid.))"
_CALENDARS = "|".join((*OF_THE_MOON, "jewish", "islamic", "persian", "tamil", "thai"))
_ONE_BY_ONE = [name for name in HOLIDAYS if not name.startswith(OF_THE_MOON)]
_TENS, _UNIT = "|".join(TENS), "|".join(UNITS)
_YEAR_FOLLOWS = r"(?=(?:20)?\d\d\b|\s?['’]\d\d\b|\s(?:of\s)?20\d\d\b)"
_SMALL_NUMBER = rf"(?:{_TENS})(?:[-\s]+(?:{_UNIT}))?|{'|'.join(TEENS)}|{_UNIT}"
_TOKEN = re.compile(
    rf"""
      (?P<link>\w+://\S+)
    | (?P<INSTANT>\d{{4}}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?(?!\w))
    | (?P<YMD>(?<![\w/.-])\d{{4}}(?P<sep>[-/.])\d\d?(?P=sep)\d\d?(?![\w-]))
    | (?P<DMY>\d\d?(?P<sep2>[-/.])\d\d?(?P=sep2)\d{{4}}(?![\w-])|(?<![\w/.-])\d\d?/\d\d?/\d\d(?!\w|[/.-]\w))
    | (?P<DMONY>\d\d?-(?:{"|".join(_SHORT_MONTHS)})-(?:\d\d)?\d\d(?![\w-]))
    | (?P<YW>(?:19|20)\d\d-?w[0-5]\d(?![\w-]))
    | (?P<YEARS>(?<![\w/.-])(?:19|20)\d\d[-/–]\d\d(?!\w|[/.-]\w)(?<!0\d)(?<!1[012]))
    | (?P<MY>(?<![\w/.-])(?:(?:0?[1-9]|1[0-2])/(?:19|20)\d\d|(?:19|20)\d\d/(?:0[1-9]|1[0-2]))(?!\w|[/.-]\w))
    | (?P<DM>(?<![\w/.-])\d\d?/\d\d?(?!\w|[/.-]\w))
    | (?P<COMPACT>(?:19|20)\d{{6}}(?!\w|[.,-]\w))
    | (?P<YM>(?<![\w/-])(?:19|20)\d\d-(?:0[1-9]|1[0-2])(?![\w-]))
    | (?P<DECADE>(?:19|20)\d0s|['’][1-9]0s|{_AFTER_THE}(?:[1-9]0s|{"|".join(DECADES)}))\b
    | (?P<SHORTYEAR>['’]\d\d(?:(?<!\d...)|(?<=\b[qh][1-4]...))(?![\w'’-])|\d\d\b(?<=\b[qh][1-4][-/]..)
        |\d\d\b(?<=\b[1-4][qh]..)|\d{{4}}\b(?<=\b[1-4][qh]....)|fy\s?['’]?(?:20)?\d\d\b|(?:19|20)\d\d-?(?=(?:q[1-4]|h[12])\b))
    | (?P<NEWYEAR>(?:{_CALENDARS})\s+new\s+year(?:['’]?s)?(?:\s+(?:eve|day))?)\b
    | (?P<money>[$€£¥#]\s?\d[\d.,]*|\d[\d.,]{{0,20}}\s?[%$€£¥]|\d+(?:\.\d+){{2,}}|\d+:\d[\d:]*)
    | (?P<ORD>(?:[12]?\d|3[01])(?:st|nd|rd|th))\b
    | (?P<NUMBER>\d{{1,3}}\s?½|\d{{1,3}}(?:,\d{{3}})+(?![\w,])|\d{{1,9}}(?:\.\d{{1,9}})?(?![\w]))
    | (?P<QN>q[1-4]\b|(?-i:[1-4]Q)(?:\b|{_YEAR_FOLLOWS}))
    | (?P<HN>h[12]\b|(?-i:[12]H){_YEAR_FOLLOWS})
    | (?P<ORDW>(?:{_TENS})[-\s]+(?:{"|".join(FIRST_TO_NINTH)}))\b
    | (?P<NUMW>(?:(?:a|{_UNIT})\s+)?hundred(?:\s+and)?\s+(?:{_SMALL_NUMBER})|(?:{_TENS})[-\s]+(?:{_UNIT}))\b
    | (?P<HOLIDAY>{_any(sorted(_ONE_BY_ONE, key=len, reverse=True))})\b
    | (?P<PHRASE>{_any(PHRASES)})\b
    | (?P<WORD>['’]s\b|\w+|[^\s\w])
    """,
    re.IGNORECASE | re.VERBOSE,
)


# A text names no date if it has no digit and none of these words.
_TELLING = {word for word, (kind, _) in WORDS.items() if kind in CORE} | set(DECADES)
_TELLING |= {
    spelled
    for name in HOLIDAYS
    for first in [name.split()[0].strip(".")]
    for spelled in (first.split("'")[0], first.replace("'", ""))
}
_SPLIT = re.compile(r"[^\W\d_]+|\d")


def tokens(text: str) -> Iterator[Token]:
    """The tokens of a text, in order, each made when it is asked for; none where no date can be. What no date contains
    is OTHER."""
    words = _SPLIT.findall(text.lower())
    if _TELLING.isdisjoint(words) and not any(word.isdigit() for word in words):
        return iter(())
    return _punctuated(_joined(text))


_MONTH_FOLLOWS = re.compile(r"\s*(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)", re.IGNORECASE)


# "the Christmas party two years ago"
_HELD = {"party", "dinner", "lunch", "brunch", "breakfast", "meal", "trip", "break", "holidays", "vacation", "parade",
         "concert", "service", "market", "celebration", "celebrations", "gathering"}  # fmt: skip


def _joined(text: str) -> Iterator[Token]:
    """Without what belongs to the token before: "couple of", "Fri.", "Christmas party"."""
    last: Token | None = None
    for kind, value, start, end in _typed(text):
        if last is not None:
            if kind == "OF" and last.type == "NUMW" and text[last.start_pos : start].lower() == "couple ":
                continue
            if last.type == "HOLIDAY" and kind == OTHER and text[start:end].lower() in _HELD:
                continue
            is_its_dot = text[start] == "." and last.end_pos == start
            if is_its_dot and (
                last.type in {"ABBR", "WDAY"} or (last.type == "NUM" and _MONTH_FOLLOWS.match(text, end))  # "4. July"
            ):
                continue
        last = Token(kind, value, start_pos=start, end_pos=end)
        yield last


_RUN_UP = re.compile(r"-|\b(?:run|lead|build)\s+$", re.IGNORECASE)  # "in the run-up to Christmas"


def _typed(text: str) -> Iterator[tuple[str, Any, int, int]]:
    for match in _TOKEN.finditer(text):
        group, word = match.lastgroup or OTHER, match.group()
        # lastgroup is the last that closed: the separators close before what holds them.
        kind, value = (OTHER, None)
        if group == "WORD":
            if word.lower() in SILENT:
                continue
            kind, value = _word(word, text)
        elif group not in ("link", "money"):
            try:
                kind, value = form_of(group, word)
            except (
                ValueError,
                KeyError,
            ):  # 2025-13-01; Jewish New Year; a long s is an s to a regex alone
                pass
        if group == "PHRASE" and kind == "UNTIL" and _RUN_UP.search(text[max(0, match.start() - 8) : match.start()]):
            kind, value = OTHER, None
        if value and kind == "HOLIDAY" and not is_meant(value, word, text[max(0, match.start() - 30) : match.start()]):
            kind, value = OTHER, None
        yield kind, value, match.start(), match.end()


def _word(word: str, text: str) -> tuple[str, Any]:
    key = word.lower()
    kind, value = WORDS.get(key, (OTHER, None))
    if key in SMALL and not word[0].isupper():
        return SMALL[key], value
    if word == "APR" and not text.isupper():  # the annual percentage rate
        return OTHER, None
    return kind, value


# "since about June", "in either June or July", "two weeks or so ago"
_NEARLY_AFTER = {"SINCE", "UNTIL", "BEFORE", "AFTER", "IN", "ON", "FROM", "UNIT", "DAY", "WEEK", "YEAR"}


_UNITS = {"UNIT", "DAY", "WEEK", "WEEKEND", "QUARTER", "YEAR"}
_COUNTED = {*_UNITS, "WDAYS", "SEASONS", "HOLIDAYS", "PARTS", "NUMW", "ANDHALF"}


def _punctuated(found: Iterable[Token]) -> Iterator[Token]:
    """Without the punctuation that belongs to its neighbours: "Fri.", "6 July, 2023", "Monday, 6 July", "mid-June"."""
    before = OTHER
    for token, following in pairwise(chain(found, (Token(OTHER, None),))):
        after = following.type
        if token.type == "COMMA" and (
            (after == "Y" and before != "Y")
            or after in {"AND", "OR"}
            or (before == "WDAY" and after in {"NUM", "ORD", "MONTH", "ABBR", "DATE"})
        ):
            continue
        if token.type == "TO" and token.value == "-" and before == "EDGE":
            continue
        if token.type == "NEARLY" and before in _NEARLY_AFTER:
            continue
        if token.type == "ORTWO" and before not in {"NUM", "NUMW"} and after in _COUNTED:  # "a day or two weeks ago"
            before = "NUMW"
            yield token.update(type="OR")
            yield Token("NUMW", 2, start_pos=(token.end_pos or 0) - len("two"), end_pos=token.end_pos)
            continue
        if token.value in ("/", "-") and before in {"QN", "HN"} and after == "Y":  # "Q3/2025"
            continue
        is_counted = token.type == "ORD" and after in {"DAY", "WEEK", "WEEKEND", "QUARTER", "HALF", "UNIT", "WDAY"}
        kept = token.update(type="ORDW") if is_counted else token  # "the 2nd half of May"
        before = kept.type
        yield kept
