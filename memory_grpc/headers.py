"""Headers that a service gives with its answer. The chain sends them, with the status that the contract declares."""

from __future__ import annotations

from contextvars import ContextVar

Headers = list[tuple[str, str]]

_given: ContextVar[Headers] = ContextVar("headers")


def begin() -> Headers:
    """Where the headers of the call that runs in this context will be found."""
    given: Headers = []
    _given.set(given)
    return given


def give(name: str, value: str) -> None:
    """Adds a header to the answer of this call. For unary calls."""
    _given.get().append((name, value))
