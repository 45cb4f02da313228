"""Standard output that its reader may leave, and standard input where a file is asked for."""

from __future__ import annotations

import io
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import typer

from memory_grpc.commands.encoding import errors_for

STDIN = Path("-")


class _Output(io.FileIO):
    """Writes to a descriptor; whoever read it and left has seen enough, and the process ends well."""

    def write(self, data: Any, /) -> int:
        try:
            return super().write(data)
        except BrokenPipeError:
            _lead_nowhere(self.fileno())
            raise SystemExit(0) from None


def _lead_nowhere(descriptor: int) -> None:
    """What is still buffered has to go somewhere when the interpreter ends."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
    os.close(nowhere)


@contextmanager
def reader_may_leave() -> Iterator[None]:
    """Inside, ``memory-grpc list … | head`` ends with exit code 0 where Python would complain of a broken pipe.

    SIGPIPE would end the process for a connection that broke, too. It is done at the bottom of the stream, since rich
    and typer make an exit code 1 of BrokenPipeError. Nor does a character that the stream's encoding lacks end it.
    """
    before = sys.stdout
    if before is None or not isinstance(before, io.TextIOWrapper):  # closed, or replaced by a test
        yield
        return
    before.flush()
    sys.stdout = io.TextIOWrapper(
        io.BufferedWriter(_Output(before.fileno(), "wb", closefd=False)),
        encoding=before.encoding,
        errors=errors_for(before.errors),
        line_buffering=before.line_buffering,
    )
    try:
        yield
    finally:
        try:
            with suppress(SystemExit):  # the exit code that is on its way stands
                sys.stdout.flush()
        except OSError:  # the disk is full
            _lead_nowhere(before.fileno())
            raise


def readable(value: str | Path) -> Path:
    """A file or a folder that can be read, or ``-``."""
    path = Path(value)
    if path != STDIN and not os.access(path, os.R_OK):
        raise typer.BadParameter(f"{str(path)!r} {'is not readable' if path.exists() else 'does not exist'}")
    return path


def readable_file(value: str | Path) -> Path:
    """A file that can be read, or ``-``."""
    path = readable(value)
    if path.is_dir():
        raise typer.BadParameter(f"{str(path)!r} is a folder")
    return path


@contextmanager
def file_of(path: Path) -> Iterator[Path]:
    """The file itself; for ``-`` a copy of standard input for the length of the block, to be read more than once."""
    if path != STDIN:
        yield path
        return
    with TemporaryDirectory(prefix="memory-grpc-") as folder:
        copy = Path(folder) / "stdin"
        with copy.open("wb") as file:
            shutil.copyfileobj(sys.stdin.buffer, file)
        yield copy
