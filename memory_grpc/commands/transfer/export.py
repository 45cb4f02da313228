"""``memory-grpc export``."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import grpc

from memory_grpc.client.errors import from_call
from memory_grpc.client.streams import Resumption
from memory_grpc.commands import client, output
from memory_grpc.commands.configuration import Target
from memory_grpc.commands.failure import OK, USAGE, CommandError, complain
from memory_grpc.commands.transfer.records import read, written
from memory_layer.v1.transfer_service_pb2 import ExportRequest, TransferHeader, TransferRecord
from memory_layer.v1.transfer_service_pb2_grpc import TransferServiceStub

_LINE_EVERY_SECONDS = 5.0
_PAUSE_SECONDS = 0.5
_PASSING = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.RESOURCE_EXHAUSTED}


def export(request: ExportRequest, continued: Path | None, target: Target, patience_seconds: float) -> int:
    """Writes a tenant's messages to standard output, or to the end of a file that an earlier run wrote.

    A stream that breaks is gone on with, unless nothing has come for ``patience_seconds``. Returns the exit code.
    """
    client.check(request)
    with _output(request, continued) as (file, had):
        report = _Report(had)
        try:
            for record in _records(request, target, patience_seconds):
                file.write(written(record).encode() + b"\n")
                report.wrote(record)
        finally:
            file.flush()
    report.end()
    return OK


@contextmanager
def _output(request: ExportRequest, continued: Path | None) -> Iterator[tuple[IO[bytes], int]]:
    """Where to write, and how many messages are there already; the request goes on after them."""
    if continued is None:
        if sys.stdout.isatty():
            raise CommandError("Send the export to a file: memory-grpc export --tenant … > file.jsonl", USAGE)
        yield sys.stdout.buffer, 0
        return
    had = _go_on(request, continued)
    with continued.open("ab") as file:
        yield file, had


def _go_on(request: ExportRequest, path: Path) -> int:
    """Takes off a line that was cut off, and sets where the request goes on. Raises CommandError for another export."""
    with path.open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        while size and _byte(file, size - 1) != b"\n":
            size -= 1
        file.truncate(size)
    had = 0
    resumption = Resumption(request)
    for line in read(path):
        wanted = TransferHeader(
            version=line.header.version,
            tenant_id=request.tenant_id,
            filter=request.filter if request.HasField("filter") else None,
            has_embeddings=request.include_embeddings,
        )
        if line.header != wanted:
            raise CommandError(f"{path} is another export: give the tenant, the filter and the options of that one.")
        had += line.message is not None
        resumption.takes(line.record)
    return had


def _byte(file: IO[bytes], position: int) -> bytes:
    file.seek(position)
    return file.read(1)


def _records(request: ExportRequest, target: Target, patience_seconds: float) -> Iterator[TransferRecord]:
    """The records, each once, however often the stream breaks."""
    came_at = time.monotonic()
    resumption = Resumption(request)
    with client.connected(target) as channel:
        stub = TransferServiceStub(channel)
        while True:
            try:
                # No deadline: it lasts as long as there is something to come.
                for record in stub.Export(request, metadata=client.metadata(target)):
                    came_at = time.monotonic()
                    if resumption.takes(record):
                        yield record
                return
            except grpc.RpcError as error:
                if error.code() not in _PASSING or time.monotonic() - came_at >= patience_seconds:
                    raise
                wait = from_call(error).retry_after or _PAUSE_SECONDS
                complain(f"{error.code().name}: going on in {wait:g} s.")
                time.sleep(wait)


class _Report:
    """Says how it goes, on standard error, now and then."""

    def __init__(self, had: int, say: Callable[[str], None] = complain) -> None:
        self._had = had
        self._say = say
        self._messages = 0
        self._began = self._said = time.monotonic()

    def wrote(self, record: TransferRecord) -> None:
        """One more record is written."""
        self._messages += record.HasField("message")
        now = time.monotonic()
        if now - self._said >= _LINE_EVERY_SECONDS:
            self._said = now
            self._say(f"{output.counted(self._messages, 'message')}, {self._messages / (now - self._began):,.0f}/s")

    def end(self) -> None:
        """All of it is written."""
        before = f", after {self._had:,} that were there" if self._had else ""
        self._say(f"{output.counted(self._messages, 'message')} exported{before}.")
