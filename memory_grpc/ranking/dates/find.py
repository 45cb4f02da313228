"""The longest readings of the tokens of a text that are dates."""

from __future__ import annotations

import re
from collections.abc import Container, Iterator, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import islice
from typing import Any, Final, NamedTuple

from lark import Lark, Token, UnexpectedToken
from lark.lexer import Lexer
from lark.parsers.lalr_interactive_parser import InteractiveParser

from memory_grpc.ranking.dates.reading import Placed, Reading
from memory_grpc.ranking.dates.spans import Calendar, DateRange, NoSuchDay, merge
from memory_grpc.ranking.dates.tokens import tokens

# No date has more tokens: what a text takes grows with its length alone.
_LONGEST: Final = 24
# Nobody asks about more dates at once, or writes so much before them that might begin one: to read ten thousand
# characters of "2 days before" would take most of a second.
_MOST_DATES: Final = 32
_MOST_TRIES: Final = 256
_READ_AHEAD: Final = 8 * _LONGEST


class DateMention(NamedTuple):
    """A date in a text: where it stands, which times it means, and when else those are told of.

    What happened the week before 6 July is told on that day: ``told`` is the day. A side of a range that is open is
    None.
    """

    start: int
    end: int
    ranges: tuple[DateRange, ...]
    told: tuple[DateRange, ...] = ()


def find_dates(text: str, as_of: datetime, zone: tzinfo = UTC) -> list[DateMention]:
    """The dates in `text`, in order, without overlaps: the longest reading that starts first wins; the first 32.

    Args:
        text: any text; what is no date is skipped, a date that does not exist (31 June) too.
        as_of: the instant that relative dates count from; must carry a time zone.
        zone: whose days, weeks and months are meant.
    """
    try:
        calendar = Calendar.at(as_of, zone)
    except OverflowError:  # in the first or the last hours of all time, another year there
        return []
    found: list[DateMention] = []
    # No more of them are made than are looked at.
    unread, stream = tokens(text), list[Token]()
    place = tries = 0
    while len(found) < _MOST_DATES and tries < _MOST_TRIES:
        if len(stream) < place + _LONGEST:
            stream.extend(islice(unread, _READ_AHEAD))
        if place >= len(stream):
            break
        if stream[place].type not in _FIRST:
            place += 1
            continue
        tries += 1
        mention, used = _longest(text, stream[place : place + _LONGEST], calendar)
        if mention is not None:
            found.append(mention)
        place += used
    return found


def matching_ranges(mentions: Sequence[DateMention], slack: timedelta) -> tuple[DateRange, ...]:
    """The times of all mentions together, each prolonged by `slack`, since what happened is told afterwards."""
    everything = [one for mention in mentions for one in (*mention.ranges, *mention.told)]
    return merge(DateRange(start, None if end is None else end + slack) for start, end in everything)


def _longest(text: str, stream: Sequence[Token], calendar: Calendar) -> tuple[DateMention | None, int]:
    """The longest date that begins with the first token, and how many tokens are done with."""
    for used, parser in reversed(_readings(stream)):
        last = stream[used - 1]
        try:
            placed: Placed = parser.feed_eof(last)  # type: ignore[no-untyped-call]
            ranges = merge(placed.of(calendar))
            told = merge(placed.told(calendar)) if placed.told else ()
        except NoSuchDay:
            return None, used
        except (UnexpectedToken, ValueError, OverflowError):  # ten thousand years ago
            continue
        if ranges and not _is_another(text, stream[0].start_pos or 0, last, placed):
            return DateMention(stream[0].start_pos or 0, _end(last), ranges, told), used
    return None, 1


def _readings(stream: Sequence[Token]) -> list[tuple[int, InteractiveParser]]:
    """How many tokens from the first on may be a date together, and the parser that has read them; the fewest first."""
    parser: InteractiveParser = _PARSER.copy(deepcopy_values=False)  # type: ignore[no-untyped-call]
    found = []
    for used, token in enumerate(stream, 1):
        if token.type not in _choices(parser):
            break
        try:
            parser.feed_token(token)
        except (UnexpectedToken, ValueError, OverflowError):
            break
        if "$END" in _choices(parser):
            found.append((used, parser.copy(deepcopy_values=False)))  # type: ignore[no-untyped-call]
    return found


def _choices(parser: InteractiveParser) -> Container[str]:
    """The kinds of tokens that may follow."""
    return parser.choices()  # type: ignore[no-any-return, no-untyped-call]


def _end(token: Token) -> int:
    return token.end_pos or 0


_NEXT_WORD = re.compile(r"\s+(\w+)")
# What may follow "the 15th": the 3rd floor is no date.
_CLOSED = """a about after an and are as at because before but by did do does during for from had has have he how i if
in is it my of on or our she since so than that the their then there they this though to until up was we were what when
where which while who whom why will with would you"""
_MEASURED = "km kg kb mb gb ms percent people men women children yen usd eur gbp chf yuan rupees baht kcal"
_SINGULAR = "is was has does this us plus always perhaps besides towards versus as"
_AFTER_A_NUMBER, _MEASURES, _NO_PLURALS = (frozenset(words.split()) for words in (_CLOSED, _MEASURED, _SINGULAR))


# What is numbered, and may be written with a capital.
_NUMBERED = frozenset(("Ave", "Avenue", "Street", "St", "Road", "Floor", "Edition", "Amendment", "Symphony", "Grade"))


def _is_another(text: str, start: int, last: Token, placed: Placed) -> bool:
    """Whether what stands around it says that this is no date: "in 2025 dollars", "in Spring Boot", "the last week of
    the trip", "every Friday"."""
    read, rest = text[start : _end(last)], text[_end(last) :]
    following = _NEXT_WORD.match(rest)
    word = following.group(1) if following else ""
    is_named = word[:1].isupper() and word != "I" and not text.isupper()
    if _JOINED.match(rest) or (placed.is_loose and _is_loosely_another(text, start, read, rest, is_named)):
        return True
    if placed.is_sum and (_A_LENGTH.match(read) or _HOW_LONG.search(text[max(0, start - 30) : start])):
        return True
    if last.type == "QN" and _PLACE_3Q.search(text[max(0, start - 20) : _end(last)]):
        return True
    if read.endswith("back") and _is_had_back(text[max(0, start - 60) : start]):
        return True
    if not word:
        return False
    if placed.ends_bare and last.type == "NUMBERS" and word == "of":  # "on 3/4 of the tests"
        return True
    if placed.ends_bare or read.endswith("back"):
        return word in _NUMBERED or (not word[0].isupper() and word not in _AFTER_A_NUMBER)
    is_plural = len(word) > 3 and word.endswith("s") and word.islower() and word not in _NO_PLURALS
    if last.type == "Y":
        return word.lower() in _MEASURES or is_plural
    if _VERBS & set(read.split()) or (start == 0 and read.startswith("May ")):
        if last.type == "ORDW":  # "who may second it?"
            return read.islower() or start == 0
        if last.type in {"NUM", "NUMW"}:  # "May 5 guests come?", "they march 10 miles"
            return is_plural or word in _MEASURES
        return _MAY_DO.search(read) is not None and word.islower() and word not in _AFTER_A_NUMBER
    if last.type in {"SEASON", "HOLIDAY"}:
        if read.lower() in ("all fall", "all spring"):  # "did we all fall in love?"
            return True
        if word in ("church", "school"):  # "at the summer school", but "after Easter school began"
            return _OF_A_PLACE.search(text[max(0, (last.start_pos or 0) - 10) : last.start_pos]) is not None
        return is_named or word in ("rolls", "onions", "onion", "cleaning", "water")
    if last.type == "WDAY":
        return word in ("mornings", "afternoons", "evenings", "nights")
    return word == "of" and last.type in {"UNIT", "DAY", "WEEK", "WEEKEND", "QUARTER", "YEAR"}


# "for 2 weeks, 3 days ago we left", "5 dollars a month, 3 days ago it rose", "3 times a week and 2 days ago I fell"
_A_LENGTH = re.compile(r"for\b|an?\s+\w+\s*,", re.IGNORECASE)
_HOW_LONG = re.compile(
    r"\b(?:for|took|takes|taken|lasts|lasted|times|once|twice|every|per)"
    r"(?:\s+(?:about|almost|nearly|only|just|roughly|approximately|the|(?:more|less)\s+than))?\s+$",
    re.IGNORECASE,
)
_WHOSE_OR_OTHER = re.compile(r"\b(?:my|your|his|her|our|their|these|those|some|any|more|of)\s+$", re.IGNORECASE)
_HAVING = re.compile(
    r"\b(?:(?:get|gets|getting|have|has|want|give|gives|take|bring|buy|earn|claim|need)(?:\s+(?:me|us|him|them|you|back))?"
    r"|(?:gave|given|got|took)\s+(?:me|us|you))\s+(?:the\s+)?$",
    re.IGNORECASE,
)
_OF_WHAT = re.compile(r"\b(?:what|which|who|whom|whose)\b[^.?!;]*$", re.IGNORECASE)


def _is_had_back(before: str) -> bool:
    """Whether what stands before "3 days back" says that they are given back: "how do I get", "my"; not "what did I
    get", which says already what."""
    if _WHOSE_OR_OTHER.search(before):
        return True
    return _HAVING.search(before) is not None and _OF_WHAT.search(before) is None


_OF_A_PLACE = re.compile(r"(?:^|\b(?:the|at|to)\s+)$", re.IGNORECASE)
_PLACE_3Q = re.compile(
    r"\b(?:gate|room|flight|seat|row|platform|apartment|apt|flat|suite|unit|bus|block|building|locker|terminal|model)\s+\dQ$",
    re.IGNORECASE,
)
_VERBS = {"may", "march"}
_MAY_DO = re.compile(r"\d\s+(?:may|march)$")  # "which of the 3 may come?"
_JOINED = re.compile(r"%|-[^\W\d_]|\s+to\s+back\b")  # "a week-end", "day-care", "10 days back to back"
_HABIT = re.compile(
    r"\b(?:and|or|that|every|each|any|most|some|other|another|which|what|a|an|one|no|first|second|third|fourth)"
    r"\s+(?:other\s+)?$",
    re.IGNORECASE,
)
_NAME_BEFORE = re.compile(r"(?<=\s)(?!I\s)[A-Z][\w'’]*\s+$")
_GOES_ON = re.compile(r"['’](?!s\b)\w|[.@-]\w|\s+(?!(?:" + "|".join(_AFTER_A_NUMBER) + r")\b)\w")


def _is_loosely_another(text: str, start: int, read: str, rest: str, is_named: bool) -> bool:
    """Of a weekday that no word before it makes a date: "every Friday", "Black Monday", "Friday prayers"."""
    before = text[max(0, start - 40) : start]
    return (
        (read.islower() and len(read) < 6)
        or read.lower() in ("sun", "sat", "mon")
        or is_named
        or _HABIT.search(before) is not None
        or (
            not read.endswith(("morning", "afternoon", "evening", "night"))
            and (_GOES_ON.match(rest) is not None or (not text.isupper() and _NAME_BEFORE.search(before) is not None))
        )
    )


class _NoLexer(Lexer):
    """The tokens are fed one by one."""

    def __init__(self, _: Any) -> None:
        pass

    def lex(self, *_: Any) -> Iterator[Token]:
        return iter(())


_PARSER: Final = Lark.open(
    "grammar.lark", rel_to=__file__, parser="lalr", lexer=_NoLexer, transformer=Reading()
).parse_interactive()
_FIRST: Final = frozenset(_PARSER.accepts())  # type: ignore[no-untyped-call]
