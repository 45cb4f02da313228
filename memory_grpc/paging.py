"""Pages of a listing, by tokens (AIP-158): a token is the place of the last row that was given, so that pages stay
stable while rows come and go before it.

::

    page = PageRequest(size, token, query)          query: the request without its size and token
    after = page.after(datetime, UUID)              None on the first page
    rows = …                                        up to page.size + 1 rows behind that place
    page.of(rows, lambda row: (row.created_at, row.id))

A token is bound to its query, so that one of another request is refused and not taken for a place in this one. It is
not signed: a forged one leads to another place in what its caller may list anyway.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar
from uuid import UUID

from memory_grpc.errors import InvalidInput

T = TypeVar("T")
Value = datetime | UUID | str | int | float
Place = tuple[Value, ...]

_DIGEST_BYTES = 8
_BIGGEST = 2**63
_SEPARATOR = "\0"  # stands in no text of a request


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """Some rows; ``next_token`` asks for those behind them, and is empty where there are none."""

    rows: Sequence[T]
    next_token: str


@dataclass(frozen=True, slots=True)
class PageRequest:
    """Up to ``size`` rows of ``query`` from the place of ``token`` on; an empty token is the first page's."""

    size: int
    token: str
    query: bytes
    """What is listed, in the same bytes for every page of it."""

    def after(self, *types: type[Value]) -> tuple[Any, ...] | None:
        """The place of the last row of the page before, of these types; None on the first page.

        Raises InvalidInput for what is no token of this query.
        """
        if not self.token:
            return None
        try:
            raw = base64.b64decode(self.token + "=" * (-len(self.token) % 4), altchars=b"-_", validate=True)
            texts = raw[_DIGEST_BYTES:].decode().split(_SEPARATOR)
            place = tuple(_read(kind, text) for kind, text in zip(types, texts, strict=True))
            is_own = self._token(place) == self.token  # else of another query, or written otherwise than here
        except (binascii.Error, ValueError, OverflowError):
            is_own = False
        if not is_own:
            raise InvalidInput.of("page_token", "must be the next_page_token of a page of the same request")
        return place

    def cut(self, fitting: int) -> PageRequest:
        """The same of so many rows at most: where texts are long, a page ends before its size."""
        return replace(self, size=min(self.size, fitting))

    def of(self, found: Sequence[T], place: Callable[[T], Place]) -> Page[T]:
        """The page, out of up to ``size + 1`` rows: the one too many says that there is another."""
        if len(found) <= self.size:
            return Page(found, "")
        return Page(found[: self.size], self._token(place(found[self.size - 1])))

    def _token(self, place: Place) -> str:
        text = _SEPARATOR.join(map(_written, place))
        digest = hashlib.sha256(self.query).digest()[:_DIGEST_BYTES]
        return base64.urlsafe_b64encode(digest + text.encode()).decode().rstrip("=")


def _written(value: Value) -> str:
    return value.astimezone(UTC).isoformat() if isinstance(value, datetime) else str(value)


def _read(kind: type[Value], text: str) -> Value:
    """A value as ``_written`` writes it. Raises ValueError or OverflowError."""
    if kind is datetime:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            raise ValueError
        return moment
    if kind is float:
        number = float(text)
        if not math.isfinite(number):
            raise ValueError
        return number
    if kind is int:
        whole = int(text)
        if not -_BIGGEST <= whole < _BIGGEST:
            raise ValueError
        return whole
    return UUID(text) if kind is UUID else text
