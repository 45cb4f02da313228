"""LangChain: a list of messages as ``messages_to_dict`` writes them, or as ``model_dump`` does.

They have no times: the service gives them that of the import, in their order.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from memory_grpc.commands.importing import files
from memory_grpc.commands.importing.formats.openai_messages import content_of
from memory_grpc.commands.importing.turns import (
    Reading,
    Turn,
    as_object,
    attempt,
    list_at,
    needed_text,
    object_at,
    present,
    text_at,
)


def turns(path: Path, reading: Reading) -> Iterator[Turn]:
    """The turns of the one conversation that the file is."""
    conversation_id = reading.conversation_id or path.stem
    for place, value in files.values(path):
        yield attempt(place, lambda: _turn(place, as_object(value), conversation_id))  # noqa: B023


def _turn(place: str, message: Mapping[str, Any], conversation_id: str) -> Turn:
    data = object_at(message, "data") if "data" in message else message
    role = needed_text(message, "type")
    content, others = content_of(data)
    calls = len(list_at(data, "tool_calls"))
    return Turn(
        place,
        conversation_id,
        text_at(data, "role") or role if role == "chat" else role,
        content,
        name=text_at(data, "name") or None,
        metadata=present(id=text_at(data, "id"), tool_call_id=text_at(data, "tool_call_id")),
        left_out=(*others, *["tool call"] * calls),
    )
