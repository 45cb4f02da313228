"""How much text a page has: what stands behind is left to the next page, so that Envoy passes every answer on.

A statement says in each row, as ``bytes_before``, how long the texts before it are together, and leaves out the rows
with ``most_bytes`` or more.
"""

from __future__ import annotations

from collections.abc import Sequence

from memory_grpc.store.database import Row

PAGE_BYTES = 16 * 2**20
# How much longer than that the read goes on: longer than any text, so that it sees whether there is a next page.
BEYOND_BYTES = 2**20


def most_bytes() -> int:
    """What a statement is given."""
    return PAGE_BYTES + BEYOND_BYTES


def take_fitting(rows: Sequence[Row]) -> int:
    """How many of the rows fit on a page; takes ``bytes_before`` out of them."""
    return sum(row.pop("bytes_before") < PAGE_BYTES for row in rows)
