"""Streams that go on where they broke: what came, and what was sent and not answered yet. No channel, no clock."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any


class Resumption:
    """Of a stream of answers: the request that asks for the rest."""

    def __init__(self, request: Any) -> None:
        self.request = request
        self._came: set[str] = set()

    def takes(self, record: Any) -> bool:
        """Whether a record came for the first time. A stream that is asked for again begins with its head again."""
        kind = record.WhichOneof("record")
        if kind == "message":
            self._go_on(record.message.id, record.message.revision, record.message)
        elif kind == "revisions":
            self._go_on(record.revisions.message_id, record.revisions.message_revision, record.revisions)
        elif kind in self._came:
            return False
        self._came.add(kind)
        return True

    def _go_on(self, message_id: str, number: int, holder: Any) -> None:
        """After a message, or within what it was, where there is more of it."""
        self.request.after_id = message_id
        self.request.ClearField("after_revision")
        self.request.ClearField("before_revision")
        if holder.more_revisions:
            self.request.after_revision = holder.revisions[-1].revision if holder.revisions else 0
            self.request.before_revision = number


class Unanswered:
    """Of a stream of requests: those that were sent and not answered, in order. For one thread at a time."""

    def __init__(self) -> None:
        self._waiting: deque[Any] = deque()
        self._answered = 0
        self._stream = 0

    def begin(self) -> tuple[int, int]:
        """A stream begins: its number, and the place of the first request that it has to send."""
        self._stream += 1
        return self._stream, self._answered

    def is_over(self, stream: int) -> bool:
        """Whether another stream began meanwhile."""
        return stream != self._stream

    def at(self, place: int) -> Any:
        """The request at a place, counted from the very first; None when it has not been taken from its source."""
        index = place - self._answered
        return self._waiting[index] if index < len(self._waiting) else None

    def add(self, request: Any) -> None:
        """One more request."""
        self._waiting.append(request)

    def answer(self, response: Any) -> Any:
        """The oldest is answered. Returns the response, its place counted over all streams."""
        self._waiting.popleft()
        response.sequence = self._answered
        self._answered += 1
        return response


class Feed:
    """Requests from an iterator, for streams one after another.

    gRPC reads requests in a thread of its own. That of a stream which broke may still wait for the source; what it gets
    then is kept for the stream that follows.
    """

    def __init__(self, source: Iterator[Any], convert: Callable[[Any], Any]) -> None:
        self._source = source
        self._convert = convert
        self._unanswered = Unanswered()
        self._state, self._pull = threading.Lock(), threading.Lock()
        self.failure: Exception | None = None

    def requests(self) -> Iterator[Any]:
        """The requests of the stream that begins now."""
        with self._state:
            stream, place = self._unanswered.begin()
        return self._requests(stream, place)

    def answer(self, response: Any) -> Any:
        """The oldest request is answered."""
        with self._state:
            return self._unanswered.answer(response)

    def _requests(self, stream: int, place: int) -> Iterator[Any]:
        while True:
            request = self._next(stream, place)
            if request is None:
                return
            place += 1
            yield request

    def _next(self, stream: int, place: int) -> Any:
        """The request at a place; None at the end, when the source failed, and when the stream is over."""
        with self._state:
            if self._unanswered.is_over(stream):
                return None
            if (request := self._unanswered.at(place)) is not None:
                return request
        # Answers go on while the source is waited for: it may wait for them.
        with self._pull:
            with self._state:
                if self._unanswered.is_over(stream):
                    return None
                if (request := self._unanswered.at(place)) is not None or self.failure is not None:
                    return request
            try:
                request = self._convert(next(self._source))
            except StopIteration:
                return None
            except Exception as error:  # it is the caller's, and raised there
                self.failure = error
                return None
            with self._state:
                self._unanswered.add(request)
                return None if self._unanswered.is_over(stream) else request
