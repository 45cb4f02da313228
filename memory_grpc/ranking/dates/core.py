"""The meanings of single dates: a day, a month, "last week", "two days ago"."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from lark import Token, v_args

from memory_grpc.ranking.dates import meaning, relative
from memory_grpc.ranking.dates.meaning import (
    AFTER_A_BOUND,
    AFTER_A_WORD,
    AFTER_IN,
    AFTER_ON,
    ALWAYS,
    Meaning,
    Year,
    fixed,
)
from memory_grpc.ranking.dates.named import Named
from memory_grpc.ranking.dates.relative import Count
from memory_grpc.ranking.dates.spans import Calendar, Span, add_months, week_of, weekday_before


@v_args(inline=True)
class Core(Named):
    """The methods of the rules for one date each."""

    # -- small parts

    def which(self, word: Token) -> Token:
        return word

    def unit(self, word: Token) -> str:
        return str(word.value)

    def num(self, token: Token) -> Token:
        return token

    def year(self, *parts: Token) -> Year:
        last = parts[-1]
        if last.type == "Y":
            return lambda _: int(last.value)
        step = parts[-2].value
        return lambda calendar: calendar.today.year + step

    def count(self, *parts: Token) -> Count:
        if parts[-1].type == "ORD":
            raise ValueError("an ordinal is no count")
        if parts[0].type == "HALF":
            return Count(0.5, 0.5)
        values = [part.value for part in parts if part.type != "A"] or [1]
        if isinstance(values[0], tuple):
            return Count(*values[0])
        number = values[0]
        if len(values) > 1:  # "two and a half", "two hundred"
            number = number + values[1] if parts[-1].type == "ANDHALF" else number * values[1]
        return Count(number, number)

    # -- days

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
            lambda calendar: meaning.part_of_day(
                [calendar.days(calendar.today + timedelta(days=which.value))], part.value, calendar
            )
        )

    def weekday(self, token: Token) -> Meaning:
        return fixed(
            lambda calendar: calendar.days(weekday_before(calendar.by + timedelta(days=1), token.value)),
            AFTER_A_WORD,
            is_full=False,
        )

    def which_weekday(self, which: Token, token: Token) -> Meaning:
        if which.value < 0:
            return fixed(lambda calendar: calendar.days(weekday_before(calendar.today, token.value)))
        return fixed(
            lambda calendar: calendar.days(week_of(calendar.today) + timedelta(days=token.value + 7 * which.value))
        )

    def weekday_before_last(self, token: Token, *_: Token) -> Meaning:
        return fixed(lambda calendar: relative.last_weekdays(2, token.value, calendar, -1)[1])

    def weekdays(self, which: Token, count: Count, token: Token) -> Meaning:
        return Meaning(
            lambda calendar: relative.last_weekdays(int(count.most), token.value, calendar, which.value or -1)
        )

    def weekday_of_week(self, token: Token, *rest: Any) -> Meaning:
        return self.unit_on_weekday(rest[-2], rest[-1], token)

    def unit_on_weekday(self, which: Token, unit: str, *rest: Token) -> Meaning:
        week = self.which_unit(which, unit)
        return fixed(lambda calendar: relative.weekday_within(week.one(calendar), rest[-1].value, calendar))

    def weekday_ago(self, weekday: Token, count: Count, unit: str, *_: Token) -> Meaning:
        """ "Monday a week ago": of that week of the calendar, not of seven days somewhere."""
        if unit != "week" or count.least != count.most or count.least % 1:
            raise ValueError("no one week")

        def meant(calendar: Calendar) -> Span:
            week = meaning.unit_of(calendar.today, unit, calendar, int(count.least))
            return relative.weekday_within(week, weekday.value, calendar)

        return fixed(meant)

    def ago_on_weekday(self, count: Count, unit: str, *rest: Token) -> Meaning:
        return self.weekday_ago(rest[-1], count, unit)

    def weekday_and_day(self, _: Token, day: Any) -> Meaning:
        return day if isinstance(day, Meaning) else self.day_given(day)

    # -- units of the calendar

    def which_unit(self, which: Token, unit: str) -> Meaning:
        step = which.value
        is_rolling = which.type == "PAST" and unit != "weekend"
        if is_rolling or unit in ("second", "minute", "hour", "fortnight") or (unit == "day" and step):
            needs = AFTER_IN if unit in ("second", "minute", "day") else ALWAYS
            return fixed(self.rolling(which, Count(1, 1), unit).one, needs)
        return fixed(lambda calendar: meaning.unit_of(calendar.today, unit, calendar, -step))

    def unit_before_last(self, unit: str, *_: Token) -> Meaning:
        return fixed(lambda calendar: meaning.unit_of(calendar.today, unit, calendar, 2))

    def unit_after_next(self, unit: str, *_: Token) -> Meaning:
        return fixed(lambda calendar: meaning.unit_of(calendar.today, unit, calendar, -2))

    def earlier(self, _: Token, __: Token, unit: str) -> Meaning:
        return fixed(lambda calendar: Span(meaning.unit_of(calendar.today, unit, calendar).start, calendar.as_of))

    def later(self, _: Token, __: Token, unit: str) -> Meaning:
        return fixed(lambda calendar: Span(calendar.as_of, meaning.unit_of(calendar.today, unit, calendar).end))

    def unit_of(self, unit: str, _: Token, of: Meaning) -> Meaning:
        """The week of a day, the month of June."""
        if not of.stands("BOUND") or unit in ("minute", "hour", "second", "fortnight"):
            raise ValueError("no date")

        def meant(calendar: Calendar) -> Span:
            span = of.one(calendar)
            found = meaning.unit_of(calendar.day_of(span.start), unit, calendar)
            if unit == "day" or found.end < span.end:  # "the day of Christmas", "the week of June"
                return span
            return found

        return fixed(meant, is_full=of.is_full)

    def nth(self, number: Token, unit: Any, _: Token, of: Meaning) -> Meaning:
        if not of.stands("BOUND") or number.value == 0 or number.type in ("NEXT", "PAST"):
            raise ValueError("no date")
        if isinstance(unit, Token) and unit.type == "WDAY":
            weekday = unit.value

            def meant(calendar: Calendar) -> Span:
                span = of.one(calendar)
                days = meaning.weekdays(calendar.day_of(span.start), calendar.day_of(span.end), weekday)
                return calendar.days(days[meaning.place(number.value, len(days))])

            return fixed(meant, is_full=of.is_full)
        name = getattr(unit, "value", unit)
        return fixed(lambda calendar: meaning.nth(of.one(calendar), number.value, name, calendar), is_full=of.is_full)

    # -- counted units

    def rolling(self, which: Token, count: Count, unit: str) -> Meaning:
        number, step = count.most, which.value or -1
        if unit == "weekend":
            return Meaning(lambda calendar: relative.last_weekends(int(number), calendar, step))
        length = relative.rolling(unit, number)
        if step > 0:
            return fixed(lambda calendar: Span(calendar.as_of, calendar.as_of + length))
        return fixed(lambda calendar: Span(calendar.as_of - length, calendar.as_of))

    def ago(self, count: Count, unit: str, _: Token | None) -> Meaning:
        return fixed(
            lambda calendar: relative.away(count, unit, calendar),
            like=lambda number: self.ago(Count(number, number), unit, None),
        )

    def ago_and_half(self, count: Count, unit: str, *_: Token) -> Meaning:
        return self.ago(Count(count.least + 0.5, count.most + 0.5), unit, None)

    def hence(self, count: Count, unit: str, _: Token) -> Meaning:
        return self.ago(Count(-count.least, -count.most), unit, None)

    def ahead(self, count: Count, unit: str) -> Meaning:
        found = self.ago(Count(-count.least, -count.most), unit, None)
        return Meaning(found.of, AFTER_IN)

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

    def unit_on_number(self, which: Token, unit: str, _: Token, token: Token) -> Meaning:
        """ "last month on the 15th" """
        if unit != "month" or token.type != "ORD":
            raise ValueError("no date")

        def meant(calendar: Calendar) -> Span:
            first = calendar.day_of(meaning.unit_of(calendar.today, unit, calendar, -which.value).start)
            return calendar.days(first.replace(day=token.value))

        return fixed(meant)

    def day_of_unit(self, token: Token, on: Token, which: Token, unit: str) -> Meaning:
        return self.unit_on_number(which, unit, on, token)

    def abbreviated(self, token: Token) -> Meaning:
        return fixed(self.month(token).one, AFTER_A_BOUND, is_full=False)

    def day_given(self, token: Token) -> Meaning:
        day: date = token.value
        return fixed(lambda calendar: calendar.days(day), is_day=True)
