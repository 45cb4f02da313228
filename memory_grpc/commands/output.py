"""Printing: JSON and tables on standard output."""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any

from google.protobuf.json_format import MessageToDict
from google.protobuf.timestamp_pb2 import Timestamp

from memory_grpc.commands.encoding import is_utf

if TYPE_CHECKING:
    from datetime import datetime

    from google.protobuf.message import Message
    from rich.console import Console
    from rich.table import Table


def counted(number: int, noun: str) -> str:
    """``1 message``, ``1,204 messages``: for nouns that take an s."""
    return f"{number:,} {noun}{'s' * (number != 1)}"


def console(*, stderr: bool = False) -> Console:
    """Standard output, or standard error; as wide as it needs where it is no terminal: pipes get whole lines."""
    from rich.console import Console

    found = Console(highlight=False, stderr=stderr)
    wide = found.is_terminal or "COLUMNS" in os.environ
    return found if wide else Console(highlight=False, stderr=stderr, width=200)


def error_console() -> Console:
    """Standard error: for what is shown beside a result."""
    from rich.console import Console

    return Console(stderr=True, highlight=False)


def as_dict(message: Message) -> dict[str, Any]:
    """A message as REST shows it: snake_case, zeros and empty lists printed."""
    return MessageToDict(message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True)


def write_json(value: Any) -> None:
    """Prints JSON for programs, which it is in every encoding: what one lacks is escaped as JSON does it."""
    json.dump(value, sys.stdout, ensure_ascii=not is_utf(sys.stdout.encoding), indent=2)
    print(flush=True)


def pairs(title: str, rows: list[tuple[str, str]]) -> Table:
    """A small table of names and values."""
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title, title_justify="left", show_header=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column()
    for name, value in rows:
        table.add_row(Text(name), Text(value))
    return table


def timestamp(value: datetime | None) -> Timestamp | None:
    """A time as a request has it."""
    if value is None:
        return None
    result = Timestamp()
    result.FromDatetime(value)
    return result


def moment(value: Timestamp) -> str:
    """A time as people read it, in UTC; nothing when it is not set."""
    return value.ToDatetime().strftime("%Y-%m-%d %H:%M:%SZ") if value.seconds else ""


def shortened(text: str, length: int) -> str:
    """One line of a text, of at most ``length`` characters and nothing that moves a terminal's cursor."""
    line = "".join(c if c.isprintable() else " " for c in " ".join(text.split()))
    return line if len(line) <= length else line[: length - 1] + "…"
