"""Discord: one channel as JSON, as DiscordChatExporter writes it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from memory_grpc.commands.importing import json_stream, times, utf8
from memory_grpc.commands.importing.turns import (
    Malformed,
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

_ELEMENT = re.compile(r"messages\[\d+\]")
# What people write; joins, pins and calls are notices.
_SAID = {"", "Default", "Reply", "ChatInputCommand", "ContextMenuCommand"}


def turns(path: Path, reading: Reading) -> Iterator[Turn]:
    """The messages of the channel, in the order of the file."""
    channel_id = ""
    with utf8.opened(path) as file:
        for place, value in json_stream.fields(file, "messages"):
            if place == "channel" and isinstance(value, dict):
                channel_id = str(value.get("id") or "")
            elif _ELEMENT.fullmatch(place):
                if not channel_id:
                    raise Malformed("channel", "is missing before the messages")
                yield attempt(place, lambda: _turn(place, as_object(value), channel_id))  # noqa: B023


def _turn(place: str, message: Mapping[str, Any], channel_id: str) -> Turn:
    if text_at(message, "type") not in _SAID:
        return Turn(place, left_out=("notice",))
    author = object_at(message, "author")
    attached = [text_at(as_object(one, "attachments"), "fileName") for one in list_at(message, "attachments")]
    message_id = needed_text(message, "id")
    return Turn(
        place,
        channel_id,
        "bot" if author.get("isBot") else "user",
        text_at(message, "content"),
        id=message_id,
        name=text_at(author, "nickname") or text_at(author, "name") or None,
        created_at=times.of_text(message.get("timestamp"), "timestamp"),
        metadata=present(
            id=message_id,
            author_id=text_at(author, "id"),
            reply_to=text_at(object_at(message, "reference"), "messageId"),
            attachments=[name for name in attached if name],
        ),
        left_out=("attachment",) * len(attached),
    )
