"""Output in an encoding that lacks characters, as Latin-1 and ASCII do: it is spelled out, and never ends a command."""

from __future__ import annotations

import codecs

SPELLED = "memory-grpc.spelled"
# What Python does of its own with characters that an encoding lacks, short of an error.
_NEVER_RAISE = frozenset({"backslashreplace", "ignore", "namereplace", "replace", "xmlcharrefreplace"})
# One character for one, so that tables stay in line.
_PLAIN = str.maketrans("…→·•–—‘’“”", ".>----''\"\"")


def errors_for(stream_errors: str | None) -> str:
    """How a stream's wrapper treats such characters: as it was told to, unless that would raise an error."""
    return stream_errors if stream_errors in _NEVER_RAISE else SPELLED


def is_utf(encoding: str | None) -> bool:
    """Whether an encoding has every character."""
    return (encoding or "utf-8").lower().startswith("utf")


def _spelled(error: UnicodeError) -> tuple[str, int]:
    """Punctuation as ASCII has it, and everything else as an escape such as ``\\u6771``."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    lacking = error.object[error.start : error.end].translate(_PLAIN)
    return lacking.encode("ascii", "backslashreplace").decode("ascii"), error.end


codecs.register_error(SPELLED, _spelled)
