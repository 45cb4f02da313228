"""What one client of the HTTP side may hold: a place among few, for a short while."""

from __future__ import annotations

from http import HTTPStatus

import h11

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

    def send_400_response(self, msg: str) -> None:
        """What cannot be read as HTTP, in the service's error shape; ``msg`` is uvicorn's and not sent."""
        if self.conn.our_state not in (h11.IDLE, h11.SEND_RESPONSE):  # an answer has begun: there is no second
            self.transport.close()
            return
        status = HTTPStatus.BAD_REQUEST
        answer = pages.error(_INVALID_ARGUMENT, status.phrase.lower())
        headers = {**pages.HEADERS, "Content-Type": answer.content_type, "Content-Length": str(len(answer.body))}
        for event in (
            h11.Response(status_code=status, headers=list(headers.items()), reason=status.phrase),
            h11.Data(data=answer.body),
            h11.EndOfMessage(),
        ):
            self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def _cut_if_silent(self) -> None:
        if self.cycle is None:
            self.transport.abort()
