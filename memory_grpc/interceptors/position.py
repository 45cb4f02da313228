"""x-min-lsn: how far the database must have come for a call to see what its caller wrote before; for read replicas.

Each answer to what writes has ``x-lsn``, which a client sends back as ``x-min-lsn``. Without replicas there is none.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from memory_grpc import positions
from memory_grpc.errors import InvalidInput
from memory_grpc.headers import Headers
from memory_grpc.interceptors.call import Call

ASKED, GIVEN = "x-min-lsn", "x-lsn"
_WRITING = ("write", "admin", "stream")


@asynccontextmanager
async def position(call: Call) -> AsyncIterator[None]:
    """Notes what the call asks for. Raises InvalidInput for what is no LSN."""
    if text := call.metadata.get(ASKED):
        try:
            positions.require(positions.parse(text))
        except ValueError:
            raise InvalidInput([], f"{ASKED}: send the value of a header {GIVEN}, such as 16/B374D848.") from None
    yield


def written(last: Callable[[], int]) -> Callable[[Call], Headers]:
    """What answers are given besides: where the log had come to when a call that may write was done."""

    def headers(call: Call) -> Headers:
        if call.facts.kind not in _WRITING or not (position := last()):
            return []
        return [(GIVEN, positions.spelled(position))]

    return headers
