"""What one client of the HTTP side may hold: a place among few, for a short while."""

from __future__ import annotations

from http import HTTPStatus

from memory_grpc.bounded_connection import BoundedConnection
from memory_grpc.observability import pages

HEAD_SECONDS = 10.0  # until the request line and the headers are there
REQUEST_SECONDS = 30.0  # for the whole of it, answer included
_INVALID_ARGUMENT = 3


class Connection(BoundedConnection):
    """Cut when it takes too long."""

    max_connections = 32

    def _watch(self) -> None:
        self._timers = (
            self.loop.call_later(HEAD_SECONDS, self._cut_if_silent),
            self.loop.call_later(REQUEST_SECONDS, self.transport.abort),
        )

    def _refusal(self, status: HTTPStatus, text: str) -> tuple[dict[str, str], bytes]:
        """In the service's error shape; ``text`` is not sent."""
        answer = pages.error(_INVALID_ARGUMENT, status.phrase.lower())
        return {**pages.HEADERS, "Content-Type": answer.content_type}, answer.body

    def _cut_if_silent(self) -> None:
        if self.cycle is None:
            self.transport.abort()
