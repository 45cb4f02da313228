"""The body of ``memory-grpc import``."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from memory_grpc.commands import client, output
from memory_grpc.commands.configuration import Target
from memory_grpc.commands.failure import FAILED, INTERRUPTED, OK, CommandError, complain
from memory_grpc.commands.importing.detect import Format, open_source
from memory_grpc.commands.importing.progress_file import ProgressFile
from memory_grpc.commands.importing.report import Report
from memory_grpc.commands.importing.run import Import, Options
from memory_grpc.commands.importing.sender import Counts
from memory_layer.v1 import admin_service_pb2

# A file may hold thousands of tenants; this many are looked at for the hint on retention.
_HINTED_TENANTS = 10


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
    _sum_up(work, report, start.number if start else 0, as_json=as_json)
    if not work.stopped:
        _hint_at_retention(work.oldest, target)
        return OK
    complain(
        "Stopped at the first invalid item; everything before it is stored. Go on past such items with --skip-invalid."
    )
    return FAILED


def _sum_up(work: Import, report: Report, skipped: int, *, as_json: bool) -> None:
    figures = {
        "stored": work.counts.stored,
        "repeated": work.counts.repeated,
        "skipped": skipped,
        "empty": work.empty,
        "invalid": work.counts.invalid,
        "seconds": round(report.seconds, 2),
        "messages_per_second": round(report.rate, 1),
    }
    if as_json:
        output.write_json(figures)
        return
    meanings = {
        "repeated": "the service had them already",
        "skipped": "lines or turns done by an earlier run",
        "empty": "without text",
        "invalid": "not sent",
    }
    parts = [f"{figures['stored']:,} stored"]
    parts += [f"{figures[name]:,} {name} ({meaning})" for name, meaning in meanings.items() if figures[name]]
    print(f"{', '.join(parts)}; {figures['seconds']:.1f} s, {figures['messages_per_second']:,.0f} messages/s.")
    sys.stdout.flush()


def _hint_at_retention(oldest: dict[str, datetime], target: Target) -> None:
    """Old messages are archived by the next sweep: who imports history should hear of it before it is gone."""
    if not oldest:
        return
    doomed = []
    with client.client(target) as service:
        for tenant_id, time in list(oldest.items())[:_HINTED_TENANTS]:
            try:
                policy = service.admin("GetTenantPolicy", admin_service_pb2.GetTenantPolicyRequest(tenant_id=tenant_id))
            except Exception:  # a hint is not worth a failure
                return
            if time < datetime.now(UTC) - timedelta(days=policy.retention.max_age_days):
                doomed.append((tenant_id, policy.retention.max_age_days))
    if doomed:
        tenants = ", ".join(tenant_id for tenant_id, _ in doomed)
        complain(
            f"Note: messages of {tenants} are older than the retention policy allows ({doomed[0][1]:g} days): the next "
            "sweep archives them, and search no longer finds them. To keep them: memory-grpc policy set "
            f"{doomed[0][0]} --max-age-days 36500 --importance-threshold 0"
        )
