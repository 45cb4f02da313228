"""Requests from an asynchronous iterator, for streams one after another."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

from memory_grpc.client.errors import Internal, MemoryServiceError, Unavailable
from memory_grpc.client.streams import Unanswered


def told(error: MemoryServiceError) -> MemoryServiceError:
    """The error of a stream of requests; where grpc.aio made one up for a broken stream, that it broke."""
    if isinstance(error, Internal) and not error.is_from_service:
        return Unavailable("the stream broke", code="UNAVAILABLE")
    return error


class AsyncFeed:
    """As ``Feed``, in one event loop.

    gRPC cancels whoever reads the requests of a stream that broke. The source is not to notice: it is read in a task
    that the next stream goes on waiting for.

    grpc.aio forgets why the server ended a stream when it is just then writing to it. A stream after the first
    therefore begins with one request, and sends no other until that is answered: what the server has against it is
    heard then.
    """

    def __init__(self, source: AsyncIterator[Any], convert: Callable[[Any], Any]) -> None:
        self._source = source
        self._convert = convert
        self._unanswered = Unanswered()
        self._pull: asyncio.Task[None] | None = None
        self._may_go_on = asyncio.Event()
        self._is_at_end = False
        self.failure: Exception | None = None

    def requests(self) -> AsyncIterator[Any]:
        """The requests of the stream that begins now."""
        stream, place = self._unanswered.begin()
        if stream == 1:
            self._may_go_on.set()
        else:
            self._may_go_on.clear()
        return self._requests(stream, place)

    def answer(self, response: Any) -> Any:
        """The oldest request is answered."""
        self._may_go_on.set()
        return self._unanswered.answer(response)

    def close(self) -> None:
        """Nothing more is wanted of the source."""
        if self._pull is not None:
            self._pull.cancel()

    async def _requests(self, stream: int, place: int) -> AsyncIterator[Any]:
        while not self._unanswered.is_over(stream):
            if (request := self._unanswered.at(place)) is not None:
                place += 1
                yield request
                await self._may_go_on.wait()
                continue
            if self._is_at_end:
                return
            if self._pull is None:
                self._pull = asyncio.create_task(self._take())
            await asyncio.shield(self._pull)

    async def _take(self) -> None:
        try:
            self._unanswered.add(self._convert(await anext(self._source)))
        except StopAsyncIteration:
            self._is_at_end = True
        except Exception as error:  # it is the caller's, and raised there
            self.failure, self._is_at_end = error, True
        finally:
            self._pull = None
