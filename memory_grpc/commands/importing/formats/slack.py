"""Slack: the folder of an export, with ``users.json`` and a folder of days for each channel."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from memory_grpc.commands.importing import json_stream, times, utf8
from memory_grpc.commands.importing.turns import (
    Malformed,
    Reading,
    Turn,
    Wrong,
    as_object,
    attempt,
    list_at,
    needed_text,
    object_at,
    present,
    text_at,
)

_DAYS = "[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9].json"
# What people write; joins, topics and the like are notices.
_SAID = {"", "bot_message", "me_message", "file_share", "thread_broadcast"}
_LINK = re.compile(r"<([@#!]?)([^<>|]+)(?:\|([^<>]*))?>")


def days(folder: Path) -> list[Path]:
    """The files of an export, channel by channel and day by day; of any other folder none."""
    return sorted(folder.glob(f"*/{_DAYS}"))


def turns(path: Path, reading: Reading) -> Iterator[Turn]:
    """The messages of every channel, each a conversation of its own."""
    names = _names(path / "users.json")
    for file in days(path):
        where = f"{file.parent.name}/{file.name}"
        with utf8.opened(file) as opened:
            try:
                for place, value in json_stream.values(opened):
                    here = f"{where} {place}"
                    yield attempt(here, lambda: _turn(here, as_object(value), file.parent.name, names))  # noqa: B023
            except Malformed as error:
                raise Malformed(f"{where} {error.place}", error.description) from None


def _names(file: Path) -> dict[str, str]:
    """What people are called, by their ids."""
    names: dict[str, str] = {}
    if not file.is_file():
        return names
    with utf8.opened(file) as opened:
        for place, value in json_stream.values(opened):
            try:
                user = as_object(value)
                profile = object_at(user, "profile")
                called = text_at(profile, "display_name") or text_at(profile, "real_name") or text_at(user, "name")
                names[needed_text(user, "id")] = called
            except Wrong as wrong:
                raise Malformed(f"users.json {place}", str(wrong)) from None
    return names


def _turn(place: str, message: Mapping[str, Any], channel: str, names: Mapping[str, str]) -> Turn:
    if text_at(message, "subtype") not in _SAID or text_at(message, "type") not in ("", "message"):
        return Turn(place, left_out=("notice",))
    moment = needed_text(message, "ts")
    user = text_at(message, "user")
    attached = [text_at(as_object(one, "files"), "name") for one in list_at(message, "files")]
    is_bot = message.get("bot_id") is not None or message.get("subtype") == "bot_message"
    return Turn(
        place,
        channel,
        "bot" if is_bot else "user",
        _plain(text_at(message, "text"), names),
        id=moment,
        name=names.get(user) or text_at(message, "username") or user or None,
        created_at=times.of_seconds(moment, "ts"),
        metadata=present(
            ts=moment,
            author_id=user or text_at(message, "bot_id"),
            thread_ts=text_at(message, "thread_ts"),
            id=text_at(message, "client_msg_id"),
            attachments=[name for name in attached if name],
        ),
        left_out=("attachment",) * len(attached),
    )


def _plain(text: str, names: Mapping[str, str]) -> str:
    """A text as people see it: names in the place of ids, ``label (address)`` for links."""

    def seen(found: re.Match[str]) -> str:
        kind, target, label = found.groups()
        if kind == "@":
            return "@" + (names.get(target) or label or target)
        if kind:
            return ("#" if kind == "#" else "@") + (label or target).lstrip("@")
        return f"{label} ({target})" if label and label != target else target

    return html.unescape(_LINK.sub(seen, text))
