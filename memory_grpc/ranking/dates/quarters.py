"""The meanings of quarters and halves of years, and which year a name means that comes once in each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from lark import Token, Transformer, v_args

from memory_grpc.ranking.dates import meaning
from memory_grpc.ranking.dates.meaning import AFTER_A_BOUND, AFTER_A_WORD, Meaning, fixed
from memory_grpc.ranking.dates.spans import Calendar, Span

OfYear = Callable[[int, Calendar], Span]


@v_args(inline=True)
class Quarters(Transformer[Token, Any]):
    """The methods of the rules for quarters and halves."""

    def quarter(self, token: Token, *_: Token) -> Meaning:
        of_year, first = _of_year(token), 3 * token.value - 2
        return fixed(
            lambda calendar: of_year(calendar.latest(first).year, calendar),
            AFTER_A_WORD if token.type == "ORDW" else meaning.ALWAYS,
            is_full=False,
        )

    def quarter_of(self, token: Token, *rest: Any) -> Meaning:
        year, quarter = (token, rest[-1]) if token.type == "Y" else (rest[-1], token)
        of_year = _of_year(quarter)
        return fixed(lambda calendar: of_year(year(calendar) if callable(year) else year.value, calendar))

    def which_quarter(self, which: Token, token: Token) -> Meaning:
        """ "last Q3"; "the last H2" may be a heading or a database."""
        return replace(which_year(which, _of_year(token)), ends_bare=token.type == "HN")

    def half(self, token: Token) -> Meaning:
        of_year = _of_year(token)
        return fixed(
            lambda calendar: of_year(calendar.latest(6 * token.value - 5).year, calendar),
            AFTER_A_BOUND | {"FOR"},
            is_full=False,
            ends_bare=True,
        )


def _of_year(token: Token) -> OfYear:
    """The quarter or half of a year."""
    months = 6 if token.type == "HN" else 3
    if token.value > 12 // months:
        raise ValueError("no quarter")
    return lambda year, calendar: calendar.month(year, months * (token.value - 1) + 1, months)


def ended_of(number: int, of_year: OfYear, calendar: Calendar) -> Span:
    """The last of its kind that has ended, for 1; the one before it for 2."""
    this = calendar.today.year
    later = sum(of_year(this + 1 - back, calendar).end > calendar.as_of for back in range(3))
    return of_year(this + 2 - later - number, calendar)


def which_year(which: Token, of_year: OfYear) -> Meaning:
    """Last: that has ended. Next: that begins. This: of this year, or that goes on from the last."""
    if which.value < 0:
        return fixed(lambda calendar: ended_of(1, of_year, calendar))

    def meant(calendar: Calendar) -> Span:
        year = calendar.today.year
        if which.value:
            spans = (of_year(year + step, calendar) for step in range(3))
            return next(span for span in spans if span.start > calendar.as_of)
        before = of_year(year - 1, calendar)
        return before if before.end > calendar.as_of else of_year(year, calendar)

    return fixed(meant)
