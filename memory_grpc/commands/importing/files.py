"""One export in several files: the files of a folder, one after another."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from memory_grpc.commands.importing import json_stream, utf8
from memory_grpc.commands.importing.turns import Malformed

# What is shown of a file: whatever stands in there may be somebody's words.
_PLAIN = re.compile(r"[\w. -]{1,64}")


def values(path: Path, pattern: str = "conversations*.json") -> Iterator[tuple[str, Any]]:
    """What a file holds, or the files of a folder in the order of their names; with its place."""
    if path.is_file():
        yield from _of(path, "")
        return
    for file in sorted(path.glob(pattern)):
        yield from _of(file, f"{file.name} ")


def _of(file: Path, prefix: str) -> Iterator[tuple[str, Any]]:
    with utf8.opened(file) as opened:
        try:
            for place, value in json_stream.values(opened):
                yield prefix + place, value
        except Malformed as error:
            raise Malformed(prefix + error.place, error.description) from None


def shown(name: Any) -> str:
    """A name out of a file as part of a place, unless it may be more than a name."""
    return name if isinstance(name, str) and _PLAIN.fullmatch(name) else "?"
