"""x-min-lsn: how far the database must have come for a call to see what its caller wrote before; for read replicas.

Each answer to what writes has ``x-lsn``, errors too, which a client sends back as ``x-min-lsn``. Without replicas there
is none.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from memory_grpc import positions
from memory_grpc.errors import InvalidInput
from memory_grpc.headers import Headers
from memory_grpc.interceptors.call import Call, Interceptor

ASKED, GIVEN = "x-min-lsn", "x-lsn"
_WRITING = ("write", "admin", "stream")


def position(told: Callable[[Call], Headers]) -> Interceptor:
    """Notes what a call asks for. Where it fails, what ``told`` gives goes with the error: a stream that breaks off may
    have stored messages before. Raises InvalidInput for what is no LSN."""

    @asynccontextmanager
    async def noted(call: Call) -> AsyncIterator[None]:
        if text := call.metadata.get(ASKED):
            try:
                positions.require(positions.parse(text))
            except ValueError:
                raise InvalidInput([], f"{ASKED}: send the value of a header {GIVEN}, such as 16/B374D848.") from None
        try:
            yield
        except BaseException:  # out of time, it is cancelled
            call.trailers += told(call)
            raise

    return noted


def written(last: Callable[[], int]) -> Callable[[Call], Headers]:
    """What answers are given besides: where the log had come to when a call that may write was done, or had failed."""

    def headers(call: Call) -> Headers:
        if call.facts.kind not in _WRITING or not (position := last()):
            return []
        return [(GIVEN, positions.spelled(position))]

    return headers
