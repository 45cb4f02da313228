"""What goes to Postgres in long arrays is made ready in little time."""

from __future__ import annotations

import re

import pytest

from memory_grpc.store.portions import MOST_BYTES, MOST_ITEMS, portions
from memory_grpc.store.queries import QUERIES

TEXTS = re.compile(r"%\((?:contents|words|others)\)(\w)::text\[\]")


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ([], []),
        ([1] * (2 * MOST_ITEMS + 1), [MOST_ITEMS, MOST_ITEMS, 1]),
        ([MOST_BYTES // 2] * 3, [2, 1]),
        ([5 * MOST_BYTES, 1, 5 * MOST_BYTES], [1, 1, 1]),
    ],
)
async def test_a_portion_is_bounded_by_items_and_by_bytes(sizes: list[int], expected: list[int]) -> None:
    found = [some async for some in portions(sizes, int)]
    assert [len(some) for some in found] == expected
    assert [size for some in found for size in some] == sizes


@pytest.mark.parametrize("name", [name for name, query in QUERIES.items() if TEXTS.search(query)])
def test_arrays_of_long_texts_are_sent_in_binary(name: str) -> None:
    assert set(TEXTS.findall(QUERIES[name])) == {"b"}, "as text each character is looked at, on the event loop"
