"""Claude: ``conversations.json`` of an export, or the folder of several."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from memory_grpc.commands.importing import files, times
from memory_grpc.commands.importing.turns import (
    Reading,
    Turn,
    Wrong,
    as_object,
    attempt,
    list_at,
    needed_text,
    present,
    text_at,
)


def turns(path: Path, reading: Reading) -> Iterator[Turn]:
    """The turns of every conversation, in the order of the file."""
    for place, value in files.values(path):
        try:
            conversation = as_object(value)
            conversation_id = needed_text(conversation, "uuid")
            start = conversation.get("created_at")
            started = None if start is None else times.of_text(start, "created_at")
            if "chat_messages" not in conversation:
                raise Wrong("chat_messages", "is missing")
            messages = list_at(conversation, "chat_messages")
        except Wrong as wrong:
            yield Turn(place, faults=(wrong.fault,))
            continue
        for number, message in enumerate(messages):
            where = f"{place}.chat_messages[{number}]"
            yield attempt(where, lambda: _turn(where, as_object(message), conversation_id, started))  # noqa: B023


def _turn(place: str, message: Mapping[str, Any], conversation_id: str, started: str | None) -> Turn:
    blocks = [as_object(block, "content") for block in list_at(message, "content")]
    texts = [text for block in blocks if block.get("type") == "text" and (text := text_at(block, "text"))]
    others = [files.shown(block.get("type")) for block in blocks if block.get("type") != "text"]
    attached = [
        text_at(as_object(one, name), "file_name")
        for name in ("attachments", "files")
        for one in list_at(message, name)
    ]
    said = message.get("created_at")
    return Turn(
        place,
        conversation_id,
        needed_text(message, "sender"),
        "\n".join(texts) or text_at(message, "text"),
        id=needed_text(message, "uuid"),
        created_at=started if said is None else times.of_text(said, "created_at"),
        metadata=present(id=text_at(message, "uuid"), attachments=[name for name in attached if name]),
        left_out=(*others, *["attachment"] * len(attached)),
    )
