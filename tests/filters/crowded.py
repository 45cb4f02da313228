"""Messages full of metadata, and filters that ask for what is in it, or looks like it: from a seed, because Hypothesis
draws what is small, where most comparisons meet nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from random import Random
from typing import Any

from memory_grpc.filtering import (
    Comparison,
    Node,
    all_of,
    any_of,
    compare,
    equals,
    metadata_holds,
    metadata_reads,
    negated,
    present,
)
from memory_grpc.filtering.check import CHOICES
from memory_grpc.filtering.tree import Operator
from tests.filters.evaluate import written
from tests.filters.generate import KEYS, MOMENTS, NUMBERS, STORED_NUMBERS, WORDS

Message = dict[str, Any]
Path = tuple[str, ...]

EQUALITY: list[Operator] = ["=", "has"]
ORDERING: list[Operator] = ["<", "<=", ">", ">="]
NAMES = [word for word in WORDS if word]


def crowded(draw: Random) -> tuple[list[Message], list[Node]]:
    """Some messages, and filters of them."""
    messages = [_message(draw) for _ in range(12)]
    return messages, [_tree(draw, messages, levels=draw.choice([0, 0, 1, 2, 3])) for _ in range(60)]


def _message(draw: Random) -> Message:
    return {
        "conversation_id": draw.choice(NAMES),
        "user_id": draw.choice([None, *NAMES]),
        "role": draw.choice(CHOICES["role"]),
        "name": draw.choice([None, *NAMES]),
        "metadata": {key: _value(draw, levels=3) for key in draw.sample(KEYS, 8)},
        "importance": draw.choice([0.0, 0.1, 0.3, 0.1 + 0.2, 1.0]),
        "embedding_status": draw.choice(CHOICES["embedding_status"]),
        "created_at": draw.choice(MOMENTS),
        "archived_at": draw.choice([None, *MOMENTS]),
        "pinned": draw.choice([True, False]),
    }


def _value(draw: Random, levels: int) -> Any:
    kind = draw.choice(["text", "number", "flag", "null", *["array", "object"] * bool(levels)])
    if kind == "array":
        return [_value(draw, levels - 1) for _ in range(draw.randrange(4))]
    if kind == "object":
        return {key: _value(draw, levels - 1) for key in draw.sample(KEYS, draw.randrange(4))}
    return draw.choice({"text": WORDS, "number": STORED_NUMBERS, "flag": [True, False], "null": [None]}[kind])


def _tree(draw: Random, messages: list[Message], levels: int) -> Node:
    if not levels:
        node: Node = _comparison(draw, draw.choice(messages))
    else:
        terms = [_tree(draw, messages, levels - 1) for _ in range(draw.randint(1, 3))]
        node = draw.choice([all_of, any_of])(terms)
    return negated(node) if draw.random() < 0.3 else node


def _comparison(draw: Random, message: Message) -> Comparison:
    field = draw.choice([*["metadata"] * 12, *(name for name in message if name != "archived_at"), "archived"])
    if field == "metadata":
        return _of_metadata(draw, message["metadata"])
    if draw.random() < 0.1:
        return present(field)
    if field in {"pinned", "archived"}:
        return equals(field, draw.choice([True, False]))
    if field in CHOICES:
        return equals(field, draw.choice(CHOICES[field]))
    values = {"created_at": MOMENTS, "importance": NUMBERS}.get(field, NAMES)
    wanted = message[field] if message[field] is not None and draw.random() < 0.5 else draw.choice(values)
    return compare(field, draw.choice(["=", *ORDERING]), wanted)


def _of_metadata(draw: Random, metadata: dict[str, Any]) -> Comparison:
    path, value = draw.choice(list(_places(metadata, ())))
    asked = draw.random()
    if asked < 0.1:
        return present("metadata", *draw.choice([path, path[:-1] or path, (*path, "0")]))
    if asked < 0.2:
        key = draw.choice(list(metadata))
        text = written(metadata[key])
        return metadata_reads(key, draw.choice(["1", "true"]) if text is None else text)
    if asked < 0.3:
        return metadata_holds(_nested(path, _part(draw, value)))
    inner = [item for item in (value if isinstance(value, list) else [value]) if isinstance(item, str | int | float)]
    likely = [item for item in inner if isinstance(item, str) or abs(item) <= 2**53]
    wanted = draw.choice([*likely * 3, json.dumps(value), draw.choice(NUMBERS), draw.choice(WORDS), True])
    return compare(
        "metadata", draw.choice(EQUALITY if isinstance(wanted, bool) else EQUALITY * 2 + ORDERING), wanted, *path
    )


def _places(value: Any, path: Path) -> Iterator[tuple[Path, Any]]:
    """What is in metadata and where: places in an array as if they were keys, which they must not be in Postgres."""
    if path:
        yield path, value
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in inner:
        yield from _places(item, (*path, str(key)))


def _nested(path: Path, value: Any) -> dict[str, Any]:
    for key in reversed(path):
        value = {key: value}
    return value


def _part(draw: Random, value: Any) -> Any:
    """Some of an array or an object; scalars as they are."""
    if isinstance(value, list):
        return [_part(draw, item) for item in value if draw.random() < 0.6]
    if isinstance(value, dict):
        return {key: _part(draw, item) for key, item in value.items() if draw.random() < 0.6}
    return value
