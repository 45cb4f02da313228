"""The meanings of days, months, seasons and holidays that are called by their names or numbers."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, timedelta

from lark import Token, v_args

from memory_grpc.ranking.dates import meaning
from memory_grpc.ranking.dates.holidays import HOLIDAYS
from memory_grpc.ranking.dates.meaning import AFTER_A_BOUND, AFTER_A_SPAN, AFTER_A_WORD, Meaning, Year, fixed
from memory_grpc.ranking.dates.quarters import Quarters, ended_of, which_year
from memory_grpc.ranking.dates.spans import Calendar, NoSuchDay, Span

_MONTHS = ("MONTH", "ABBR", "SMALLMONTH")


@v_args(inline=True)
class Named(Quarters):
    """The methods of the rules for dates of the calendar."""

    def instant(self, token: Token) -> Meaning:
        """A minute: an instant without an offset is one of the caller's clock."""

        def meant(calendar: Calendar) -> Span:
            instant = token.value if token.value.tzinfo else token.value.replace(tzinfo=calendar.zone)
            start = instant.astimezone(UTC).replace(second=0, microsecond=0)
            return Span(start, start + timedelta(minutes=1))

        return fixed(meant)

    def year(self, *parts: Token) -> Year:
        return lambda _: int(parts[-1].value)

    def month(self, token: Token) -> Token:
        return token

    def monthday(self, *parts: Token) -> tuple[int, int]:
        """ "6 July", "the sixth of July", "July the 6th" -> (7, 6)"""
        (month,) = (part.value for part in parts if part.type in _MONTHS)
        (number,) = (part.value for part in parts if part.type not in {*_MONTHS, "OF"})
        return month, number

    def day(self, monthday: tuple[int, int], year: Year | None = None) -> Meaning:
        return _day(*monthday, year)

    def day_of_year(self, year: Token, monthday: tuple[int, int]) -> Meaning:
        return _day(*monthday, lambda _: int(year.value))

    def named(self, token: Token) -> Meaning:
        """What a name means alone."""
        of = {"WDAY": "weekday", "SEASON": "season", "HOLIDAY": "holiday", "QN": "quarter", "HN": "half"}
        meant: Meaning = getattr(self, of.get(token.type, "month_alone"))(token)
        return meant

    def month_given(self, token: Token) -> Meaning:
        year, month = token.value
        return fixed(lambda calendar: calendar.month(year, month))

    def month_in_figures(self, token: Token) -> Meaning:
        """ "11/2025", which may be a number of something else."""
        return fixed(self.month_given(token).one, AFTER_A_WORD)

    def month_alone(self, token: Token) -> Meaning:
        if token.type == "SMALLMONTH":
            raise ValueError("another word")
        return fixed(
            lambda calendar: calendar.month(calendar.latest(token.value).year, token.value),
            AFTER_A_WORD if token.type == "MONTH" else AFTER_A_BOUND,
            is_full=False,
        )

    def month_of(self, month: Token, year: Year) -> Meaning:
        return fixed(lambda calendar: calendar.month(year(calendar), month.value))

    def which_month(self, which: Token, month: Token) -> Meaning:
        return which_year(which, lambda year, calendar: calendar.month(year, month.value))

    def year_alone(self, *parts: Token) -> Meaning:
        token = parts[-1]
        return fixed(lambda calendar: calendar.month(token.value, 1, 12), AFTER_A_WORD, number=token.value)

    def years(self, token: Token) -> Meaning:
        """2023/24"""
        return fixed(lambda calendar: calendar.month(token.value, 1, 24), AFTER_A_WORD)

    def decade(self, token: Token) -> Meaning:
        return fixed(lambda calendar: calendar.month(token.value, 1, 120), AFTER_A_WORD)

    def season(self, token: Token) -> Meaning:
        return fixed(
            lambda calendar: calendar.month(calendar.latest(token.value).year, token.value, 3),
            AFTER_A_SPAN,
            is_full=False,
        )

    def season_of(self, token: Token, year: Year) -> Meaning:
        if token.value < 12:
            return fixed(lambda calendar: calendar.month(year(calendar), token.value, 3))

        def meant(calendar: Calendar) -> list[Span]:
            # "winter 2023" is said of both of its ends
            return [calendar.month(year(calendar), 1, 2), calendar.month(year(calendar), 12, 3)]

        def over(last: int) -> Meaning:
            """ "winter 2021 - 2022" """

            def one(calendar: Calendar) -> Span:
                if year(calendar) != last - 1:
                    raise ValueError("no one winter")
                return calendar.month(last - 1, 12, 3)

            return fixed(one)

        return Meaning(meant, over=over)

    def season_of_years(self, token: Token, *years: Token) -> Meaning:
        """Winter 2023/24: the one that lies in both."""
        if token.value < 12:
            raise ValueError("in no two years")
        return fixed(lambda calendar: calendar.month(years[-1].value, 12, 3))

    def which_season(self, which: Token, token: Token) -> Meaning:
        return which_year(which, lambda year, calendar: calendar.month(year, token.value, 3))

    def holiday(self, token: Token) -> Meaning:
        return fixed(
            lambda calendar: _holiday(token, _last_year(token, calendar), calendar),
            AFTER_A_WORD,
            is_full=False,
            around=around_of(token),
        )

    def holiday_unit(self, token: Token, unit: Token, year: Year | None = None) -> Meaning:
        """Christmas week is a week of the calendar, Labor Day weekend the nearest with the holiday."""

        def meant(calendar: Calendar) -> Span:
            in_year = year(calendar) if year else _last_year(token, calendar)
            day = HOLIDAYS[token.value].of(in_year)
            if unit.type == "WEEK":
                return meaning.unit_of(day, "week", calendar)
            holiday = _holiday(token, in_year, calendar)
            weekend = meaning.weekend_near(day, calendar)
            return Span(min(weekend.start, holiday.start), max(weekend.end, holiday.end))

        return fixed(meant, meaning.ALWAYS if year else AFTER_A_WORD, is_full=year is not None)

    def holiday_of(self, token: Token, year: Year) -> Meaning:
        return fixed(lambda calendar: _holiday(token, year(calendar), calendar), around=around_of(token))

    def which_holiday(self, which: Token, token: Token) -> Meaning:
        meant = which_year(which, lambda year, calendar: _holiday(token, year, calendar))
        return replace(meant, around=around_of(token))


def _day(month: int, number: int, year: Year | None) -> Meaning:
    def meant(calendar: Calendar) -> Span:
        if year is None:
            return calendar.days(calendar.latest(month, number))
        try:
            return calendar.days(date(year(calendar), month, number))
        except ValueError:
            raise NoSuchDay(f"no day {number} in month {month}") from None

    return fixed(meant, is_full=year is not None, like=lambda other: _day(month, other, year), is_day=True)


def _holiday(token: Token, year: int, calendar: Calendar) -> Span:
    holiday = HOLIDAYS[token.value]
    return calendar.days(holiday.of(year) - timedelta(days=holiday.around), 1 + 2 * holiday.around)


def around_of(token: Token) -> int:
    """How many days on each side of its own day a name takes in."""
    return HOLIDAYS[token.value].around if token.type in ("HOLIDAY", "HOLIDAYS") else 0


def _last_year(token: Token, calendar: Calendar) -> int:
    """The year in which a holiday came last."""
    year = calendar.by.year
    return year if HOLIDAYS[token.value].of(year) <= calendar.by else year - 1


def ended(token: Token, number: int, calendar: Calendar) -> Span:
    """The last season or holiday of that name that has ended, for 1; the one before it for 2."""
    if token.type in ("SEASON", "SEASONS"):
        return ended_of(number, lambda year, calendar: calendar.month(year, token.value, 3), calendar)
    return ended_of(number, lambda year, calendar: _holiday(token, year, calendar), calendar)
