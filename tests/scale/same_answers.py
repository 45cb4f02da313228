"""Answers of two servers, compared byte for byte but for when something was done."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

# When a message was imported or archived, and a re-embedding went on: the clock's, and no answer's.
_WHEN = {"updated_at", "archived_at", "started_at", "ready_at", "cut_over_at", "finished_at"}


def serialized(answers: Any, *kept: str) -> list[bytes]:
    """As bytes. ``kept`` are names of times that are to be the same too."""
    for one in answers:
        _forget(one, _WHEN - {*kept})
    return [one.SerializeToString(deterministic=True) for one in answers]


def _forget(answer: Any, names: set[str]) -> None:
    for field, value in answer.ListFields():
        if field.name in names:
            answer.ClearField(field.name)
        elif field.message_type and not field.message_type.full_name.startswith("google.protobuf."):
            for one in value if isinstance(value, Sequence) else [value]:
                _forget(one, names)
