"""What this process logs, on standard error: of errors of others only the class and where they were noticed.

The SDK and uvicorn log texts and tracebacks, which repeat what was sent and take seconds to draw.
"""

from __future__ import annotations

import logging

_OWN = "memory_grpc"


class WithoutContent(logging.Formatter):
    """A line for each record; the words only of our own."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        if record.name.partition(".")[0] == _OWN:
            return super().format(record)
        error = record.exc_info[0] if record.exc_info else None
        return f"{record.name}: {error.__name__ if error else record.levelname}"


def configure() -> None:
    """For the process. The SDK's own configuration finds this one, and leaves it."""
    handler = logging.StreamHandler()
    handler.setFormatter(WithoutContent())
    logging.basicConfig(level=logging.ERROR, handlers=[handler])
