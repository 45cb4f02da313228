"""A file of JSON lines, read as a stream: memory holds one line of it, however long the file."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from memory_grpc.commands.importing import utf8
from memory_grpc.commands.importing.parse import parse
from memory_grpc.commands.importing.records import Chain, Fault, Mark, Record, changed, request_id

# The longest valid request is about 1.3 MB: 100,000 characters, each written as \uXXXX\uXXXX.
MAX_LINE_BYTES = 4 * 1024 * 1024
_BOM = b"\xef\xbb\xbf"


class JsonLines:
    """Source of JSON lines. Blank lines count as lines and hold nothing."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with utf8.opened(path) as file:
            self.total = file.seek(0, os.SEEK_END)

    def records(self, after: Mark) -> Iterator[Record]:
        """One record for each line after the mark that is not blank.

        A line's request id is that of the file up to and including it: the same in every run, also when lines were
        appended, and another one for an equal line elsewhere.
        """
        chain, before = Chain(), Mark()
        with utf8.opened(self._path) as file:
            for number, position, line, too_long in lines(file):
                chain.add(line)
                if number < after.number:
                    continue
                here = Mark(number, chain.digest(), position)
                if number == after.number:
                    if here.digest != after.digest:
                        raise changed(after)
                elif line:
                    yield _record(line, before, here, too_long=too_long)
                before = here
        if before.number < after.number:
            raise changed(after)


def _record(line: bytes, before: Mark, after: Mark, *, too_long: bool) -> Record:
    label = f"line {after.number}"
    if too_long:
        fault = Fault("", f"is longer than {MAX_LINE_BYTES:,} bytes")
        return Record(label, before, after, faults=(fault,))
    request, faults = parse(line)
    if request is not None and not request.HasField("request_id"):
        request.request_id = request_id(after.digest)
    return Record(label, before, after, request, faults)


def lines(file: IO[bytes], longest: int | None = None) -> Iterator[tuple[int, int, bytes, bool]]:
    """(number, bytes read so far, line without blanks around it, whether it was cut as too long: as longer than
    ``longest`` bytes, or MAX_LINE_BYTES).

    Blanks at the end do not count, so that the last line stays the same when a newline and more lines come after it.
    """
    number = position = 0
    most = longest or MAX_LINE_BYTES
    while line := file.readline(most):
        number += 1
        position += len(line)
        too_long = len(line) == most and not line.endswith(b"\n")
        while too_long and (rest := file.readline(most)):
            position += len(rest)
            if rest.endswith(b"\n"):
                break
        if number == 1:
            line = line.removeprefix(_BOM)
        yield number, position, line.strip(), too_long
