"""Evaluation data as JSON lines."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from memory_grpc.commands.evaluating import jsonl
from memory_grpc.commands.failure import CommandError


def message(dia_id: str, **fields: Any) -> dict[str, Any]:
    return {
        "tenant_id": "ann",
        "conversation_id": "session_1",
        "role": "user",
        "content": f"turn {dia_id}",
        "created_at": "2026-01-02T08:00:00Z",
        "metadata": {"dia_id": dia_id},
    } | fields


def question(**fields: Any) -> dict[str, Any]:
    return {"tenant_id": "ann", "question": "what?", "category": 4, "evidence": ["D1:1"]} | fields


def written(path: Path, rows: list[Any]) -> Path:
    path.write_text("\n".join(row if isinstance(row, str) else json.dumps(row) for row in rows), encoding="utf-8")
    return path


def test_questions_keep_their_line_their_moment_and_the_evidence_that_exists(tmp_path: Path) -> None:
    messages = written(tmp_path / "messages.jsonl", [message("D1:1", name="Ann"), message("D1:2")])
    asked = [
        question(evidence=["D1:2", "D9:9", "D1:2"], as_of="2026-03-01T00:00:00Z", question="what did Ann say?"),
        "",
        question(category=5),
        question(evidence=["D9:9"]),
        question(),
    ]
    found = jsonl.read(written(tmp_path / "questions.jsonl", asked), messages, prefix="p-", without_names=True)
    first, last = found.questions
    assert (first.number, first.tenant_id, first.text, first.evidence) == (1, "p-ann", "what did say?", ("D1:2",))
    assert found.as_of(first) == datetime(2026, 3, 1, tzinfo=UTC)
    assert (last.number, found.as_of(last)) == (5, datetime(2026, 1, 3, 8))
    assert found.dropped == 1
    assert list(found.memories["p-ann"].turns) == ["D1:1", "D1:2"]


@pytest.mark.parametrize(
    ("questions", "said"),
    [
        ([question(), "{"], "line 2: not JSON"),
        ([question(tenant_id="bob")], "line 1: a question needs"),
        ([question(category=5)], "no question with evidence"),
        (["[]"], "line 1: a question needs"),
    ],
)
def test_questions_that_are_none_are_named_by_their_line(tmp_path: Path, questions: list[Any], said: str) -> None:
    messages = written(tmp_path / "messages.jsonl", [message("D1:1")])
    with pytest.raises(CommandError, match=said):
        jsonl.read(written(tmp_path / "questions.jsonl", questions), messages)


def test_a_message_without_dia_id_is_named_by_its_line(tmp_path: Path) -> None:
    messages = written(tmp_path / "messages.jsonl", [message("D1:1"), message("D1:2", metadata={})])
    with pytest.raises(CommandError, match="line 2"):
        jsonl.read(written(tmp_path / "questions.jsonl", [question()]), messages)
