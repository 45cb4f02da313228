"""The grammar's rules to meanings: here what combines and places dates; the modules beside it
have the single ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, NamedTuple

from lark import Token, v_args

from memory_grpc.ranking.dates import meaning, parts, relative
from memory_grpc.ranking.dates.core import Core
from memory_grpc.ranking.dates.meaning import AFTER_IN, Meaning, fixed
from memory_grpc.ranking.dates.spans import Calendar, DateRange, Span


class Placed(NamedTuple):
    """A date that stands where it is one."""

    of: Callable[[Calendar], Sequence[DateRange | Span]]
    told: Callable[[Calendar], Sequence[DateRange | Span]] | None = None
    ends_bare: bool = False
    is_loose: bool = False
    """Whether no word before it says that it is one."""
    is_sum: bool = False
    """Whether several counts make one: "2 weeks and 3 days ago"."""


class Misplaced(ValueError):
    """No date where it stands."""


@v_args(inline=True)
class Reading(Core):
    """Makes the meaning while the parser reads. A start is what gives the ranges on a calendar, and when they are
    told of."""

    # -- where a date stands

    def bare(self, of: Meaning) -> Placed:
        if not of.stands("") and of.stands("LOOSE"):
            return _placed("LOOSE", of)._replace(is_loose=True)
        return _placed("", of)

    def placed(self, kind: str, of: Meaning) -> Placed:
        return _placed(kind, replace(of, of=of.during) if kind == "IN" and of.during else of)

    def onwards(self, kind: str, of: Meaning, _: Token) -> Placed:
        if kind != "FROM":
            raise Misplaced
        return self.since(None, of)

    def at(self, word: Token) -> str:
        return word.type

    def before(self, _: Token, of: Meaning) -> Placed:
        return _open(of, lambda span, calendar: meaning.until(span.start), is_beside=True)

    def until(self, _: Token, of: Meaning) -> Placed:
        return _open(of, lambda span, calendar: meaning.until(span.end))

    def after(self, _: Token, of: Meaning) -> Placed:
        return _open(of, lambda span, calendar: meaning.since(span.end, calendar), is_beside=True)

    def since(self, _: Token | None, of: Meaning) -> Placed:
        return _open(of, lambda span, calendar: meaning.since(span.start, calendar))

    def since_until(self, _: Token, first: Meaning, __: Token, last: Meaning) -> Placed:
        return _placed("BOUND", self.through(first, None, last))

    def between(self, _: Token, first: Meaning, __: Token, last: Meaning) -> Placed:
        return _placed("BOUND", self.through(first, None, last))

    def longer_ago(self, _: Token, *counted: Any) -> Placed:
        length = _length(counted)
        return Placed(lambda calendar: meaning.until(calendar.as_of - length), is_sum=len(counted) > 4)

    def less_long_ago(self, _: Token, *counted: Any) -> Placed:
        length = _length(counted)
        return Placed(lambda calendar: meaning.since(calendar.as_of - length, calendar), is_sum=len(counted) > 4)

    def shortly_before(self, _: Token, side: Token, of: Meaning) -> Placed:
        return _placed("", self.beside("week", side, of))

    def shortly_after(self, _: Token, side: Token, of: Meaning) -> Placed:
        return _placed("", self.beside("week", side, of))

    # -- several dates

    def joined(self, first: Meaning, joiner: Token, last: Meaning) -> Meaning:
        listed = (*first.numbers, first.number, last.number) if first.number or first.numbers else ()
        numbers = tuple(number for number in listed if number) if last.number else ()
        if joiner.type != "OR" and relative.are_falling((*first.counted, *last.counted)):
            if first.needs is AFTER_IN and first.longer is None and last.more is not None:
                return last.more(first.counted)
            if first.longer is not None and last.needs is AFTER_IN:  # "the last 2 weeks and 3 days"
                longer = first.longer(last.counted)
                return replace(longer, needs=frozenset()) if joiner.type == "COMMA" else longer
        if joiner.type == "OR" and last.longer is None:
            first, last = meaning.counted_alike(first, last)
        if last.needs is AFTER_IN and first.needs is not AFTER_IN:
            raise Misplaced
        if joiner.type == "COMMA" and last.ends_bare and not numbers:
            raise Misplaced
        return Meaning(
            lambda calendar: meaning.both(first, last, calendar),
            needs=_needs(first, last),
            is_full=first.is_full and last.is_full,
            numbers=numbers,
            ends_bare=last.ends_bare,
        )

    def through(self, first: Meaning, _: Token | None, last: Meaning) -> Meaning:
        return fixed(
            lambda calendar: meaning.through(first, last, calendar),
            _needs(first, last),
            is_full=last.is_full,
            ends_bare=last.ends_bare,
        )

    # -- parts of dates

    def of_part(self, part: Token, _: Token, of: Meaning) -> Meaning:
        return replace(self.part_of_day(_bound(of), part), needs=meaning.ALWAYS, ends_bare=of.ends_bare)

    def eve_of(self, _: Token, __: Token, of: Meaning) -> Meaning:
        anchor = _bound(of)
        return fixed(
            lambda calendar: calendar.days(meaning.add_days(anchor.itself(calendar).start, calendar, -1)),
            told=_told(anchor),
        )

    def third(self, edge: Token, *rest: Any) -> Meaning:
        of = _bound(rest[-1])
        return fixed(lambda calendar: parts.third(of.one(calendar), edge.value, calendar), is_full=of.is_full)

    def third_of_this(self, tip: Token, _: Token, unit: str) -> Meaning:
        return self.third(tip, self._this(unit))

    # -- what lies beside a date

    def beside(self, unit: Any, side: Token, of: Meaning) -> Meaning:
        anchor, is_after = _bound(of), side.type == "AFTER"
        if isinstance(unit, Token) and unit.type == "WDAY":
            weekday = unit.value
            return fixed(
                lambda calendar: relative.weekday_beside(anchor.itself(calendar), weekday, is_after, calendar),
                told=_told(anchor),
            )
        name = getattr(unit, "value", unit)
        return fixed(
            lambda calendar: relative.beside(anchor.itself(calendar), name, is_after, calendar), told=_told(anchor)
        )

    def part_beside(self, part: Token, side: Token, of: Meaning) -> Meaning:
        """ "the morning after Halloween" """
        day = self.beside("day", side, of)
        return Meaning(lambda calendar: parts.part_of_day(day.of(calendar), part.value, calendar), told=day.told)

    def which_beside(self, which: Token, unit: Any, side: Token, of: Meaning) -> Meaning:
        if which.value >= 0:
            raise Misplaced
        return self.beside(unit, side, of)

    def count_beside(
        self, count: relative.Count, unit: str, side: Token, of: Meaning, before: tuple[meaning.Part, ...] = ()
    ) -> Meaning:
        anchor, is_after = _bound(of), side.type == "AFTER"
        signed = relative.Count(-count.least, -count.most) if is_after else count
        is_whole = not before and unit != "weekend" and count.most % 1 == 0

        def meant(calendar: Calendar) -> Span:
            span = anchor.itself(calendar)
            there = calendar.clock(calendar.day_of(span.end if is_after else span.start))
            if is_after:
                there = calendar.clock(meaning.add_days(there, calendar, -1))
            return relative.away(signed, unit, relative.earlier(Calendar.at(there, calendar.zone), before, is_after))

        return fixed(
            meant,
            told=_told(anchor),
            during=(
                lambda calendar: [relative.beside(anchor.itself(calendar), unit, is_after, calendar, int(count.most))]
            )
            if is_whole
            else None,
            counted=(*before, *relative.parts(count, unit)),
            more=lambda others: self.count_beside(count, unit, side, of, (*others, *before)),
            also=lambda part: self.count_beside(relative.Count(part[0], part[0]), part[1], side, of),
        )

    def count_beside_or_two(self, count: relative.Count, unit: str, _: Token, side: Token, of: Meaning) -> Meaning:
        return self.count_beside(relative.Count(count.least, 2), unit, side, of)


def _placed(kind: str, of: Meaning) -> Placed:
    if not of.stands(kind):
        raise Misplaced
    return Placed(of.of, of.told, of.ends_bare, is_sum=len(of.counted) > 1 and of.longer is None)


def _length(counted: Sequence[Any]) -> timedelta:
    """How long "2 years and 3 months" are, or "2 years and a half"."""
    half = sum(part.value for part in counted if isinstance(part, Token) and part.type == "ANDHALF")
    counts = [part for part in counted if not isinstance(part, Token)]
    lengths = [relative.rolling(unit, count.most + half) for count, unit in zip(counts[::2], counts[1::2], strict=True)]
    return sum(lengths, timedelta())


def _bound(of: Meaning) -> Meaning:
    """A date after a word that makes it one."""
    if not of.stands("BOUND"):
        raise Misplaced
    return of


def _told(anchor: Meaning) -> Any:
    return anchor.of if anchor.is_day else None


def _needs(first: Meaning, last: Meaning) -> frozenset[str]:
    """What several dates need: one that is a date wherever it stands makes the others dates."""
    strong = meaning.ALWAYS
    if AFTER_IN in (first.needs, last.needs):
        return AFTER_IN
    return strong if strong in (first.needs, last.needs) else first.needs & last.needs


def _open(of: Meaning, ranges: Callable[[Span, Calendar], list[DateRange]], *, is_beside: bool = False) -> Placed:
    anchor = _bound(of)
    span = anchor.itself if is_beside else anchor.one
    return Placed(lambda calendar: ranges(span(calendar), calendar), ends_bare=anchor.ends_bare)
