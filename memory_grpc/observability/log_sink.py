"""Where log lines go: a queue with a thread behind it, so that no call waits for a log, or fails of one.

A full disk, a closed pipe, or a pipe that nobody reads costs lines and nothing else. What is lost is counted, and one
line says how many they were when lines get through again.
"""

from __future__ import annotations

import io
import os
import select
import threading
from collections import deque
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import TextIO

from memory_grpc.observability.metrics import LOG_LINES_DROPPED

# What may wait while nobody reads: some seconds of a busy server, and little memory.
_LINES = 10_000
_CHARACTERS = 4 * 1024 * 1024
_AT_ONCE = 500

Report = Callable[[int], str]


class LogSink(io.TextIOBase):
    """A stream of lines that takes each at once: writing text never blocks and never fails.

    ``stream`` is written to as a file descriptor if it has one, since a buffer of Python's would keep what failed and
    try it again. None is a stream that takes nothing. ``report`` makes the line that says how many were dropped.
    """

    def __init__(self, stream: TextIO | None, report: Report, *, lines: int = _LINES) -> None:
        super().__init__()
        self._stream, self.report = stream, report
        self._capacity = lines
        self._waiting: deque[str] = deque()
        self._characters = 0
        self._unsaid = 0  # lines dropped since the last report
        self._busy = False
        self._torn = False  # the last byte written was in the middle of a line
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def redirect(self, stream: TextIO | None, report: Report) -> None:
        """Writes to another stream from now on: loggers keep the sink that they were made with."""
        self.drain(1.0)
        with self._changed:
            self._stream, self.report, self._torn = stream, report, False

    def write(self, text: str, /) -> int:
        """Queues one line, or drops it where too many wait. TypeError for what is no text."""
        if not isinstance(text, str):  # as of other text streams: who asks whether bytes will do is told
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        with self._changed:
            if len(self._waiting) >= self._capacity or self._characters + len(text) > _CHARACTERS:
                self._drop(1)
            else:
                self._waiting.append(text)
                self._characters += len(text)
                if self._thread is None:
                    self._thread = threading.Thread(target=self._run, name="log", daemon=True)
                    self._thread.start()
                self._changed.notify_all()
        return len(text)

    def isatty(self) -> bool:
        """Whether the lines come out on a terminal."""
        return self._stream is not None and not self._stream.closed and self._stream.isatty()

    def fileno(self) -> int:
        """The stream's descriptor, for processes and C code; what is written to it does not go through the queue."""
        return super().fileno() if self._stream is None else self._stream.fileno()

    def drain(self, seconds: float) -> bool:
        """Waits until every line is written or dropped, so long at most; says whether it is so."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._waiting and not self._busy, seconds)

    def _drop(self, lines: int) -> None:
        self._unsaid += lines
        LOG_LINES_DROPPED.inc(lines)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._busy = False
                self._changed.notify_all()
                self._changed.wait_for(lambda: self._waiting)
                self._busy = True
                lines = [self._waiting.popleft() for _ in range(min(len(self._waiting), _AT_ONCE))]
                self._characters -= sum(map(len, lines))
                unsaid = self._unsaid
            if unsaid and not self._put([self.report(unsaid)]):
                with self._changed:
                    self._unsaid -= unsaid
            lost = self._put(lines)
            with self._changed:
                if lost:
                    self._drop(lost)

    def _put(self, lines: Sequence[str]) -> int:
        """Writes lines; returns how many of them did not get through whole."""
        parts = [line.encode("utf-8", "backslashreplace") for line in lines]
        if self._torn:
            parts[0] = b"\n" + parts[0]
        data, written = b"".join(parts), 0
        try:
            while written < len(data):
                written += self._write_some(data[written:])
        except (OSError, ValueError):  # ValueError: a Python stream that was closed
            self._torn = data[written - 1 : written] != b"\n" if written else self._torn
            return sum(end > written for end in accumulate(map(len, parts)))
        self._torn = False
        return 0

    def _write_some(self, data: bytes) -> int:
        """Writes what the stream takes now, waiting as long as it takes none; returns the number of bytes."""
        if self._stream is None:
            raise OSError
        try:
            descriptor = self._stream.fileno()
        except io.UnsupportedOperation:
            self._stream.write(data.decode("utf-8"))
            self._stream.flush()
            return len(data)
        try:
            return os.write(descriptor, data)
        except BlockingIOError:  # the other end made the pipe so
            poll = select.poll()
            poll.register(descriptor, select.POLLOUT)
            poll.poll()
            return 0
