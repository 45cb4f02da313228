"""ChatGPT: ``conversations.json`` of an export, or the folder of its ``conversations-000.json`` and so on.

A conversation is a tree, since questions were edited and answers made anew. What was last seen is the way from
``current_node`` up to the root, and that is what is read; other branches are counted.
"""

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
    object_at,
    present,
    text_at,
)

_HIDDEN = "is_visually_hidden_from_conversation"


def turns(path: Path, reading: Reading) -> Iterator[Turn]:
    """The turns of every conversation, first to last."""
    for place, value in files.values(path):
        try:
            conversation = as_object(value)
            conversation_id = needed_text(conversation, "conversation_id", "id")
            start = conversation.get("create_time")
            started = None if start is None else times.of_seconds(start, "create_time")
            mapping = object_at(conversation, "mapping")
            if "mapping" not in conversation:
                raise Wrong("mapping", "is missing")
            branch = _branch(mapping, text_at(conversation, "current_node"))
        except Wrong as wrong:
            yield Turn(place, faults=(wrong.fault,))
            continue
        for node_id in branch:
            if mapping[node_id].get("message") is None:  # the root
                continue
            where = f"{place}.mapping.{files.shown(node_id)}.message"
            yield attempt(where, lambda: _turn(where, mapping[node_id], node_id, conversation_id, started))  # noqa: B023
        elsewhere = mapping.keys() - set(branch)
        said = sum(isinstance(node := mapping[one], dict) and node.get("message") is not None for one in elsewhere)
        if said:
            yield Turn(f"{place}.mapping", left_out=("of another branch",) * said)


def _branch(mapping: Mapping[str, Any], node_id: str) -> list[str]:
    """The nodes from the root to the current one; without one, to the last that nothing follows."""
    if not node_id:
        parents = {node.get("parent") for node in mapping.values() if isinstance(node, dict)}
        node_id = next((one for one in reversed(list(mapping)) if one not in parents), "")
    way: dict[str, None] = {}
    while node_id:
        if node_id not in mapping:
            raise Wrong("mapping", "lacks a node that another names as its parent, or current_node")
        if node_id in way:
            raise Wrong("mapping", "goes round in a circle")
        way[node_id] = None
        node_id = text_at(as_object(mapping[node_id], "mapping"), "parent")
    return list(reversed(way))


def _turn(place: str, node: Mapping[str, Any], node_id: str, conversation_id: str, started: str | None) -> Turn:
    message = object_at(node, "message")
    if object_at(message, "metadata").get(_HIDDEN):
        return Turn(place, left_out=("hidden",))
    content, left_out = _content(object_at(message, "content"))
    author = object_at(message, "author")
    message_id = text_at(message, "id") or node_id
    said = message.get("create_time")
    return Turn(
        place,
        conversation_id,
        needed_text(author, "role"),
        content,
        id=message_id,
        name=text_at(author, "name") or None,
        created_at=started if said is None else times.of_seconds(said, "create_time"),
        metadata=present(id=message_id),
        left_out=left_out,
    )


def _content(content: Mapping[str, Any]) -> tuple[str, tuple[str, ...]]:
    """The text of a message, and what else there is in it."""
    kind = text_at(content, "content_type")
    if "parts" not in content:
        text = text_at(content, "text")
        return text, () if text else (files.shown(kind),) * bool(kind)
    texts, others = [], []
    for part in list_at(content, "parts"):
        if isinstance(part, str):
            texts.append(part)
        elif text := text_at(as_object(part, "parts"), "text"):  # what was dictated
            texts.append(text)
        else:
            others.append(files.shown(part.get("content_type")))
    return "\n".join(text for text in texts if text), tuple(others)
