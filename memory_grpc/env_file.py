"""What is wrong with a ``.env``: a line that nobody understands is a limit, or a key, that does not hold."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from pathlib import Path

from dotenv.parser import Binding, parse_stream

_NAME = re.compile(r"\s*(?:export\s+)?['\"]?(MEMORY_\w+)", re.IGNORECASE)
_COLON = re.compile(r"\s*(?:export\s+)?['\"]?(MEMORY_\w+)['\"]?\s*:", re.IGNORECASE)
_SETTING = re.compile(r"^\s*(export\s+)?MEMORY_\w+\s*=", re.IGNORECASE | re.MULTILINE)
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")


@dataclass(frozen=True, slots=True)
class EnvFile:
    """A ``.env``: the MEMORY_ variables that it sets, each with its line, and what is wrong, without values."""

    names: dict[str, int]
    faults: list[str]


def look(path: Path) -> EnvFile:
    """Reads a file as pydantic-settings will, and says what that would pass over. Raises OSError."""
    data = path.read_bytes()
    if data.startswith(_UTF_16) or b"\0" in data:
        return EnvFile({}, [f"{path} is not in UTF-8 (UTF-16, by its looks): save it as UTF-8"])
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        return EnvFile({}, [f"{path}, line {line}: not in UTF-8"])
    names: dict[str, int] = {}
    faults = []
    for binding in parse_stream(io.StringIO(text)):
        line = binding.original.line + _blank_lines(binding.original.string)
        if fault := _fault(binding):
            faults.append(f"{path}, line {line}: {fault}")
        elif binding.key and _NAME.match(binding.key):
            names[binding.key.upper()] = line
    return EnvFile(names, faults)


def _fault(binding: Binding) -> str | None:
    """What is wrong with a line that means a setting; lines of other programs are theirs."""
    written = binding.original.string.lstrip()
    if colon := _COLON.match(written):
        return f"write {colon[1]}=… and not {colon[1]}: …"
    name = _NAME.match(written)
    if _SETTING.search(written.partition("\n")[2]):
        return "a quote is not closed on its line, and takes in the settings after it"
    if name and binding.error:
        return f"{name[1]} cannot be read: a quote is not closed"
    if name and binding.value is None:
        return f"{name[1]} has no =, and so no value"
    return None


def _blank_lines(text: str) -> int:
    """How many empty lines stand before a binding: they are part of it."""
    return text[: len(text) - len(text.lstrip())].count("\n")
