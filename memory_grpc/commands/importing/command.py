"""The body of ``memory-grpc import``."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass
from pathlib import Path

from memory_grpc.commands import output
from memory_grpc.commands.configuration import Target
from memory_grpc.commands.failure import FAILED, INTERRUPTED, OK, CommandError, complain
from memory_grpc.commands.importing import waiting
from memory_grpc.commands.importing.detect import Format, open_source
from memory_grpc.commands.importing.progress_file import Progress, ProgressFile
from memory_grpc.commands.importing.report import Report
from memory_grpc.commands.importing.retention_hint import hint_at_retention
from memory_grpc.commands.importing.run import Import, Options
from memory_grpc.commands.importing.sender import Counts


@dataclass(frozen=True, slots=True)
class Files:
    """What to read and where to keep the progress (None: the user's state directory)."""

    path: Path
    format: Format = Format.AUTO
    progress: Path | None = None
    restart: bool = False


def import_file(files: Files, target: Target, options: Options, *, as_json: bool = False) -> int:
    """Imports a file, shows how it goes, and sums it up; returns the exit code."""
    source, kind = open_source(files.path, files.format)
    file = ProgressFile(files.progress) if files.progress else ProgressFile.of(files.path, target.address, kind)
    if files.restart:
        file.forget()
    start = file.load()
    counts = Counts()
    report = Report(files.path.name, source.total, counts)
    work = Import(source, start, file, target, options, report, counts)
    try:
        with report:
            asyncio.run(work.run())
    except KeyboardInterrupt:
        complain("Interrupted. What was acknowledged is written down: the same command goes on from there.")
        return INTERRUPTED
    except CommandError as error:
        kept = " What was acknowledged is written down: the same command goes on from there." if report.messages else ""
        raise CommandError(f"{error}{kept}", error.exit_code) from None
    _sum_up(work, report, start, target, as_json=as_json)
    if not work.stopped:
        hint_at_retention(work.oldest, work.least_important, target)
        return OK
    complain(
        "Stopped at the first invalid item; everything before it is stored. Go on past such items with --skip-invalid."
    )
    return FAILED


def _sum_up(work: Import, report: Report, start: Progress | None, target: Target, *, as_json: bool) -> None:
    seconds, rate = report.seconds, report.rate  # before what follows takes its time
    figures = {
        "stored": work.counts.stored,
        "repeated": work.counts.repeated,
        "skipped": start.number if start else 0,
        "empty": work.empty,
        "invalid": work.counts.invalid,
        "pending": waiting.count(work.pending, [start.tenant_id] if start else [], target),
        "seconds": round(seconds, 2),
        "messages_per_second": round(rate, 1),
    }
    if as_json:
        output.write_json(figures)
        return
    meanings = {
        "repeated": "the service had them already",
        "skipped": "lines or turns done by an earlier run",
        "empty": "without text",
        "invalid": "not sent",
        "pending": "without an embedding yet: search does not find them",
    }
    parts = [f"{figures['stored']:,} stored"]
    parts += [f"{figures[name]:,} {name} ({meaning})" for name, meaning in meanings.items() if figures[name]]
    print(f"{', '.join(parts)}; {seconds:.1f} s, {rate:,.0f} messages/s.")
    sys.stdout.flush()
