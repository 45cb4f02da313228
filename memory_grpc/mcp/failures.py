"""What went wrong in a tool, as one sentence for the model: never what was sent, never what is stored."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from mcp.server.mcpserver.exceptions import ToolError
from pydantic import ValidationError

from memory_grpc.client import MemoryServiceError

T = TypeVar("T")
NO_MEMORY = "There is no memory with that id."
_OF_CODES = {
    "DEADLINE_EXCEEDED": "The memory service did not answer in time: try again later.",
    "UNAUTHENTICATED": "The memory service needs an API key; none was given, or a wrong one.",
    "PERMISSION_DENIED": "The API key does not allow this: it is for other tenants, or its role is too low.",
    "NOT_FOUND": NO_MEMORY,
}
_FAULTS_TOLD = 3
_log = logging.getLogger(__name__)


async def answered(call: Awaitable[T]) -> T:
    """The answer of a call of the client. Raises ToolError where it fails."""
    try:
        return await call
    except MemoryServiceError as error:
        raise ToolError(of_call(error)) from None
    except (TypeError, ValueError) as error:  # of what the client would not send; it names the field, not the value
        raise ToolError(f"An argument is wrong: {error}.") from None


@contextmanager
def told(tool: str) -> Iterator[None]:
    """What the SDK makes of a failed tool, without its preface and without the arguments that it would quote."""
    try:
        yield
    except ToolError as error:
        cause = error.__cause__
        if cause is None:
            raise
        if isinstance(cause, ValidationError) and "validation error" in str(error):
            raise ToolError(of_arguments(cause)) from None
        if isinstance(cause, ToolError):
            raise ToolError(str(cause)) from None
        _log.error("Tool %s failed by a fault of its own: %s", tool, type(cause).__name__)
        raise ToolError("The tool failed because of a fault of its own.") from None


def of_call(error: MemoryServiceError) -> str:
    """A failed call of the memory service."""
    if error.code == "UNAVAILABLE" and not error.is_from_service:
        return "The memory service does not answer: it is down, or has another address."
    if error.violations:
        return _faults([f"{one.field}: {one.description}" for one in error.violations])
    if error.code in _OF_CODES:
        return _OF_CODES[error.code]
    later = f"; try again in {error.retry_after:.0f} s" if error.retry_after else ""
    return f"The memory service refused: {_lower_first(str(error.args[0]).rstrip('.'))}{later}."


def of_arguments(error: ValidationError) -> str:
    """Arguments that the tool's schema does not allow: by the schema's names, without what was sent."""
    faults = []
    for one in error.errors():
        # The last name of one that is not allowed there is the caller's own word.
        place = one["loc"][:-1] if one["type"] == "extra_forbidden" else one["loc"]
        faults.append(f"{'.'.join(map(str, place))}: {_lower_first(one['msg'])}")
    return _faults(faults)


def _faults(faults: list[str]) -> str:
    more = f"; and {len(faults) - _FAULTS_TOLD} more" if len(faults) > _FAULTS_TOLD else ""
    return f"An argument is wrong: {'; '.join(faults[:_FAULTS_TOLD])}{more}."


def _lower_first(text: str) -> str:
    return text[:1].lower() + text[1:]
