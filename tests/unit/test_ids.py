"""Ids: UUIDv7 as RFC 9562 lays it out, each higher than the last, whatever the clock does."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from random import Random
from uuid import RFC_4122, UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memory_grpc.ids import RandomBytes, Uuid7

NOW = 0x0199_ABCD_EF01
COUNTER = 2**42


def at(*moments: int, bits: bytes = bytes(10)) -> Uuid7:
    """A generator whose clock shows these milliseconds, then the last of them for ever, and draws the same bits."""
    clock = itertools.chain(moments, itertools.repeat(moments[-1]))
    return Uuid7(lambda: next(clock), lambda count: bits[:count])


def test_random_bytes_are_drawn_ahead_and_each_is_given_once() -> None:
    drawn: list[bytes] = []

    def draw(count: int) -> bytes:
        drawn.append(Random(len(drawn)).randbytes(count))
        return drawn[-1]

    random_bytes = RandomBytes(draw)
    given = [random_bytes(10) for _ in range(1000)]
    assert len(drawn) == 3
    assert given[:409] == [drawn[0][10 * i : 10 * i + 10] for i in range(409)]
    assert given[409] == drawn[1][:10]
    assert len(set(given)) == 1000


def milliseconds(id_: UUID) -> int:
    return id_.int >> 80


def counter(id_: UUID) -> int:
    """The 12 bits after the version and the 30 after the variant."""
    return (id_.int >> 64 & 0xFFF) << 30 | (id_.int >> 32 & (2**30 - 1))


@given(st.integers(0, 2**48 - 1), st.binary(min_size=10, max_size=10))
def test_version_variant_time_and_random_bits_stand_where_the_rfc_has_them(moment: int, bits: bytes) -> None:
    id_ = at(moment, bits=bits)()
    assert (id_.version, id_.variant) == (7, RFC_4122)
    assert milliseconds(id_) == moment
    assert id_.bytes[12:] == bits[6:]
    assert counter(id_) < COUNTER // 2, "half of the counter's room is left at least"


def test_a_clock_that_stands_still_leaves_the_order_to_the_counter() -> None:
    new_id = at(NOW, bits=b"\xff" * 10)
    ids = [new_id() for _ in range(10_000)]
    assert ids == sorted(ids)
    assert {milliseconds(id_) for id_ in ids} == {NOW}
    assert [counter(id_) - counter(ids[0]) for id_ in ids] == list(range(10_000))


def test_each_millisecond_has_a_counter_of_its_own() -> None:
    drawn: Iterator[bytes] = iter([b"\x11" * 10, b"\x22" * 10, b"\x05" * 10])
    clock = iter([NOW, NOW, NOW + 1])
    new_id = Uuid7(lambda: next(clock), lambda _: next(drawn))
    first, second, third = new_id(), new_id(), new_id()
    assert counter(second) == counter(first) + 1
    assert counter(third) < counter(first)
    assert first < second < third


@pytest.mark.parametrize("back", [1, 5_000, NOW])
def test_a_clock_that_goes_back_holds_the_time_where_it_is(back: int) -> None:
    new_id = at(NOW, NOW - back, NOW - back // 2, NOW, NOW + 1)
    ids = [new_id() for _ in range(5)]
    assert ids == sorted(set(ids))
    assert [milliseconds(id_) - NOW for id_ in ids] == [0, 0, 0, 0, 1]


def test_a_counter_without_room_moves_the_time_on_by_one_until_the_clock_has_caught_up() -> None:
    new_id = at(*[NOW] * 4, NOW + 1, NOW + 2)
    new_id()
    new_id._counter = COUNTER - 2  # four million million ids later
    ids = [new_id() for _ in range(5)]
    assert ids == sorted(set(ids))
    assert [milliseconds(id_) - NOW for id_ in ids] == [0, 1, 1, 1, 2]
    assert [counter(id_) for id_ in ids[:4]] == [COUNTER - 1, 0, 1, 2]


@given(st.lists(st.integers(NOW - 3, NOW + 3), min_size=2, max_size=60), st.randoms(use_true_random=False))
def test_ids_rise_whatever_the_clock_shows_and_whatever_is_drawn(moments: list[int], random: Random) -> None:

    clock = iter(moments)
    new_id = Uuid7(lambda: next(clock), random.randbytes)
    ids = [new_id() for _ in moments]
    assert all(one < next_ for one, next_ in itertools.pairwise(ids))
    assert [str(id_) for id_ in ids] == sorted(str(id_) for id_ in ids), "as text too"


def test_generators_of_several_processes_never_give_the_same_id() -> None:
    """They share a clock and nothing else: 32 random bits tell ids apart whose counters are equal."""
    made = [Uuid7(lambda: NOW) for _ in range(50)]
    ids = {new_id() for new_id in made for _ in range(1_000)}
    assert len(ids) == 50_000


def test_the_time_is_that_of_now() -> None:
    before = time.time_ns() // 1_000_000
    id_ = Uuid7()()
    assert before <= milliseconds(id_) <= time.time_ns() // 1_000_000
