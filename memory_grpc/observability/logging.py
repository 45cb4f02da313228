"""structlog: one JSON object a line on standard error, each with the request id of the call it belongs to."""

from __future__ import annotations

import logging
import sys

import structlog

# Libraries that put DSNs, URLs or texts into their messages: what they have to say, the service says itself.
_SILENCED = ("psycopg", "psycopg.pool", "httpx", "httpcore", "transformers", "sentence_transformers", "huggingface_hub")


def configure(level: str, style: str) -> None:
    """Sets up logging for the process: ``level`` as MEMORY_LOG_LEVEL, ``style`` ``json`` or ``console``."""
    renderer: structlog.typing.Processor = (
        structlog.dev.ConsoleRenderer() if style == "console" else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=True,
    )
    for name in _SILENCED:
        logging.getLogger(name).setLevel(logging.CRITICAL)
