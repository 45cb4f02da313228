"""Positions in a write-ahead log, as numbers and as Postgres spells them."""

import pytest

from memory_grpc import positions
from memory_grpc.errors import CopyUnavailable
from memory_grpc.positions import UNKNOWN, Written


@pytest.mark.parametrize("text", ["0/0", "16/B374D848", "FFFFFFFF/FFFFFFFF", "0/32A4A08"])
def test_a_position_is_spelled_as_it_was_read(text: str) -> None:
    assert positions.spelled(positions.parse(text)) == text


@pytest.mark.parametrize(
    "text",
    ["", "/", "1", "1/", "/1", "1/2/3", "-1/0", "0/-1", "1_0/0", " 1/0", "g/0", "123456789/0", "0x1/2", "\u0661/0"],
)
def test_what_is_no_position_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        positions.parse(text)


def test_small_letters_are_hexadecimal_too() -> None:
    assert positions.parse("16/b374d848") == positions.parse("16/B374D848")


def test_a_tenant_that_was_forgotten_is_taken_to_have_written_as_late_as_any_of_those() -> None:
    written = Written(remembered=2)
    for tenant, position in (("a", 10), ("b", 20), ("c", 30)):
        written.note(tenant, position)
    assert [written.of(tenant) for tenant in "abc"] == [10, 20, 30]
    assert written.of("never seen") == 10
    assert written.of(None) == written.last == 30


def test_a_write_whose_end_is_not_known_lies_behind_everything_until_the_next() -> None:
    written = Written()
    written.note("a", UNKNOWN)
    assert written.of("a") == UNKNOWN
    assert written.last == 0
    written.note("a", 5)
    assert written.of("a") == 5


@pytest.mark.asyncio
async def test_what_a_copy_cannot_finish_is_read_from_the_primary() -> None:
    asked = []

    async def once() -> str:
        asked.append(positions.least())
        if len(asked) == 1:
            raise CopyUnavailable
        return "read"

    assert await positions.read(once) == "read"
    assert asked == [0, UNKNOWN]


@pytest.mark.asyncio
async def test_it_is_read_once_more_and_not_again() -> None:
    asked = []

    async def once() -> str:
        asked.append(positions.least())
        raise CopyUnavailable

    with pytest.raises(CopyUnavailable):
        await positions.read(once)
    assert asked == [0, UNKNOWN]
