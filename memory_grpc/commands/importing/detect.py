"""Which of the formats a file has: by its first bytes, and the fields of the first thing in it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from enum import StrEnum
from pathlib import Path

from memory_grpc.commands.failure import CommandError
from memory_grpc.commands.importing import json_stream, utf8
from memory_grpc.commands.importing.formats import (
    chatgpt,
    claude,
    discord,
    langchain,
    mem0,
    openai_messages,
    sharegpt,
    slack,
    whatsapp,
)
from memory_grpc.commands.importing.history import History, Turns
from memory_grpc.commands.importing.json_list import JsonList
from memory_grpc.commands.importing.jsonl import JsonLines
from memory_grpc.commands.importing.locomo import Locomo
from memory_grpc.commands.importing.records import Source
from memory_grpc.commands.importing.turns import Malformed, Reading


class Format(StrEnum):
    """Formats that ``import`` reads."""

    AUTO = "auto"
    JSONL = "jsonl"
    JSON = "json"
    EXPORT = "export"
    LOCOMO = "locomo"
    CHATGPT = "chatgpt"
    CLAUDE = "claude"
    OPENAI = "openai"
    SHAREGPT = "sharegpt"
    LANGCHAIN = "langchain"
    SLACK = "slack"
    DISCORD = "discord"
    WHATSAPP = "whatsapp"
    MEM0 = "mem0"


# What other programs export: how it is called and how it is read.
EXPORTS: dict[Format, tuple[str, Turns]] = {
    Format.CHATGPT: ("a ChatGPT export", chatgpt.turns),
    Format.CLAUDE: ("a Claude export", claude.turns),
    Format.OPENAI: ("OpenAI messages", openai_messages.turns),
    Format.SHAREGPT: ("ShareGPT conversations", sharegpt.turns),
    Format.LANGCHAIN: ("LangChain messages", langchain.turns),
    Format.SLACK: ("a Slack export", slack.turns),
    Format.DISCORD: ("a Discord channel", discord.turns),
    Format.WHATSAPP: ("a WhatsApp chat", whatsapp.turns),
    Format.MEM0: ("mem0 memories", mem0.turns),
}
# Read to the end before anything is stored. JSON lines are not: what stands before a bad line is stored, and the next
# run goes on there.
CHECKED_FIRST = frozenset({Format.JSON, *EXPORTS})
TITLES: dict[Format, str] = {
    Format.JSONL: "JSON lines",
    Format.JSON: "a list of ingest requests",
    Format.LOCOMO: "a LoCoMo file",
    **{kind: title for kind, (title, _) in EXPORTS.items()},
}
# Fields that only one format has, at the top of its first object.
_MARKS = {
    "header": Format.EXPORT,
    "tenant_id": Format.JSONL,
    "mapping": Format.CHATGPT,
    "chat_messages": Format.CLAUDE,
    "guild": Format.DISCORD,
    "results": Format.MEM0,
    "conversations": Format.SHAREGPT,
    "messages": Format.OPENAI,
    "memory": Format.MEM0,
}
_OF_LISTS = {"sample_id": Format.LOCOMO, "role": Format.OPENAI, "type": Format.LANGCHAIN}
_PEEK_BYTES = 65536


def detect(path: Path) -> Format:
    """The format of a file or a folder; of what looks like nothing else JSON lines, whose faults are said line by line.

    Raises CommandError for what cannot be read, and for a list of nothing that is known.
    """
    if path.is_dir():
        return _of_folder(path)
    with utf8.opened(path) as file:
        start = file.read(_PEEK_BYTES).removeprefix(b"\xef\xbb\xbf").lstrip()
        file.seek(0)
        if start.startswith(b"PK\x03\x04"):
            raise CommandError(f"{path.name} is a zip file: unpack it, and import what is in it.")
        if whatsapp.HEAD.fullmatch(start.decode(errors="replace").partition("\n")[0].rstrip("\r")):
            return Format.WHATSAPP
        if start.startswith(b"["):
            try:
                first = json_stream.first(file)
            except Malformed as error:
                raise CommandError(f"{path.name}: {error}.") from None
            return _of_list(path, first)
        if start.startswith(b"{"):
            mark = json_stream.first_name(file, _MARKS)
            return Format.JSONL if mark is None else _MARKS[mark]
    return Format.JSONL


def _of_folder(path: Path) -> Format:
    if slack.days(path):
        return Format.SLACK
    for file in sorted(path.glob("conversations*.json")):
        return detect(file)
    raise CommandError(f"{path} is a folder of no format that import knows: give a file, or the folder of an export.")


def _of_list(path: Path, first: object) -> Format:
    held = first if isinstance(first, dict) else {}
    found = next((kind for name, kind in (_MARKS | _OF_LISTS).items() if name in held), None)
    if found is Format.JSONL:
        return Format.JSON
    if found is None:
        raise CommandError(
            f"{path.name} is a list of nothing that import knows: say what it is with --format. Ingest requests "
            "stand one a line, or in a list."
        )
    return found


def open_source(path: Path, wanted: Format, reading: Reading | None = None) -> tuple[Source, Format]:
    """The file as a source. Raises CommandError when it is no file or not of the format, or lacks an option."""
    reading = reading or Reading()
    if not path.is_file() and not path.is_dir():
        raise CommandError(f"{path} is not a regular file; an import that can be resumed needs one.")
    kind = detect(path) if wanted is Format.AUTO else wanted
    if kind in EXPORTS:
        title, turns = EXPORTS[kind]
        if not reading.tenant_id:
            raise CommandError(f"{path.name} is {title}, which names no tenant: say whose it is with --tenant.")
        return History(path, kind, turns, reading), kind
    if path.is_dir() or kind is Format.EXPORT:
        raise CommandError(f"{path} is no file of the format {kind}.")
    if kind is Format.LOCOMO:
        return Locomo(path), kind
    return (JsonList(path) if kind is Format.JSON else JsonLines(path)), kind


def is_own_export(path: Path, wanted: Format) -> bool:
    """Whether a file is what `memory-grpc export` wrote. Raises CommandError for what cannot be read."""
    return wanted is Format.EXPORT or (wanted is Format.AUTO and path.is_file() and detect(path) is Format.EXPORT)


def progress_name(kind: Format, reading: Reading) -> str:
    """What the progress of a file is kept under: read another way, it is another import."""
    if kind not in EXPORTS:
        return kind
    way = json.dumps(asdict(reading), sort_keys=True, default=str)
    return f"{kind} {hashlib.sha256(way.encode()).hexdigest()}"
