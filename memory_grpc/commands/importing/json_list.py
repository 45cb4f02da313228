"""A JSON list of ingest requests: what JSON lines hold, in brackets."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from memory_grpc.commands.failure import CommandError
from memory_grpc.commands.importing import json_stream, utf8
from memory_grpc.commands.importing.parse import request_of
from memory_grpc.commands.importing.records import Chain, Fault, Mark, Record, changed, request_id
from memory_grpc.commands.importing.turns import Malformed


class JsonList:
    """Source of a list; its positions are elements. An element's request id is that of the list up to it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.total = 0

    def records(self, after: Mark) -> Iterator[Record]:
        """One record for each element after the mark. Raises CommandError where the file is no JSON."""
        chain, before = Chain(), Mark()
        for number, (place, value) in enumerate(self._values(), start=1):
            self.total = max(self.total, number)
            chain.add(json.dumps(value, sort_keys=True).encode())
            if number < after.number:
                continue
            here = Mark(number, chain.digest(), number)
            if number == after.number:
                if here.digest != after.digest:
                    raise changed(after)
            else:
                yield _record(place, value, before, here)
            before = here
        if before.number < after.number:
            raise changed(after)

    def _values(self) -> Iterator[tuple[str, Any]]:
        try:
            with utf8.opened(self._path) as file:
                yield from json_stream.values(file)
        except Malformed as error:
            raise CommandError(f"{self._path.name}: {error}.") from None


def _record(place: str, value: Any, before: Mark, after: Mark) -> Record:
    if not isinstance(value, dict):
        return Record(place, before, after, faults=(Fault("", "is not a JSON object"),))
    request, faults = request_of(value)
    if request is not None and not request.HasField("request_id"):
        request.request_id = request_id(after.digest)
    return Record(place, before, after, request, faults)
