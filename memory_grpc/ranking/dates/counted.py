"""The meanings of units of time: "last week", "the past three days", "two days ago", "the rest of the month"."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from lark import Token, v_args

from memory_grpc.ranking.dates import meaning, parts, relative
from memory_grpc.ranking.dates.meaning import AFTER_IN, ALWAYS, Meaning, Part, fixed
from memory_grpc.ranking.dates.named import Named
from memory_grpc.ranking.dates.relative import Count
from memory_grpc.ranking.dates.spans import Calendar, Span, weekday_before

_OF_THE_CALENDAR = ("week", "month", "quarter", "year", "decade")


@v_args(inline=True)
class Counted(Named):
    """The methods of the rules for units of time."""

    def which(self, word: Token) -> Token:
        return word

    def unit(self, word: Token) -> str:
        return str(word.value)

    def whole(self, word: Token) -> str:
        return str(word.value)

    def count(self, *parts: Token) -> Count:
        if any(part.type == "ORD" for part in parts):
            raise ValueError("an ordinal is no count")
        if parts[0].type == "HALF":
            return Count(0.5, 0.5)
        values = [part.value for part in parts if part.type != "A"] or [1]
        if isinstance(values[0], tuple):
            return Count(*values[0])
        number = values[0]
        if parts[-1].type == "ORTWO":
            return Count(number, 2)
        if len(values) > 1:  # "two and a half", "two hundred"
            number = number + values[1] if parts[-1].type == "ANDHALF" else number * values[1]
        return Count(number, number)

    # -- units of the calendar

    def which_unit(self, which: Token, unit: str) -> Meaning:
        step = which.value
        if which.type == "COMING" and unit == "weekend":
            return fixed(lambda calendar: calendar.days(weekday_before(meaning.in_a_week(calendar), 5), 2))
        is_rolling = which.type == "PAST" and unit != "weekend"
        if is_rolling or unit in ("second", "minute", "hour", "fortnight") or (unit == "day" and step):
            return _rolling(((1, unit),), step or -1, AFTER_IN if unit in ("second", "minute", "day") else ALWAYS)
        goes_on = which.type in ("LAST", "NEXT") and unit != "weekend"  # "in the last year and six months"
        return fixed(
            lambda calendar: meaning.unit_of(calendar.today, unit, calendar, -step),
            **(_going_on(((1, unit),), step, AFTER_IN) if goes_on else {}),
        )

    def weekend(self, _: Token) -> Meaning:
        """Over the weekend: the last that has begun."""
        return fixed(relative.this_weekend, frozenset({"IN", "ON", "FOR", "FROM", "BOUND"}))

    def all(self, _: Token, unit: Any) -> Meaning:
        """All week: this one."""
        if isinstance(unit, Token):
            return fixed(relative.this_weekend if unit.type == "WEEKEND" else self.season(unit).one)
        return self._this(unit)

    def earlier(self, _: Token, __: Token, unit: str) -> Meaning:
        this = self._this(unit)
        return fixed(lambda calendar: Span(this.one(calendar).start, calendar.as_of))

    def later(self, *parts: Any) -> Meaning:
        this = self._this(parts[-1])
        return fixed(lambda calendar: Span(calendar.as_of, this.one(calendar).end))

    def part_of_near(self, side: Token, near: Token) -> Meaning:
        if near.value:
            raise ValueError("only today has passed in part")

        def meant(calendar: Calendar) -> Span:
            day = calendar.days(calendar.today)
            return Span(day.start, calendar.as_of) if side.type == "EARLIER" else Span(calendar.as_of, day.end)

        return fixed(meant)

    def unit_of(self, unit: str, _: Token, of: Meaning) -> Meaning:
        """The week of a day, the month of June."""
        if not of.stands("BOUND") or unit in ("minute", "hour", "second", "fortnight"):
            raise ValueError("no date")

        def meant(calendar: Calendar) -> Span:
            span = of.itself(calendar)
            day = calendar.day_of(span.start)
            if unit == "weekend" and span == calendar.days(day):
                return meaning.weekend_near(day, calendar)
            found = meaning.unit_of(day, unit, calendar)
            if unit == "day" or found.end < span.end:  # "the day of Christmas", "the week of June"
                return span
            return found

        return fixed(meant, is_full=of.is_full)

    def week_starting(self, _: Token, start: Token, of: Meaning) -> Meaning:
        if start.value or not of.stands("BOUND"):  # no "week middle"
            raise ValueError("no date")
        return fixed(lambda calendar: calendar.days(calendar.day_of(of.itself(calendar).start), 7))

    def week_ending(self, _: Token, __: Token, of: Meaning) -> Meaning:
        if not of.stands("BOUND"):
            raise ValueError("no date")
        return fixed(lambda calendar: calendar.days(meaning.add_days(of.itself(calendar).end, calendar, -7), 7))

    def nth(self, number: Token, unit: Any, _: Token | None, of: Meaning) -> Meaning:
        if not of.stands("BOUND") or number.value == 0 or number.type in ("NEXT", "COMING", "PAST"):
            raise ValueError("no date")
        if isinstance(unit, Token) and unit.type == "WDAY":
            weekday = unit.value

            def meant(calendar: Calendar) -> Span:
                span = of.one(calendar)
                days = parts.weekdays(calendar.day_of(span.start), calendar.day_of(span.end), weekday)
                return calendar.days(days[parts.place(number.value, len(days))])

            return fixed(meant, is_full=of.is_full)
        name = getattr(unit, "value", unit)
        return fixed(lambda calendar: parts.nth(of.one(calendar), number.value, name, calendar), is_full=of.is_full)

    def nth_of_this(self, number: Token, unit: Any, of: Token, whole: str) -> Meaning:
        """ "the first half of the year" """
        return self.nth(number, unit, of, self._this(whole))

    def several_of(self, number: Token, count: Count, unit: str, _: Token, of: Meaning) -> Meaning:
        """ "the last two weeks of June" """
        if not of.stands("BOUND") or number.value not in (1, -1) or number.type not in ("ORDW", "LAST"):
            raise ValueError("no date")
        return fixed(
            lambda calendar: parts.several(of.one(calendar), int(count.most), unit, number.value < 0, calendar),
            is_full=of.is_full,
        )

    # -- counted units

    def rolling(self, which: Token, count: Count, unit: str) -> Meaning:
        number, step = count.most, which.value or -1
        if unit == "weekend":
            return Meaning(lambda calendar: relative.last_weekends(int(number), calendar, step))
        return _rolling(((number, unit),), step, ALWAYS)

    def rolling_in_two(self, which: Token, first: Count, unit: str, last: Count, smaller: str) -> Meaning:
        """ "the last 2 weeks 3 days" """
        counted = ((first.most, unit), (last.most, smaller))
        if not relative.are_falling(counted):
            raise ValueError("no one count")
        return _rolling(counted, which.value or -1, ALWAYS)

    def rolling_or_two(self, which: Token, unit: str, _: Token) -> Meaning:
        """ "the last day or two" """
        if not which.value:
            raise ValueError("this is no two")
        return self.rolling(which, Count(2, 2), unit)

    def rolling_and_half(self, which: Token, unit: str, _: Token) -> Meaning:
        return self.rolling(which, Count(1.5, 1.5), unit)

    def ago(self, count: Count, unit: str, _: Token | None, before: tuple[Part, ...] = ()) -> Meaning:
        is_later = count.most < 0
        return fixed(
            lambda calendar: relative.away(count, unit, relative.earlier(calendar, before, is_later)),
            like=lambda number: self.ago(Count(number, number), unit, None),
            counted=(*before, *relative.parts(count, unit)),
            more=lambda others: self.ago(count, unit, None, (*others, *before)),
            also=lambda part: self.ago(relative.signed(part[0], is_later), part[1], None),
        )

    def ago_in_parts(self, *counted: Any) -> Meaning:
        """ "1 year 2 months ago" """
        *before, last = zip(counted[:-1:2], counted[1::2], strict=True)
        parts = tuple((count.most, unit) for count, unit in before)
        is_one = all(count.least == count.most for count, _ in before)
        if not is_one or not relative.are_falling((*parts, *relative.parts(*last))):
            raise ValueError("no one count")
        return self.ago(*last, None, parts)

    def ago_and_half(self, count: Count, unit: str, *_: Token) -> Meaning:
        return self.ago(Count(count.least + 0.5, count.most + 0.5), unit, None)

    def ago_or_two(self, count: Count, unit: str, *_: Token) -> Meaning:
        return self.ago(Count(count.least, 2), unit, None)

    def lately(self, token: Token) -> Meaning:
        """The other day: as few days ago as "a few days ago"."""
        return self.ago(Count(2, 5) if token.value == "day" else Count(1, 3), token.value, None)

    def hence_or_two(self, count: Count, unit: str, _: Token, hence: Token) -> Meaning:
        return self.hence(Count(count.least, 2), unit, hence)

    def hence(self, count: Count, unit: str, _: Token) -> Meaning:
        return self.ago(Count(-count.least, -count.most), unit, None)

    def ahead(self, count: Count, unit: str) -> Meaning:
        found = _ahead(self.ago(Count(-count.least, -count.most), unit, None))
        return found if count.least == count.most else replace(found, counted=())

    def _this(self, unit: str) -> Meaning:
        if unit not in _OF_THE_CALENDAR:
            raise ValueError("no unit that is looked at as a whole")
        return self.which_unit(Token("THIS", 0), unit)


def _ahead(hence: Meaning) -> Meaning:
    """A time to come that only "in" says: "in two weeks"."""
    more = hence.more
    return replace(
        hence, needs=AFTER_IN, like=None, also=None, more=None if more is None else lambda others: _ahead(more(others))
    )


def _rolling(counted: tuple[Part, ...], step: int, needs: frozenset[str]) -> Meaning:
    """As long as these counts together, up to now, or from now where `step` is above zero."""
    length = sum((relative.rolling(unit, number) for number, unit in counted), timedelta())
    return fixed(
        lambda calendar: (
            Span(calendar.as_of, calendar.as_of + length) if step > 0 else Span(calendar.as_of - length, calendar.as_of)
        ),
        needs,
        **_going_on(counted, step, needs),
    )


def _going_on(counted: tuple[Part, ...], step: int, needs: frozenset[str]) -> dict[str, Any]:
    """What makes of such a count a longer one, or another."""
    return {
        "counted": counted,
        "longer": lambda others: _rolling((*counted, *others), step, needs),
        "also": lambda part: _rolling((part,), step, needs),
    }
