"""structlog: one JSON object a line on standard error, each with the request id of the call it belongs to."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO, cast

import structlog

from memory_grpc.observability.log_sink import LogSink, Report

# Libraries that put DSNs, URLs or texts into their messages: what they have to say, the service says itself.
_SILENCED = (
    *("psycopg", "psycopg.pool", "httpx", "httpcore", "opentelemetry"),
    *("transformers", "sentence_transformers", "huggingface_hub"),
)


_TIMESTAMP = structlog.processors.TimeStamper(fmt="iso", utc=True)
_sink: LogSink | None = None


def configure(level: str, style: str) -> None:
    """Sets up logging for the process: ``level`` as MEMORY_LOG_LEVEL, ``style`` ``json`` or ``console``.

    Lines are written by a thread: see ``LogSink``. ``flush()`` waits for it.
    """
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer() if style == "console" else structlog.processors.JSONRenderer()
    )

    def report(lines: int) -> str:
        event = {"lines": lines, "event": "log_lines_dropped", "level": "warning"}
        return f"{renderer(None, 'warning', _TIMESTAMP(None, 'warning', event))!s}\n"

    sink = _sink_of_the_process(report)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            _TIMESTAMP,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        logger_factory=structlog.WriteLoggerFactory(file=cast(TextIO, sink)),
        cache_logger_on_first_use=True,
    )
    # What libraries log goes the same way, or a pipe that nobody reads would hold up whoever runs them.
    logging.lastResort = logging.StreamHandler(sink)
    logging.lastResort.setLevel(logging.WARNING)
    for name in _SILENCED:
        logging.getLogger(name).setLevel(logging.CRITICAL)


@contextmanager
def unblocked() -> Iterator[None]:
    """Inside, whatever Python writes to standard error goes the way of the log, also before the log is set up. What is
    left at the end has a second."""
    stream = sys.stderr
    sink = _sink_of_the_process("{} lines could not be written here.\n".format)
    sys.stderr = cast(TextIO, sink)
    try:
        yield
    finally:
        sys.stderr = stream
        flush()


def flush(seconds: float = 1.0) -> None:
    """Waits until what was logged is written, so long at most."""
    if _sink is not None:
        _sink.drain(seconds)


def _sink_of_the_process(report: Report) -> LogSink:
    """The one sink, writing to standard error as it is now."""
    global _sink  # noqa: PLW0603 - as standard error itself, there is one
    _hold_standard_error()
    if _sink is None:
        _sink = LogSink(sys.stderr, report)
    elif sys.stderr is _sink:
        _sink.report = report
    else:
        _sink.redirect(sys.stderr, report)
    return _sink


def _hold_standard_error() -> None:
    """A process that was started with `2>&-` must not get a socket by that number: libraries write to it."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
