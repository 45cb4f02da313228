"""Tokens of pages: they lead on where they were given, and nowhere else."""

from __future__ import annotations

import base64
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as some

from memory_grpc.errors import InvalidInput
from memory_grpc.paging import Page, PageRequest
from memory_grpc.services.convert_page import page_request
from memory_layer.v1 import key_service_pb2 as pb

QUERY = b"list of keys"
PLACE = (datetime(2026, 11, 14, 20, 30, 0, 123456, UTC), UUID(int=7))
WHOLE = (datetime, UUID, str, int, float)


@dataclass(frozen=True)
class Row:
    place: tuple[Any, ...]


def token(*place: Any, query: bytes = QUERY) -> str:
    """The token of the page whose last row is at a place."""
    rows = [Row(place), Row(place)]
    return PageRequest(1, "", query).of(rows, lambda row: row.place).next_token


def after(text: str, *types: Any, query: bytes = QUERY) -> Any:
    return PageRequest(1, text, query).after(*types)


def test_a_page_holds_its_size_and_leads_on_only_when_there_is_more() -> None:
    rows = [Row((n,)) for n in range(4)]
    first = PageRequest(3, "", QUERY)
    assert first.after(int) is None
    page = first.of(rows, lambda row: row.place)
    assert list(page.rows) == rows[:3]
    assert after(page.next_token, int) == (2,)
    assert replace(first, size=4).of(rows, lambda row: row.place) == Page(rows, "")
    assert first.of([], lambda row: row.place) == Page([], "")


texts = some.text(some.characters(exclude_characters="\0", exclude_categories=["Cs"]))
places = some.tuples(
    some.datetimes(timezones=some.just(UTC)),
    some.uuids(),
    texts,
    some.integers(-(2**63), 2**63 - 1),
    some.floats(allow_nan=False, allow_infinity=False),
)


@given(places)
def test_every_place_comes_back_as_it_was(place: tuple[Any, ...]) -> None:
    assert after(token(*place), *WHOLE) == place


def test_moments_are_one_place_in_every_time_zone() -> None:
    elsewhere = PLACE[0].astimezone(timezone(timedelta(hours=5)))
    assert token(elsewhere, PLACE[1]) == token(*PLACE)


def test_a_token_is_made_of_letters_that_need_no_escaping() -> None:
    assert set(token("a/b?c=d&e é 日本" * 9)) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


def refused(text: str, *types: Any, query: bytes = QUERY) -> bool:
    with pytest.raises(InvalidInput) as caught:
        after(text, *types, query=query)
    (violation,) = caught.value.violations
    return violation.field == "page_token" and text not in str(caught.value)


def test_a_token_of_another_query_is_refused() -> None:
    assert refused(token(*PLACE), datetime, UUID, query=b"list of other keys")


@pytest.mark.parametrize(
    "types", [(datetime,), (UUID, datetime), (str,), (datetime, UUID, str), (datetime, str, str), (int, UUID), ()]
)
def test_a_token_of_another_form_is_refused(types: tuple[Any, ...]) -> None:
    assert refused(token(*PLACE), *types)


def raw(text: str) -> str:
    """A token of this query with whatever content."""
    digest = base64.urlsafe_b64decode(token("x") + "==")[:8]
    return base64.urlsafe_b64encode(digest + text.encode()).decode().rstrip("=")


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (datetime, "2026-11-14T20:30:00"),  # of no time zone
        (datetime, "2026-11-14T20:30:00Z"),  # not as it is written
        (datetime, "0001-01-01T00:00:00+14:00"),
        (datetime, "9999-12-31T23:59:59-14:00"),
        (datetime, ""),
        (UUID, str(PLACE[1]).upper().replace("-", "")),
        (int, "9223372036854775808"),
        (int, "1" * 5000),
        (int, "٣"),
        (int, " 1"),
        (float, "nan"),
        (float, "1e999"),
        (str, "a\0b"),
    ],
)
def test_a_value_that_is_none_of_ours_is_refused(kind: Any, text: str) -> None:
    assert refused(raw(text), kind)


@given(some.text(min_size=1))
def test_whatever_text_comes_it_is_refused_in_the_same_words(text: str) -> None:
    with pytest.raises(InvalidInput, match="must be the next_page_token of a page of the same request"):
        after(text, datetime, UUID)


def test_the_query_is_the_request_without_its_size_and_token() -> None:
    one = page_request(pb.ListApiKeysRequest())
    assert (one.size, one.token) == (100, "")
    two = page_request(pb.ListApiKeysRequest(page_size=5, page_token="t"))
    assert (two.size, two.token, two.query) == (5, "t", one.query)
    assert page_request(pb.ListApiKeysRequest(), 7).size == 7
