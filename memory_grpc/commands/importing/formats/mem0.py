"""mem0: what ``get_all`` returns, ``{"results": [{"id", "memory", …}]}`` or its list.

Each memory is a message of its user; those of one run are one conversation. mem0's own fields are kept in
``metadata.mem0``, beside what its caller had put into the metadata.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from memory_grpc.commands.importing import json_stream, times, utf8
from memory_grpc.commands.importing.turns import (
    Reading,
    Turn,
    as_object,
    attempt,
    needed_text,
    object_at,
    present,
    text_at,
)

_ELEMENT = re.compile(r"results\[\d+\]")
_OWN = ("id", "hash", "agent_id", "app_id", "run_id", "updated_at", "expiration_date")


def turns(path: Path, reading: Reading) -> Iterator[Turn]:
    """The memories, in the order of the file."""
    with utf8.opened(path) as file:
        is_list = json_stream.Scanner(file).peek() == "["
        file.seek(0)
        found = json_stream.values(file) if is_list else json_stream.fields(file, "results")
        for place, value in found:
            if is_list or _ELEMENT.fullmatch(place):
                yield attempt(place, lambda: _turn(place, as_object(value), reading))  # noqa: B023
            else:
                yield Turn(place, left_out=("relation",) * (len(value) if isinstance(value, list) else 0))


def _turn(place: str, memory: Mapping[str, Any], reading: Reading) -> Turn:
    created = memory.get("created_at")
    own = object_at(memory, "metadata")
    return Turn(
        place,
        text_at(memory, "run_id") or reading.conversation_id or "mem0",
        text_at(memory, "role") or text_at(own, "role") or "user",
        needed_text(memory, "memory"),
        id=needed_text(memory, "id"),
        created_at=None if created is None else times.of_text(created, "created_at"),
        user_id=text_at(memory, "user_id") or None,
        metadata={**own, "mem0": present(**{name: text_at(memory, name) for name in _OWN})},
    )
