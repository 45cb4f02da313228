"""A LoCoMo file (a list of conversations in sessions) as messages.

tenant = sample, conversation_id = session, role ``user``, name = speaker, metadata ``{dia_id}``, content = the turn's
text, created_at = the session's date plus the turn's position in seconds, as UTC.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from memory_grpc.commands.failure import CommandError
from memory_grpc.commands.importing import utf8
from memory_grpc.commands.importing.parse import request_of
from memory_grpc.commands.importing.records import Chain, Fault, Mark, Record, changed, request_id

_SESSION = re.compile(r"session_(\d+)")
_DATE = re.compile(r"(\d{1,2}):(\d{2})\s*([ap])m on (\d{1,2}) ([a-z]+),? (\d{4})", re.IGNORECASE)
# Not strptime's: those follow the locale.
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")


class Locomo:
    """Source of a LoCoMo file; its positions are turns. Turns without text are records that hold nothing."""

    def __init__(self, path: Path) -> None:
        try:
            with utf8.opened(path) as file:
                samples = json.loads(file.read())
            self._turns = [turn for sample in samples for turn in _turns(sample)]
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise CommandError(f"{path} is not a LoCoMo file (a list of samples with their sessions).") from None
        self.total = len(self._turns)

    def records(self, after: Mark) -> Iterator[Record]:
        """One record for each turn after the mark. A turn's request id is that of what it says, when and where."""
        chain, before = Chain(), Mark()
        for number, (label, turn) in enumerate(self._turns, start=1):
            item = json.dumps(turn, sort_keys=True).encode()
            chain.add(item)
            if number < after.number:
                continue
            here = Mark(number, chain.digest(), number)
            if number == after.number:
                if here.digest != after.digest:
                    raise changed(after)
            else:
                yield _record(label, turn, before, here, item)
            before = here
        if before.number < after.number:
            raise changed(after)


def _record(label: str, turn: dict[str, Any], before: Mark, after: Mark, item: bytes) -> Record:
    if isinstance(turn["content"], str) and not turn["content"].strip():
        return Record(label, before, after)
    request, faults = request_of(turn)
    if request is not None:
        request.request_id = request_id(item.decode())
    return Record(label, before, after, request, tuple(_as_in_file(fault) for fault in faults))


def _as_in_file(fault: Fault) -> Fault:
    """The fault under the name that the field has in the file."""
    return Fault({"content": "text", "name": "speaker"}.get(fault.field, fault.field), fault.description)


def _turns(sample: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """(label, ingest request as JSON) of every turn of a sample, in the order of its sessions."""
    conversation = sample["conversation"]
    numbers = sorted(int(found[1]) for name in conversation if (found := _SESSION.fullmatch(name)))
    for number in numbers:
        session = f"session_{number}"
        start = session_date(conversation[f"{session}_date_time"])
        for position, turn in enumerate(conversation[session]):
            yield (
                f"{sample['sample_id']} {session} turn {position + 1}",
                {
                    "tenant_id": sample["sample_id"],
                    "conversation_id": session,
                    "role": "user",
                    "name": turn["speaker"],
                    "content": turn.get("text", ""),
                    "metadata": {"dia_id": turn["dia_id"]},
                    "created_at": (start + timedelta(seconds=position)).strftime("%Y-%m-%dT%H:%M:%SZ"),
                },
            )


def session_date(text: str) -> datetime:
    """``1:56 pm on 8 May, 2023`` as a time of UTC. Raises ValueError."""
    found = _DATE.fullmatch(text.strip())
    if found is None or not 1 <= int(found[1]) <= 12:
        raise ValueError("not a date of LoCoMo")
    hour = int(found[1]) % 12 + (12 if found[3].lower() == "p" else 0)
    month = _MONTHS.index(found[5][:3].lower()) + 1
    return datetime(int(found[6]), month, int(found[4]), hour, int(found[2]), tzinfo=UTC)
