"""An export of another program as a source: its turns as requests of one tenant, each known again.

A turn that has an id in the export is known by it, in whatever file it comes: a later export brings only what is new.
One without is known by what it says, when, where, and the how-manieth of its like it is.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from memory_grpc.commands.failure import CommandError
from memory_grpc.commands.importing.parse import request_of
from memory_grpc.commands.importing.records import Chain, Fault, Mark, Record, changed, request_id
from memory_grpc.commands.importing.turns import SKIP, Malformed, Reading, Turn

Turns = Callable[[Path, Reading], Iterator[Turn]]

# Who speaks, as the formats call it.
ROLES = {
    "user": "user",
    "human": "user",
    "assistant": "assistant",
    "ai": "assistant",
    "gpt": "assistant",
    "bot": "assistant",
    "system": "system",
    "developer": "system",
}
_LONGEST_NAME = 64
_PLAIN = re.compile(r"[\w.-]{1,32}")


class History:
    """Source of an export; its positions are turns. ``total`` is known once it was read to its end."""

    def __init__(self, path: Path, format_name: str, turns: Turns, reading: Reading) -> None:
        self._path = path
        self._format = format_name
        self._turns = turns
        self._reading = reading
        self.total = 0

    def records(self, after: Mark) -> Iterator[Record]:
        """One record for each turn after the mark. Raises CommandError where the file is not of its format."""
        chain, before = Chain(), Mark()
        alike = _Alike()
        last: Turn | None = None
        for number, turn in enumerate(self._read(), start=1):
            self.total = max(self.total, number)
            value = self._value(turn, last) if turn.content.strip() else None
            identity = None if value is None else self._identity(turn, value, alike)
            chain.add(json.dumps([turn.place, value, identity, turn.left_out], sort_keys=True).encode())
            last = turn if value is None or turn.created_at else last
            here = Mark(number, chain.digest(), number)
            if number == after.number and here.digest != after.digest:
                raise changed(after, known_again=True)
            if number > after.number:
                yield self._record(turn, value, identity, before, here)
            before = here
        if before.number < after.number:
            raise changed(after, known_again=True)

    def _read(self) -> Iterator[Turn]:
        try:
            yield from self._turns(self._path, self._reading)
        except Malformed as error:
            raise CommandError(f"{self._path.name}: {error}.") from None

    def _role(self, turn: Turn) -> str | None:
        return self._reading.roles.get(turn.role) or ROLES.get(turn.role)

    def _value(self, turn: Turn, last: Turn | None) -> dict[str, Any]:
        """The turn as an ingest request in JSON."""
        role = self._role(turn)
        metadata: dict[str, Any] = {"source": self._format, **turn.metadata}
        if role != turn.role:
            metadata.setdefault("role", turn.role)
        value: dict[str, Any] = {
            "tenant_id": self._reading.tenant_id,
            "conversation_id": turn.conversation_id,
            "role": role,
            "content": turn.content,
            "metadata": metadata,
        }
        if turn.name:
            value["name"] = turn.name[:_LONGEST_NAME]
            if len(turn.name) > _LONGEST_NAME:
                metadata.setdefault("name", turn.name)
        # A turn without a time is of the one before it, so that the conversation keeps its order.
        created_at = turn.created_at or (last and last.conversation_id == turn.conversation_id and last.created_at)
        if created_at:
            value["created_at"] = created_at
        if user_id := turn.user_id or self._reading.user_id:
            value["user_id"] = user_id
        return value

    def _identity(self, turn: Turn, value: dict[str, Any], alike: _Alike) -> str:
        if turn.id:
            return json.dumps([self._format, turn.conversation_id, turn.id])
        body = json.dumps(value, sort_keys=True)
        return json.dumps([self._format, body, alike.count(turn, body)])

    def _record(
        self, turn: Turn, value: dict[str, Any] | None, identity: str | None, before: Mark, here: Mark
    ) -> Record:
        if turn.faults or value is None or identity is None:
            return Record(turn.place, before, here, faults=turn.faults, left_out=turn.left_out)
        if value["role"] is None:
            return Record(turn.place, before, here, faults=(_unknown(turn.role),))
        if value["role"] == SKIP:
            return Record(turn.place, before, here, left_out=(f"role {_shown(turn.role)}",))
        request, faults = request_of(value)
        if request is not None:
            request.request_id = request_id(identity)
        return Record(turn.place, before, here, request, faults, turn.left_out)


class _Alike:
    """Counts turns that say the same: within a conversation, and a moment where turns have times."""

    def __init__(self) -> None:
        self._at: tuple[str, str | None] | None = None
        self._seen: Counter[str] = Counter()

    def count(self, turn: Turn, body: str) -> int:
        """The how-manieth of its like a turn is, from 0."""
        at = (turn.conversation_id, turn.created_at)
        if at != self._at:
            self._at, self._seen = at, Counter()
        self._seen[body] += 1
        return self._seen[body] - 1


def _shown(role: str) -> str:
    return role if _PLAIN.fullmatch(role) else "?"


def _unknown(role: str) -> Fault:
    name = _shown(role)
    return Fault(
        "role", f"{name} is no role of the service: say what it is with --role {name}=assistant (or user, system, skip)"
    )
