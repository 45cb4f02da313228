"""The meanings of what lies within another date, or so many of its kind ago: "last week on Monday", "June last year",
"three Fridays ago"."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any, NamedTuple

from lark import Token, v_args

from memory_grpc.ranking.dates import meaning, parts, relative
from memory_grpc.ranking.dates.counted import Counted
from memory_grpc.ranking.dates.meaning import Meaning, Year, fixed
from memory_grpc.ranking.dates.named import around_of, ended
from memory_grpc.ranking.dates.relative import Count
from memory_grpc.ranking.dates.spans import Calendar, Span, weekday_before


class Far(NamedTuple):
    """A unit of the calendar so far back: what it means alone, and how many units that are, if it is a number."""

    alone: Meaning
    unit: str
    back: float | None
    is_last: bool = False

    def span(self, calendar: Calendar) -> Span:
        """The calendar's own unit: of "a week ago" the week, not seven days somewhere."""
        if self.back is None or self.back % 1:
            raise ValueError("no one unit")
        return meaning.unit_of(calendar.today, self.unit, calendar, int(self.back))


@v_args(inline=True)
class Within(Counted):
    """The methods of the rules with a unit that is some units away."""

    def which_far(self, which: Token, unit: str) -> Far:
        return Far(self.which_unit(which, unit), unit, -which.value, which.type == "LAST")

    def before_last_far(self, unit: str, *_: Token) -> Far:
        return Far(fixed(lambda calendar: meaning.unit_of(calendar.today, unit, calendar, 2)), unit, 2)

    def after_next_far(self, unit: str, *_: Token) -> Far:
        return Far(fixed(lambda calendar: meaning.unit_of(calendar.today, unit, calendar, -2)), unit, -2)

    def ago_far(self, count: Count, unit: str, _: Token) -> Far:
        return Far(self.ago(count, unit, None), unit, count.least if count.least == count.most else None)

    def tail(self, _: Token, far: Far) -> Far:
        return far

    def alone(self, far: Far) -> Meaning:
        return far.alone

    def part_of_far(self, far: Far, _: Token, part: Token) -> Meaning:
        return Meaning(lambda calendar: parts.part_of_day(far.alone.of(calendar), part.value, calendar))

    def so_far(self, far: Far, _: Token) -> Meaning:
        if far.back != 0:
            raise ValueError("not of this one")
        return fixed(lambda calendar: Span(far.span(calendar).start, calendar.as_of))

    def same_day(self, first: Any, last: Any) -> Meaning:
        """ "a year ago today", "this day last year" """
        far, near = (first, last) if isinstance(first, Far) else (last, None)
        return fixed(
            lambda calendar: calendar.days(
                relative.back(calendar.today + timedelta(days=near.value if near else 0), far.unit, far.back)
            )
        )

    def from_day(self, count: Count, unit: str, _: Token, day: Token) -> Meaning:
        """ "a week from Friday" """

        def meant(calendar: Calendar) -> Span:
            if day.type == "NEAR":
                first = calendar.today + timedelta(days=day.value)
            else:
                first = weekday_before(calendar.today + timedelta(days=8), day.value)
            return calendar.days(relative.back(first, unit, -count.least if count.least == count.most else None))

        return fixed(meant)

    # -- within a unit

    def within(self, far: Far, _: Token | None, of: Meaning) -> Meaning:
        """The date that a year, month or week has once: "last year on 5 May", "last month on the 15th"."""
        counts = far.is_last and far.unit in ("day", "week", "weekend")
        if not counts:
            return once_within(far.span, of)
        if not of.stands("BOUND"):
            raise ValueError("no date")

        def meant(calendar: Calendar) -> Span:
            span = of.one(calendar)
            if of.is_full or span.end - span.start > timedelta(days=8):  # "the last week in June"
                return parts.nth(span, -1, far.unit, calendar)
            return once_within(far.span, of).one(calendar)

        return fixed(meant, around=of.around)

    def which_within(self, which: Token, unit: str, token: Token) -> Meaning:
        return self.within(self.which_far(which, unit), None, self.named(token))

    def ago_within(self, count: Count, unit: str, _: Token, token: Token) -> Meaning:
        return self.within(self.ago_far(count, unit, _), None, self.named(token))

    def named_within(self, token: Token, far: Far) -> Meaning:
        return self.within(far, None, self.named(token))

    def holiday_unit_within(self, token: Token, unit: Token, far: Far) -> Meaning:
        return self.within(far, None, self.holiday_unit(token, unit))

    def nth_far(self, number: Token, unit: Any, far: Far) -> Meaning:
        """ "the third quarter last year" """
        return self.nth(number, unit, None, fixed(far.span))

    def half_within(self, number: Token, half: Token, which: Token, unit: str) -> Meaning:
        return self.nth_far(number, half, self.which_far(which, unit))

    def day_within(self, monthday: Any, far: Far) -> Meaning:
        return self.within(far, None, self.day(monthday))

    # -- parts of days within a unit

    def part_of_day(self, of: Meaning, *rest: Token) -> Meaning:
        part = rest[-1].value
        return Meaning(
            lambda calendar: parts.part_of_day(of.of(calendar), part, calendar, of.around), of.needs, of.is_full
        )

    def part_within(self, of: Meaning, part: Token, far: Far) -> Meaning:
        return self.part_of_day(self.within(far, None, of), part)

    def part_of_year(self, of: Meaning, part: Token, year: Year) -> Meaning:
        return self.part_of_day(once_within(lambda calendar: calendar.month(year(calendar), 1, 12), of), part)

    def in_year(self, of: Meaning, _: Token, year: Token) -> Meaning:
        return once_within(lambda calendar: calendar.month(year.value, 1, 12), of)

    def part_in_year(self, of: Meaning, part: Token, _: Token, year: Token) -> Meaning:
        return self.part_of_day(self.in_year(of, _, year), part)

    def of_part_in_year(self, part: Token, _: Token, of: Meaning, __: Token, year: Token) -> Meaning:
        return self.part_in_year(of, part, __, year)

    # -- so many of a kind

    def names(self, token: Token) -> Token:
        return token

    def names_ago(self, count: Count, token: Token, _: Token) -> Meaning:
        if count.most % 1:
            raise ValueError("no whole number")
        return Meaning(
            lambda calendar: [_named_back(token, back, calendar) for back in {int(count.least), int(count.most)}],
            around=around_of(token),
        )

    def before_last(self, token: Token, *_: Token) -> Meaning:
        return fixed(lambda calendar: _named_back(token, 2, calendar), around=around_of(token))

    def after_next(self, token: Token, *_: Token) -> Meaning:
        return Meaning(lambda calendar: relative.last_weekdays(2, token.value, calendar, 1)[1:])

    def weekday_of(self, token: Token, _: Token, __: Token, ___: Token, of: Meaning) -> Meaning:
        """ "the Monday of the week of 12 October" """
        return self.nth(Token("ORDW", 1), token, None, self.unit_of("week", _, of))

    def last_names(self, which: Token, count: Count, token: Token) -> Meaning:
        number = int(count.most)
        if token.type in ("WDAY", "WDAYS"):
            return Meaning(lambda calendar: relative.last_weekdays(number, token.value, calendar, which.value or -1))
        if which.value > 0 or not 0 < number <= 5:
            raise ValueError("none that have been")
        return Meaning(lambda calendar: [_named_back(token, back, calendar) for back in range(1, number + 1)])


def _named_back(token: Token, back: int, calendar: Calendar) -> Span:
    """The last weekday, season, holiday or part of a day of that name, or the one so many before it."""
    if token.type in ("WDAY", "WDAYS"):
        return relative.last_weekdays(back, token.value, calendar, -1)[-1]
    if token.type in ("PART", "PARTS"):
        day = calendar.days(calendar.today - timedelta(days=back))
        return parts.part_of_day([day], token.value, calendar)[0]
    return ended(token, back, calendar)


def once_within(span_of: Callable[[Calendar], Span], of: Meaning) -> Meaning:
    """A date within a span that has it once."""
    if not of.stands("BOUND") or of.is_full:
        raise ValueError("no date")

    def meant(calendar: Calendar) -> Span:
        span = span_of(calendar)
        last = meaning.add_days(span.end, calendar, -1)
        found, *others = (of.one(meaning.on(calendar, last - timedelta(days=earlier))) for earlier in (0, 7, 31))
        if found.start >= span.end or found.end <= span.start:
            raise ValueError("not within")
        if any(other != found and other.start >= span.start for other in others):
            raise ValueError("more than one")
        return found

    return fixed(meant, around=of.around)
