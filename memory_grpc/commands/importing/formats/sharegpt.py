"""ShareGPT: ``{"conversations": [{"from", "value"}]}``, in a list or one a line, as data sets are shared.

They have no times: the service gives them that of the import, in their order.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from memory_grpc.commands.importing import files
from memory_grpc.commands.importing.turns import Reading, Turn, Wrong, as_object, attempt, list_at, needed_text, text_at


def turns(path: Path, reading: Reading) -> Iterator[Turn]:
    """The turns of every conversation; one without an id is called after the file and its number."""
    for number, (place, value) in enumerate(files.values(path), start=1):
        try:
            conversation = as_object(value)
            conversation_id = text_at(conversation, "id") or f"{reading.conversation_id or path.stem}-{number}"
            if "conversations" not in conversation:
                raise Wrong("conversations", "is missing")
            said = list_at(conversation, "conversations")
            system = text_at(conversation, "system")
        except Wrong as wrong:
            yield Turn(place, faults=(wrong.fault,))
            continue
        if system:
            yield Turn(f"{place}.system", conversation_id, "system", system)
        for index, turn in enumerate(said):
            where = f"{place}.conversations[{index}]"
            yield attempt(where, lambda: _turn(where, turn, conversation_id))  # noqa: B023


def _turn(place: str, value: Any, conversation_id: str) -> Turn:
    turn = as_object(value)
    return Turn(place, conversation_id, needed_text(turn, "from"), text_at(turn, "value"))
