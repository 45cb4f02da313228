"""What a file holds, found by reading all of it before anything is stored."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from google.protobuf.json_format import MessageToDict

from memory_grpc.commands import output
from memory_grpc.commands.importing.records import Mark, Record, Source

_EXAMPLES = 5
_SHOWN_FAULTS = 20


@dataclass(slots=True)
class Survey:
    """What was found: ``examples`` are the first messages, ``faulty`` the first records that cannot be sent."""

    messages: int = 0
    conversations: set[tuple[str, str]] = field(default_factory=set)
    roles: Counter[str] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)
    empty: int = 0
    invalid: int = 0
    first: datetime | None = None
    last: datetime | None = None
    examples: list[Record] = field(default_factory=list)
    faulty: list[Record] = field(default_factory=list)

    def add(self, record: Record) -> None:
        """Takes one more record in."""
        self.left_out.update(record.left_out)
        if record.faults:
            self.invalid += 1
            if self.invalid <= _SHOWN_FAULTS:
                self.faulty.append(record)
            return
        if record.request is None:
            self.empty += not record.left_out
            return
        self.messages += 1
        self.conversations.add((record.request.tenant_id, record.request.conversation_id))
        self.roles[record.request.role] += 1
        if time := record.created_at:
            self.first = min(time, self.first or time)
            self.last = max(time, self.last or time)
        if len(self.examples) < _EXAMPLES:
            self.examples.append(record)

    def sentence(self, path: Path, title: str) -> str:
        """``chat.txt is a WhatsApp chat: 3 messages of 1 conversation (user 3), 2024-05-01 to 2024-05-03.``"""
        roles = ", ".join(f"{role} {count:,}" for role, count in sorted(self.roles.items()))
        messages = output.counted(self.messages, "message")
        conversations = output.counted(len(self.conversations), "conversation")
        said = f"{path.name} is {title}: {messages} of {conversations}"
        said += f" ({roles})" if roles else ""
        if self.first and self.last:
            said += f", {self.first:%Y-%m-%d} to {self.last:%Y-%m-%d}"
        left_out = self.left_out + Counter({"without text": self.empty})
        if left_out:
            said += "; left out: " + ", ".join(f"{count:,} {name}" for name, count in sorted(left_out.items()))
        return said + "."

    def as_dict(self) -> dict[str, Any]:
        """The same for programs."""
        return {
            "messages": self.messages,
            "conversations": len(self.conversations),
            "roles": dict(sorted(self.roles.items())),
            "first": self.first.isoformat() if self.first else None,
            "last": self.last.isoformat() if self.last else None,
            "empty": self.empty,
            "left_out": dict(sorted(self.left_out.items())),
            "invalid": self.invalid,
            "examples": [
                MessageToDict(record.request, preserving_proto_field_name=True)
                for record in self.examples
                if record.request is not None
            ],
        }


def survey(source: Source) -> Survey:
    """Reads a source to its end. Raises CommandError where it is not of its format."""
    found = Survey()
    for record in source.records(Mark()):
        found.add(record)
    return found
