"""Evaluation data as JSON lines: messages as ``import`` takes them, each with ``metadata.dia_id``, and questions."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from memory_grpc.commands.evaluating.dataset import CATEGORIES, Dataset, Memory, Question, strip_names
from memory_grpc.commands.failure import CommandError
from memory_grpc.commands.importing.jsonl import JsonLines
from memory_grpc.commands.importing.records import Mark, request_id

_AFTER_THE_LAST_TURN = timedelta(days=1)
_FIELDS = "tenant_id, question, category and evidence"


def read(
    questions: Path, messages: Path, *, prefix: str = "", without_names: bool = False, limit: int | None = None
) -> Dataset:
    """Reads both files. Raises CommandError, which names the line, for one that is not as it should be."""
    memories = _memories(messages, prefix)
    found: list[Question] = []
    dropped = 0
    for number, item in _lines(questions):
        try:
            memory = memories[prefix + item["tenant_id"]]
            if item["category"] not in CATEGORIES:
                continue
            evidence = tuple(dict.fromkeys(one for one in item["evidence"] if one in memory.turns))
            as_of = datetime.fromisoformat(item["as_of"]) if item.get("as_of") else None
            text = strip_names(item["question"], memory.names if without_names else ())
        except (KeyError, TypeError, ValueError, AttributeError):
            raise CommandError(
                f"{questions}, line {number}: a question needs {_FIELDS} that fit the messages."
            ) from None
        if evidence:
            found.append(Question(memory.tenant_id, number, text, item["category"], evidence, as_of))
        dropped += not evidence
    found = found[:limit]
    if not found:
        raise CommandError(f"{questions} holds no question with evidence.")
    asked = {question.tenant_id for question in found}
    return Dataset({name: memory for name, memory in memories.items() if name in asked}, found, dropped)


def _lines(path: Path) -> Iterator[tuple[int, Any]]:
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                try:
                    yield number, json.loads(line)
                except ValueError:
                    raise CommandError(f"{path}, line {number}: not JSON.") from None


def _memories(path: Path, prefix: str) -> dict[str, Memory]:
    memories: dict[str, Memory] = {}
    for record in JsonLines(path).records(Mark()):
        request = record.request
        if request is None or record.faults or "dia_id" not in request.metadata.fields:
            raise CommandError(f"{path}, {record.label}: not a message with metadata.dia_id.")
        request.tenant_id = prefix + request.tenant_id
        request.request_id = request_id(f"{prefix}\0{request.request_id}")
        memory = memories.setdefault(request.tenant_id, Memory(request.tenant_id))
        memory.turns[request.metadata.fields["dia_id"].string_value] = record
        memory.conversations.add(request.conversation_id)
        if request.name:
            memory.names.add(request.name)
        memory.as_of = max(memory.as_of, request.created_at.ToDatetime() + _AFTER_THE_LAST_TURN)
    return memories
