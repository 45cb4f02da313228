"""How an item of a LangGraph store is kept as a message, and how it is found again.

The namespace is the conversation, the text that is searched is the content, and the rest is metadata::

    {"langgraph": {
        "namespace": ["memories", "ann"],
        "under": {"0": ".", "1": "memories", "2": "memories.ann"},   # what a search of a prefix compares
        "key": "food",
        "value": {"text": "I love pizza"},
        "unindexed": true,                                           # only where the item is not to be searched
        "updated_at": "2026-11-14T20:30:00+00:00"                    # only once it was put again
    }}
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Literal

from langgraph.store.base import Item, SearchItem, get_text_at_path, tokenize_path

from memory_grpc.client import types
from memory_grpc.integrations.numbers import whole

Namespace = tuple[str, ...]
FIELD = "langgraph"
_PREFIX = "store:"
_LONGEST_CONVERSATION = 128
_LONGEST_CONTENT = 100_000
_REQUESTS = uuid.UUID("7d1ff6a5-5c0b-4a2f-9a57-6f6a6f3c2f0e")


def conversation(namespace: Namespace) -> str:
    """The conversation of a namespace: its labels, joined by dots, or a digest of them where they are too long."""
    joined = ".".join(namespace)
    if joined.startswith("#") or len(_PREFIX) + len(joined) > _LONGEST_CONVERSATION:
        joined = f"#{hashlib.sha256(joined.encode()).hexdigest()}"
    return _PREFIX + joined


def namespace_of(conversation_id: str) -> Namespace | None:
    """The namespace of a conversation; None where it has none, or where only its messages tell."""
    if not is_store(conversation_id) or conversation_id.startswith(f"{_PREFIX}#"):
        return None
    return tuple(conversation_id[len(_PREFIX) :].split("."))


def is_store(conversation_id: str) -> bool:
    """Whether a conversation holds items."""
    return conversation_id.startswith(_PREFIX)


def request_id(namespace: Namespace, key: str) -> str:
    """The id of the request that first stores an item: the same for all who put it at once."""
    return str(uuid.uuid5(_REQUESTS, json.dumps([namespace, key])))


def content(value: Mapping[str, Any], index: Literal[False] | list[str] | None, fields: Iterable[str]) -> str:
    """The text that searches compare: what stands at the paths, or the whole value where nothing does."""
    paths = fields if index is None or index is False else index
    texts = [text for path in paths for text in get_text_at_path(value, path if path == "$" else tokenize_path(path))]
    found = "\n".join(text for text in texts if text.strip())
    return (found or json.dumps(dict(value), ensure_ascii=False))[:_LONGEST_CONTENT]


def metadata(
    namespace: Namespace, key: str, value: Mapping[str, Any], *, unindexed: bool, updated_at: datetime | None
) -> dict[str, Any]:
    """The metadata of an item."""
    under = {str(depth): ".".join(namespace[:depth]) or "." for depth in range(len(namespace) + 1)}
    item: dict[str, Any] = {"namespace": list(namespace), "under": under, "key": key, "value": dict(value)}
    if unindexed:
        item["unindexed"] = True
    if updated_at is not None:
        item["updated_at"] = updated_at.isoformat()
    return {FIELD: item}


def under(prefix: Namespace) -> str:
    """The filter of what is in a namespace or below it."""
    return f"metadata.{FIELD}.under.{len(prefix)} = {quoted('.'.join(prefix) or '.')}"


def with_key(key: str) -> str:
    """The filter of the item with a key, within its conversation."""
    return f"metadata.{FIELD}.key = {quoted(key)}"


SEARCHED = f"NOT metadata.{FIELD}.unindexed = true"
"""The filter of what searches by a query find."""


def quoted(text: str) -> str:
    """Text as a filter has it."""
    return json.dumps(text, ensure_ascii=False)


def item(message: types.Message) -> Item:
    """The item of a message."""
    return Item(**_parts(message))


def listed(message: types.Message) -> SearchItem:
    """The item of a message, as a search without a query returns it."""
    return SearchItem(**_parts(message))


def found(hit: types.MemoryHit) -> SearchItem:
    """The item of a hit."""
    return SearchItem(**_parts(hit), score=hit.score)


def _parts(one: types.Message | types.MemoryHit) -> dict[str, Any]:
    kept = one.metadata[FIELD]
    updated_at = datetime.fromisoformat(kept["updated_at"]) if "updated_at" in kept else one.created_at
    return {
        "namespace": tuple(kept["namespace"]),
        "key": kept["key"],
        "value": whole(kept["value"]),
        "created_at": one.created_at,
        "updated_at": max(updated_at, one.created_at),
    }
