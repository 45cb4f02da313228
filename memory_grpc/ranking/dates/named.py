"""The meanings of days, months, seasons and holidays that are called by their names or numbers."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, timedelta
from typing import Any

from lark import Token, Transformer, v_args

from memory_grpc.ranking.dates import meaning
from memory_grpc.ranking.dates.holidays import HOLIDAYS
from memory_grpc.ranking.dates.meaning import AFTER_A_SPAN, AFTER_A_WORD, Meaning, Year, fixed
from memory_grpc.ranking.dates.spans import Calendar, Span


@v_args(inline=True)
class Named(Transformer[Token, Any]):
    """The methods of the rules for dates of the calendar."""

    def instant(self, token: Token) -> Meaning:
        """A minute: an instant without an offset is one of the caller's clock."""

        def meant(calendar: Calendar) -> Span:
            instant = token.value if token.value.tzinfo else token.value.replace(tzinfo=calendar.zone)
            start = instant.astimezone(UTC).replace(second=0, microsecond=0)
            return Span(start, start + timedelta(minutes=1))

        return fixed(meant)

    def day(self, number: Token, *rest: Any) -> Meaning:
        """ "6 July", "the sixth of July", with or without a year."""
        month = next(part.value for part in rest if isinstance(part, Token) and part.type != "OF")
        return _day(month, number.value, rest[-1] if callable(rest[-1]) else None)

    def month_day(self, month: Token, number: Token, year: Year | None = None) -> Meaning:
        return _day(month.value, number.value, year)

    def month_given(self, token: Token) -> Meaning:
        year, month = token.value
        return fixed(lambda calendar: calendar.month(year, month))

    def month(self, token: Token) -> Meaning:
        return fixed(
            lambda calendar: calendar.month(calendar.latest(token.value).year, token.value),
            AFTER_A_WORD,
            is_full=False,
        )

    def month_of(self, month: Token, year: Year) -> Meaning:
        return fixed(lambda calendar: calendar.month(year(calendar), month.value))

    def which_month(self, which: Token, month: Token) -> Meaning:
        return _which(which, lambda year, calendar: calendar.month(year, month.value))

    def unit_in_month(self, which: Token, unit: str, _: Token, month: Token) -> Meaning:
        """ "last year in June" """
        if unit != "year":
            raise ValueError("no date")
        return self.month_of(month, lambda calendar: calendar.today.year + which.value)

    def year_alone(self, token: Token) -> Meaning:
        return fixed(lambda calendar: calendar.month(token.value, 1, 12), AFTER_A_WORD, number=token.value)

    def decade(self, token: Token) -> Meaning:
        return fixed(lambda calendar: calendar.month(token.value, 1, 120), AFTER_A_WORD)

    def quarter(self, token: Token, *_: Token) -> Meaning:
        first = _first_month(token)
        return fixed(
            lambda calendar: calendar.month(calendar.latest(first).year, first, 3),
            AFTER_A_WORD if token.type == "ORDW" else meaning.ALWAYS,
            is_full=False,
        )

    def quarter_of(self, token: Token, *rest: Any) -> Meaning:
        first, year = _first_month(token), rest[-1]
        return fixed(lambda calendar: calendar.month(year(calendar) if callable(year) else year.value, first, 3))

    def half_of(self, token: Token, year: Year) -> Meaning:
        return fixed(lambda calendar: calendar.month(year(calendar), 6 * token.value - 5, 6))

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

    def which_season(self, which: Token, token: Token) -> Meaning:
        return _which(which, lambda year, calendar: calendar.month(year, token.value, 3))

    def season_before_last(self, token: Token, *_: Token) -> Meaning:
        return _ended(2, lambda year, calendar: calendar.month(year, token.value, 3))

    def holiday(self, token: Token) -> Meaning:
        def meant(calendar: Calendar) -> Span:
            year = calendar.by.year
            has_come = HOLIDAYS[token.value].of(year) <= calendar.by
            return _holiday(token, year if has_come else year - 1, calendar)

        return fixed(meant, AFTER_A_WORD, is_full=False)

    def holiday_of(self, token: Token, year: Year) -> Meaning:
        return fixed(lambda calendar: _holiday(token, year(calendar), calendar))

    def which_holiday(self, which: Token, token: Token) -> Meaning:
        return _which(which, lambda year, calendar: _holiday(token, year, calendar))


def _day(month: int, number: int, year: Year | None) -> Meaning:
    def meant(calendar: Calendar) -> Span:
        if year is None:
            return calendar.days(calendar.latest(month, number))
        return calendar.days(date(year(calendar), month, number))

    return fixed(meant, is_full=year is not None, like=lambda other: _day(month, other, year), is_day=True)


def _first_month(quarter: Token) -> int:
    if quarter.value > 4:
        raise ValueError("no quarter")
    return 3 * int(quarter.value) - 2


def _holiday(token: Token, year: int, calendar: Calendar) -> Span:
    holiday = HOLIDAYS[token.value]
    return calendar.days(holiday.of(year) - timedelta(days=holiday.around), 1 + 2 * holiday.around)


OfYear = Callable[[int, Calendar], Span]


def _ended(number: int, of_year: OfYear) -> Meaning:
    """The last that has ended, or the one before it."""

    def meant(calendar: Calendar) -> Span:
        spans = (of_year(calendar.today.year + 1 - back, calendar) for back in range(5))
        ended = [span for span in spans if span.end <= calendar.as_of]
        return ended[number - 1]

    return fixed(meant)


def _which(which: Token, of_year: OfYear) -> Meaning:
    """Last: that has ended. Next: that begins. This: of this year, or that goes on from the last."""
    if which.value < 0:
        return _ended(1, of_year)

    def meant(calendar: Calendar) -> Span:
        year = calendar.today.year
        if which.value:
            spans = (of_year(year + step, calendar) for step in range(3))
            return next(span for span in spans if span.start > calendar.as_of)
        before = of_year(year - 1, calendar)
        return before if before.end > calendar.as_of else of_year(year, calendar)

    return fixed(meant)
