"""The body of ``memory-grpc import``."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass, field
from pathlib import Path

from memory_grpc.commands import output
from memory_grpc.commands.configuration import Target
from memory_grpc.commands.failure import FAILED, INTERRUPTED, OK, CommandError, complain
from memory_grpc.commands.importing import waiting
from memory_grpc.commands.importing.detect import CHECKED_FIRST, TITLES, Format, open_source, progress_name
from memory_grpc.commands.importing.progress_file import Progress, ProgressFile
from memory_grpc.commands.importing.records import Source
from memory_grpc.commands.importing.report import Report, said_of
from memory_grpc.commands.importing.retention_hint import hint_at_retention
from memory_grpc.commands.importing.run import Import, Options
from memory_grpc.commands.importing.sender import Counts
from memory_grpc.commands.importing.survey import Survey, survey
from memory_grpc.commands.importing.turns import Reading


@dataclass(frozen=True, slots=True)
class Files:
    """What to read and where to keep the progress (None: the user's state directory)."""

    path: Path
    format: Format = Format.AUTO
    reading: Reading = field(default_factory=Reading)
    progress: Path | None = None
    restart: bool = False


def try_file(files: Files, *, as_json: bool = False) -> int:
    """Says what an import would make of a file, and shows five of its messages; returns the exit code."""
    source, kind = open_source(files.path, files.format, files.reading)
    found = survey(source)
    if as_json:
        output.write_json({"format": kind, **found.as_dict()})
    else:
        print(found.sentence(files.path, TITLES[kind]))
        for record in found.examples:
            assert record.request is not None, "only messages are examples"
            request = record.request
            time = record.created_at
            said = [f"{time:%Y-%m-%d %H:%M:%SZ}" if time else "", request.conversation_id, request.name or request.role]
            print(f"  {' · '.join(part for part in said if part)}: {output.shortened(request.content, 80)}")
    _complain_of(found)
    return FAILED if found.invalid else OK


def import_file(files: Files, target: Target, options: Options, *, as_json: bool = False) -> int:
    """Imports a file, shows how it goes, and sums it up; returns the exit code."""
    source, kind = open_source(files.path, files.format, files.reading)
    if kind in CHECKED_FIRST:
        _look_through(source, files.path, kind, skip_invalid=options.skip_invalid)
    name = progress_name(kind, files.reading)
    file = ProgressFile(files.progress) if files.progress else ProgressFile.of(files.path, target.address, name)
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
        complain("Interrupted. What was acknowledged is stored: the same command goes on from there.")
        return INTERRUPTED
    except CommandError as error:
        kept = " What was acknowledged is stored: the same command goes on from there." if report.messages else ""
        raise CommandError(f"{error}{kept}", error.exit_code) from None
    _sum_up(work, report, start, target, as_json=as_json)
    if not work.stopped:
        hint_at_retention(work.oldest, work.least_important, target)
        return OK
    complain(
        "Stopped at the first invalid item; everything before it is stored. Go on past such items with --skip-invalid."
    )
    return FAILED


def _look_through(source: Source, path: Path, kind: Format, *, skip_invalid: bool) -> None:
    """Reads all of a file, so that one that is wrong somewhere is not stored in half. Raises CommandError."""
    found = survey(source)
    complain(found.sentence(path, TITLES[kind]))
    if found.invalid and not skip_invalid:
        _complain_of(found)
        raise CommandError("Nothing was stored. Leave out what is invalid with --skip-invalid.")


def _complain_of(found: Survey) -> None:
    for record in found.faulty:
        complain(said_of(record, record.faults))
    if found.invalid > len(found.faulty):
        complain(f"… and {found.invalid - len(found.faulty):,} more.")


def _sum_up(work: Import, report: Report, start: Progress | None, target: Target, *, as_json: bool) -> None:
    seconds, rate = report.seconds, report.rate  # before what follows takes its time
    figures = {
        "stored": work.counts.stored,
        "repeated": work.counts.repeated,
        "skipped": start.number if start else 0,
        "empty": work.empty,
        "left_out": dict(sorted(work.left_out.items())),
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
    parts += [f"{count:,} {name} (left out)" for name, count in sorted(work.left_out.items())]
    print(f"{', '.join(parts)}; {seconds:.1f} s, {rate:,.0f} messages/s.")
    sys.stdout.flush()
