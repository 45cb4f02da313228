"""A LoCoMo file as turns to store and questions to ask. The turns are those of ``import``."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from memory_grpc.commands.failure import CommandError
from memory_grpc.commands.importing.locomo import Locomo
from memory_grpc.commands.importing.records import Mark, Record, request_id

# 5 holds questions whose answer was never said: there is nothing to find.
CATEGORIES = {1: "multi-hop", 2: "temporal", 3: "open-domain", 4: "single-hop"}
_AFTER_THE_LAST_TURN = timedelta(days=1)
# "D8:6; D9:17" is two, "D:11:26" one, "D30:05" is D30:5.
_TURN = re.compile(r"\bD:?(\d+):(\d+)")


@dataclass(slots=True)
class Memory:
    """A tenant as the file has it. ``turns`` holds what to store by dia_id, in the order of the sessions."""

    tenant_id: str
    turns: dict[str, Record] = field(default_factory=dict)
    names: set[str] = field(default_factory=set)
    conversations: set[str] = field(default_factory=set)
    as_of: datetime = datetime.min


@dataclass(frozen=True, slots=True)
class Question:
    """What to ask; ``number`` counts the sample's questions from 1, ``evidence`` are the dia_ids that answer it,
    ``as_of`` is None where it is asked after the last turn. ``set`` is the name of the file it comes from."""

    tenant_id: str
    number: int
    text: str
    category: int
    evidence: tuple[str, ...]
    as_of: datetime | None = None
    set: str = ""


@dataclass(frozen=True, slots=True)
class Dataset:
    """What is in a file; ``dropped`` questions of the categories have no evidence that exists."""

    memories: dict[str, Memory]
    questions: list[Question]
    dropped: int

    def as_of(self, question: Question) -> datetime:
        """The moment at which a question is asked."""
        return question.as_of or self.memories[question.tenant_id].as_of


def read(path: Path, *, prefix: str = "", without_names: bool = False, limit: int | None = None) -> Dataset:
    """Reads a file; tenants are the samples' ids behind ``prefix``, ``limit`` keeps the first so many questions.

    Raises CommandError when it is not a LoCoMo file with questions.
    """
    if not path.is_file():
        raise CommandError(f"{path} is not a regular file.")
    memories = _memories(path, prefix)
    questions: list[Question] = []
    dropped = 0
    try:
        for sample in json.loads(path.read_bytes()):
            memory = memories[prefix + sample["sample_id"]]
            names = memory.names if without_names else ()
            for number, item in enumerate(sample["qa"], start=1):
                if item["category"] not in CATEGORIES:
                    continue
                evidence = tuple(parse_evidence(item["evidence"], memory.turns))
                if evidence:
                    text = strip_names(item["question"], names)
                    questions.append(Question(memory.tenant_id, number, text, item["category"], evidence))
                dropped += not evidence
    except (ValueError, KeyError, TypeError, AttributeError):
        raise CommandError(f"{path} is not a LoCoMo file with questions (`qa` with evidence).") from None
    questions = questions[:limit]
    if not questions:
        raise CommandError(f"{path} holds no question with evidence.")
    asked = {question.tenant_id for question in questions}
    return Dataset({name: memory for name, memory in memories.items() if name in asked}, questions, dropped)


def parse_evidence(entries: Iterable[str], existing: Collection[str]) -> Iterator[str]:
    """The turns that entries name, as far as they exist, each once: an entry may be malformed or hold several."""
    found = (f"D{int(session)}:{int(turn)}" for entry in entries for session, turn in _TURN.findall(entry))
    return (dia_id for dia_id in dict.fromkeys(found) if dia_id in existing)


def strip_names(question: str, names: Collection[str]) -> str:
    """The question without the names, whole or in part, and without what hangs on them (``'s``)."""
    parts = {part for name in names for part in (name, *name.split())}
    if not parts:
        return question
    any_name = "|".join(re.escape(part) for part in sorted(parts, key=len, reverse=True))
    rest = re.sub(rf"(?<!\w)(?:{any_name})(?:['’]s?)?(?!\w)", " ", question, flags=re.IGNORECASE)
    rest = re.sub(r"\s+([?.,;:!])", r"\1", " ".join(rest.split()))
    # Nothing but a name was asked; a query must not be empty.
    return rest if any(c.isalnum() for c in rest) else "?"


def _memories(path: Path, prefix: str) -> dict[str, Memory]:
    memories: dict[str, Memory] = {}
    for record in Locomo(path).records(Mark()):
        if record.faults:
            raise CommandError(f"{path}: {record.label} is invalid ({record.faults[0].description}).")
        request: Any = record.request
        if request is None:  # a turn without text
            continue
        if prefix:
            request.tenant_id = prefix + request.tenant_id
            request.request_id = request_id(f"{prefix}\0{request.request_id}")
            if len(request.tenant_id) > 64:
                raise CommandError(f"The tenant {request.tenant_id} is longer than 64 characters.")
        memory = memories.setdefault(request.tenant_id, Memory(request.tenant_id))
        memory.turns[request.metadata["dia_id"]] = record
        memory.names.add(request.name)
        memory.conversations.add(request.conversation_id)
        last = request.created_at.ToDatetime() + _AFTER_THE_LAST_TURN
        memory.as_of = max(memory.as_of, last)
    return memories
