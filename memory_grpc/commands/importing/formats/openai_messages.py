"""OpenAI messages: ``{"messages": [{"role", "content"}]}``, one object, a list of them or one a line; or bare messages.

They have no times: the service gives them that of the import, in their order.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from memory_grpc.commands.importing import files
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

_TEXTS = {"text", "input_text", "output_text"}


def turns(path: Path, reading: Reading) -> Iterator[Turn]:
    """The turns of every conversation; one without an id is called after the file and its number."""
    whole = reading.conversation_id or path.stem
    for number, (place, value) in enumerate(files.values(path), start=1):
        if isinstance(value, dict) and "messages" not in value and "role" in value:
            yield _attempt(place, value, whole)
            continue
        try:
            conversation = as_object(value)
            conversation_id = text_at(conversation, "conversation_id", "id") or f"{whole}-{number}"
            if "messages" not in conversation:
                raise Wrong("messages", "is missing")
            messages = list_at(conversation, "messages")
        except Wrong as wrong:
            yield Turn(place, faults=(wrong.fault,))
            continue
        for index, message in enumerate(messages):
            yield _attempt(f"{place}.messages[{index}]", message, conversation_id)


def _attempt(place: str, message: Any, conversation_id: str) -> Turn:
    return attempt(place, lambda: _turn(place, as_object(message), conversation_id))


def _turn(place: str, message: Mapping[str, Any], conversation_id: str) -> Turn:
    content, others = content_of(message)
    calls = len(list_at(message, "tool_calls")) + (message.get("function_call") is not None)
    return Turn(
        place,
        conversation_id,
        needed_text(message, "role"),
        content,
        name=text_at(message, "name") or None,
        metadata=present(tool_call_id=text_at(message, "tool_call_id")),
        left_out=(*others, *["tool call"] * calls),
    )


def content_of(message: Mapping[str, Any]) -> tuple[str, list[str]]:
    """The text of a message whose content is text or a list of parts, and the kinds of the other parts."""
    content = message.get("content")
    if not isinstance(content, list):
        return text_at(message, "content"), []
    texts, others = [], []
    for part in content:
        if isinstance(part, str):
            texts.append(part)
        elif as_object(part, "content").get("type") in _TEXTS:
            texts.append(text_at(part, "text"))
        else:
            others.append(files.shown(part.get("type")))
    return "\n".join(text for text in texts if text), others
