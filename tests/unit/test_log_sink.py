"""A log that cannot be written costs lines, which are counted, and nothing else."""

from __future__ import annotations

import faulthandler
import io
import os
import pty
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

import pytest
from prometheus_client import REGISTRY

from memory_grpc.observability.log_sink import LogSink


def report(lines: int) -> str:
    return f"dropped {lines}\n"


def dropped() -> float:
    return REGISTRY.get_sample_value("memory_log_lines_dropped_total") or 0.0


@pytest.fixture
def pipe() -> Iterator[tuple[TextIO, TextIO]]:
    """The reading and the writing end."""
    reader, writer = os.pipe()
    with os.fdopen(reader, "r") as reading, os.fdopen(writer, "w") as writing:
        yield reading, writing


def test_lines_come_out_whole_and_in_order(tmp_path: Path) -> None:
    with (tmp_path / "log").open("w") as stream:
        sink = LogSink(stream, report)
        lines = [f"line {number} ü\n" for number in range(3000)]
        for line in lines:
            sink.write(line)
        assert sink.drain(10)
    assert (tmp_path / "log").read_text() == "".join(lines)


@pytest.mark.parametrize("blocking", [True, False])
def test_a_pipe_that_nobody_reads_holds_up_nobody(pipe: tuple[TextIO, TextIO], blocking: bool) -> None:
    reading, writing = pipe
    os.set_blocking(writing.fileno(), blocking)
    sink, before = LogSink(writing, report, lines=1000), dropped()
    for number in range(20_000):
        sink.write(f"a line of a call, number {number}\n")
    assert not sink.drain(0.01), "the pipe is full"
    lost = dropped() - before
    assert lost > 0

    said: list[str] = []

    def read() -> None:
        said.extend(iter(reading.readline, "last\n"))

    reader = threading.Thread(target=read)
    reader.start()
    assert sink.drain(10)
    sink.write("last\n")
    reader.join(10)
    lines = [line for line in said if line.startswith("a line")]
    assert len(lines) + lost == 20_000
    reports = [line.split() for line in said if not line.startswith("a line")]
    assert {word for word, _ in reports} == {"dropped"}
    assert sum(int(number) for _, number in reports) == lost
    assert lines == sorted(lines, key=lambda line: int(line.split()[-1]))


def test_a_full_disk_costs_lines_until_there_is_room_and_then_one_line_says_how_many(tmp_path: Path) -> None:
    with Path("/dev/full").open("w") as stream, (tmp_path / "log").open("w") as room:
        sink, before = LogSink(stream, report), dropped()
        for _ in range(3):
            sink.write("lost\n")
            assert sink.drain(10)
        assert dropped() - before == 3
        os.dup2(room.fileno(), stream.fileno())
        sink.write("first\n")
        sink.write("second\n")
        assert sink.drain(10)
    assert (tmp_path / "log").read_text() == "dropped 3\nfirst\nsecond\n"
    assert dropped() - before == 3


def test_a_line_that_was_cut_off_does_not_spoil_the_next(pipe: tuple[TextIO, TextIO], tmp_path: Path) -> None:
    reading, writing = pipe
    sink, before = LogSink(writing, report), dropped()
    sink.write(f"{'x' * 200_000}\n")  # more than a pipe holds
    start = reading.read(70_000)
    with (tmp_path / "log").open("w") as room:
        reading.close()  # while the rest of the line is being written
        assert sink.drain(10)
        os.dup2(room.fileno(), writing.fileno())
        sink.write("whole\n")
        assert sink.drain(10)
    assert set(start) == {"x"}
    assert dropped() - before == 1
    assert (tmp_path / "log").read_text() == "\ndropped 1\nwhole\n"


def test_what_is_no_text_is_refused_as_by_other_streams_and_ends_nothing() -> None:
    """click tries whether a stream takes bytes."""
    stream = io.StringIO()
    sink = LogSink(stream, report)
    for wrong in (b"", None):
        with pytest.raises(TypeError, match="str"):
            sink.write(wrong)  # type: ignore[arg-type]
    sink.write("kept\n")
    assert sink.drain(10)
    assert stream.getvalue() == "kept\n"


def test_it_is_a_terminal_if_the_stream_is_one_and_has_its_descriptor(tmp_path: Path) -> None:
    """Progress bars ask the first; whoever starts a process with it, the second."""
    master, slave = pty.openpty()
    with os.fdopen(master), os.fdopen(slave, "w") as terminal, (tmp_path / "log").open("w") as file:
        sink = LogSink(terminal, report)
        assert sink.isatty()
        assert sink.fileno() == terminal.fileno()
        sink.redirect(file, report)
        assert not sink.isatty()
        subprocess.run([sys.executable, "-c", "import sys; sys.stderr.write('said')"], stderr=sink, check=True)
        faulthandler.dump_traceback(sink)
    said = (tmp_path / "log").read_text()
    assert said.startswith("said")
    assert "most recent call first" in said
    for none in (None, io.StringIO()):
        sink.redirect(none, report)
        assert not sink.isatty()
        with pytest.raises(io.UnsupportedOperation):
            sink.fileno()
    sink.redirect(file, report)  # closed
    assert not sink.isatty()


def test_a_process_without_standard_error_counts_what_it_cannot_say() -> None:
    sink, before = LogSink(None, report), dropped()
    sink.write("lost\n")
    assert sink.drain(10)
    assert dropped() - before == 1


def test_streams_without_a_descriptor_are_written_to_and_may_be_closed() -> None:
    stream, before = io.StringIO(), dropped()
    sink = LogSink(stream, report)
    sink.write("kept\n")
    assert sink.drain(10)
    assert stream.getvalue() == "kept\n"
    stream.close()
    sink.write("lost\n")
    assert sink.drain(10)
    assert dropped() - before == 1
    sink.redirect(other := io.StringIO(), report)
    sink.write("found\n")
    assert sink.drain(10)
    assert other.getvalue() == "dropped 1\nfound\n"
