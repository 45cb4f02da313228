"""The meanings of single days: today, a weekday, a day of the month."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from lark import Token, v_args

from memory_grpc.ranking.dates import meaning, parts
from memory_grpc.ranking.dates.meaning import (
    AFTER_A_WORD,
    AFTER_ON,
    LOOSELY,
    Meaning,
    Year,
    fixed,
)
from memory_grpc.ranking.dates.spans import Calendar, Span, add_months, week_of, weekday_before
from memory_grpc.ranking.dates.within import Within


@v_args(inline=True)
class Core(Within):
    """The methods of the rules for one day each."""

    def num(self, token: Token) -> Token:
        return token

    def near(self, token: Token) -> Meaning:
        return fixed(lambda calendar: calendar.days(calendar.today + timedelta(days=token.value)))

    def now(self, _: Token) -> Meaning:
        return fixed(
            lambda calendar: Span(calendar.as_of - timedelta(microseconds=1), calendar.as_of), frozenset({"BOUND"})
        )

    def tonight(self, _: Token) -> Meaning:
        return self.which_part(Token("THIS", 0), Token("PART", "night"))

    def which_part(self, which: Token, part: Token) -> Meaning:
        return Meaning(
            lambda calendar: parts.part_of_day(
                [calendar.days(calendar.today + timedelta(days=which.value))], part.value, calendar
            )
        )

    # -- weekdays

    def weekday(self, token: Token) -> Meaning:
        return fixed(
            lambda calendar: calendar.days(weekday_before(calendar.by + timedelta(days=1), token.value)),
            LOOSELY,
            is_full=False,
        )

    def which_weekday(self, which: Token, token: Token) -> Meaning:
        if which.value < 0:
            return fixed(lambda calendar: calendar.days(weekday_before(calendar.today, token.value)))
        if which.type == "COMING":
            return fixed(lambda calendar: calendar.days(weekday_before(meaning.in_a_week(calendar), token.value)))
        return fixed(
            lambda calendar: calendar.days(week_of(calendar.today) + timedelta(days=token.value + 7 * which.value))
        )

    def weekday_and_day(self, _: Token, day: Any, year: Year | None = None) -> Meaning:
        return self.day_given(day) if isinstance(day, Token) else self.day(day, year)

    def weekday_and_number(self, weekday: Token, number: Token) -> Meaning:
        """ "Wednesday the 18th": this month, or the last in which that day was one."""

        def meant(calendar: Calendar) -> Span:
            for back in range(12):
                try:
                    day = add_months(calendar.today, -back).replace(day=number.value)
                except ValueError:
                    continue
                if day.weekday() == weekday.value:
                    return calendar.days(day)
            raise ValueError("no such day")

        return fixed(meant, AFTER_A_WORD, ends_bare=True)

    def part_of_weekday(self, which: Token, weekday: Token, _: Token, part: Token) -> Meaning:
        day = self.which_weekday(which, weekday)
        return Meaning(lambda calendar: parts.part_of_day(day.of(calendar), part.value, calendar))

    # -- numbers of days

    def numeral(self, token: Token, year: Token | None = None) -> Meaning:
        """A bare number: a day of this month or the last if it is an ordinal, else only beside another date."""
        is_day = token.type == "ORD" and year is None

        def meant(calendar: Calendar) -> Span:
            for back in range(3):  # one of three months has every day
                first = add_months(calendar.by, -back)
                try:
                    day = first.replace(day=token.value)
                except ValueError:
                    continue
                if day <= calendar.by:
                    return calendar.days(day)
            raise ValueError("no such day")

        return fixed(
            meant, AFTER_ON if is_day else frozenset(), is_full=False, number=token.value, ends_bare=year is None
        )

    def number_within(self, number: Token, *rest: Any) -> Meaning:
        return self.within(self.which_far(*rest[-2:]), None, self.numeral(number))

    def numbers(self, token: Token) -> Meaning:
        """ "24/12", "20251224": what may be a fraction or a number of something else is a date after "on" alone."""
        if isinstance(token.value, date):
            return fixed(self.day_given(token).one, AFTER_A_WORD, ends_bare=True)
        month, day, can_be_no_fraction = token.value
        return fixed(
            lambda calendar: calendar.days(calendar.latest(month, day)),
            AFTER_ON if can_be_no_fraction else frozenset({"ON"}),
            is_full=False,
            ends_bare=True,
        )

    def day_given(self, token: Token) -> Meaning:
        day: date = token.value
        return fixed(lambda calendar: calendar.days(day), is_day=True)

    def week_given(self, token: Token) -> Meaning:
        return fixed(lambda calendar: calendar.days(token.value, 7))

    def week_numbered(self, _: Token, number: Token, year: Year) -> Meaning:
        """ "week 27 of 2025", by ISO 8601."""
        return fixed(lambda calendar: calendar.days(date.fromisocalendar(year(calendar), number.value, 1), 7))
