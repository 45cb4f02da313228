"""Which of the formats a file has: by its first character that is not blank."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

from memory_grpc.commands.failure import CommandError
from memory_grpc.commands.importing.jsonl import JsonLines
from memory_grpc.commands.importing.locomo import Locomo
from memory_grpc.commands.importing.records import Source

_PEEK_BYTES = 65536


class Format(StrEnum):
    """Formats that ``import`` reads."""

    AUTO = "auto"
    JSONL = "jsonl"
    LOCOMO = "locomo"


def detect(path: Path) -> Format:
    """A list is LoCoMo, anything else JSON lines: whose faults are then said line by line."""
    with path.open("rb") as file:
        start = file.read(_PEEK_BYTES).removeprefix(b"\xef\xbb\xbf").lstrip()
    return Format.LOCOMO if start.startswith(b"[") else Format.JSONL


def open_source(path: Path, wanted: Format) -> tuple[Source, Format]:
    """The file as a source. Raises CommandError when it is no file or not of the format."""
    if not path.is_file():
        raise CommandError(f"{path} is not a regular file; an import that can be resumed needs one.")
    kind = detect(path) if wanted is Format.AUTO else wanted
    return (Locomo(path) if kind is Format.LOCOMO else JsonLines(path)), kind
