"""``memory-grpc forget``: plans an erasure, asks, has it applied, follows it, and verifies it."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from memory_grpc.commands import output
from memory_grpc.commands.client import Client, client
from memory_grpc.commands.configuration import Target
from memory_grpc.commands.failure import FAILED, INTERRUPTED, OK, USAGE, CommandError, complain
from memory_layer.v1 import erasure_service_pb2 as pb

_POLL_SECONDS = 0.3


@dataclass(frozen=True, slots=True)
class How:
    """For how long a service that is down is waited for, whether to ask first, and what to print."""

    patience_seconds: float
    ask: bool
    as_json: bool


def forget(tenant_id: str, what: Mapping[str, Any], target: Target, how: How, *, plan_only: bool) -> int:
    """The whole way, or its first step; returns the exit code."""
    if not plan_only:
        _somebody_to_ask(how)
    with client(target) as service:
        planned = service.erasure("PlanErasure", pb.PlanErasureRequest(tenant_id=tenant_id, **what))
        if not how.as_json:
            _say_planned(planned)
        if plan_only:
            if how.as_json:
                output.write_json(output.as_dict(planned))
            else:
                follow = f"memory-grpc forget --tenant {tenant_id} --apply {planned.erasure.erasure_id}"
                print(f"Apply within the hour: {follow}")
            return OK
        _confirm(planned.erasure, how)
        return _applied(service, planned.erasure, how)


def apply(tenant_id: str, erasure_id: UUID, target: Target, how: How) -> int:
    """Applies a plan, or follows what was applied; verifies it at the end."""
    with client(target) as service:
        request = pb.GetErasureRequest(tenant_id=tenant_id, erasure_id=str(erasure_id))
        found = service.erasure("GetErasure", request)
        if found.state == "planned":
            _confirm(found, how)
        return _applied(service, found, how)


def verify(tenant_id: str, erasure_id: UUID, target: Target, how: How) -> int:
    """Looks for what was erased; FAILED when there is anything."""
    with client(target) as service:
        request = pb.VerifyErasureRequest(tenant_id=tenant_id, erasure_id=str(erasure_id))
        return _verified(service.erasure("VerifyErasure", request), how)


def receipt(tenant_id: str, erasure_id: UUID, target: Target, how: How) -> int:
    """Prints the receipt."""
    with client(target) as service:
        request = pb.GetErasureReceiptRequest(tenant_id=tenant_id, erasure_id=str(erasure_id))
        found = service.erasure("GetErasureReceipt", request)
    if how.as_json:
        output.write_json(output.as_dict(found))
        return OK
    work = found.erasure
    rows = [
        ("scope", work.scope),
        ("erased", f"{work.erased:,} of {work.planned:,} planned"),
        *((row.table, output.counted(row.rows, "row")) for row in work.erased_rows),
        ("planned", f"{output.moment(work.planned_at)} by key {found.planned_by}"),
        ("applied", f"{output.moment(work.applied_at)} by key {found.applied_by}"),
        ("done", output.moment(work.finished_at)),
        ("digest of the ids", found.ids_digest),
        ("kept", "; ".join(found.kept)),
    ]
    output.console().print(output.pairs(f"Erasure {work.erasure_id} in {work.tenant_id}", rows))
    return OK


def _applied(service: Client, planned: pb.Erasure, how: How) -> int:
    one = {"tenant_id": planned.tenant_id, "erasure_id": planned.erasure_id}
    patient = service.patient(how.patience_seconds)
    work = patient.erasure("ApplyErasure", pb.ApplyErasureRequest(**one))
    try:
        work = _follow(patient, work)
    except KeyboardInterrupt:
        complain(
            "Interrupted. The erasure goes on in the background: "
            f"`memory-grpc forget --tenant {work.tenant_id} --apply {work.erasure_id}` follows it."
        )
        return INTERRUPTED
    if not how.as_json:
        print(f"{work.erased:,} of {output.counted(work.planned, 'message')} erased; erasure {work.erasure_id}.")
    return _verified(patient.erasure("VerifyErasure", pb.VerifyErasureRequest(**one)), how, work)


def _somebody_to_ask(how: How) -> None:
    if how.ask and not sys.stdin.isatty():
        raise CommandError("Nothing was erased: there is nobody to ask. Give --yes.", USAGE)


def _confirm(planned: pb.Erasure, how: How) -> None:
    """Returns when it may be done. Raises CommandError when not."""
    if not how.ask:
        return
    _somebody_to_ask(how)
    print(
        f"Erase {output.counted(planned.planned, 'message')} of {planned.tenant_id} for good? [y/N] ",
        end="",
        flush=True,
    )
    with suppress(UnicodeDecodeError):  # no yes in any encoding
        if sys.stdin.readline().strip().lower() in ("y", "yes"):
            return
    raise CommandError("Nothing was erased.")


def _follow(service: Client, work: pb.Erasure) -> pb.Erasure:
    """Shows the progress on a terminal; returns when everything is done."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = output.error_console()
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task("erasing", total=work.planned)
        told = ""
        while work.state != "done":
            time.sleep(_POLL_SECONDS)
            request = pb.GetErasureRequest(tenant_id=work.tenant_id, erasure_id=work.erasure_id)
            work = service.erasure("GetErasure", request)
            bar.update(task, completed=work.erased, description=work.state)
            if work.last_error != told:
                told = work.last_error
                complain(f"The work is held up ({told}); it is tried again." if told else "The work goes on.")
    return work


def _say_planned(planned: pb.PlanErasureResponse) -> None:
    work = planned.erasure
    print(f"{output.counted(work.planned, 'message')} of {work.tenant_id}; plan {work.erasure_id}.")
    rows = [(row.table, output.counted(row.rows, "row")) for row in work.planned_rows]
    output.console().print(output.pairs("What would be erased", rows))
    for one in planned.sample:
        print(f"  {output.moment(one.created_at)}  {one.role}: {output.shortened(one.content, 80)}")


def _verified(found: pb.VerifyErasureResponse, how: How, work: pb.Erasure | None = None) -> int:
    if how.as_json:
        shown = output.as_dict(found)
        output.write_json(shown if work is None else {"erasure": output.as_dict(work), "verification": shown})
    else:
        rows = [(check.place, f"{check.found:,} found ({check.how})") for check in found.checks]
        output.console().print(output.pairs("Verified" if found.clean else "NOT CLEAN", rows))
        for limit in found.unreachable:
            print(f"Out of reach: {limit.place}; {limit.advice}.")
    if not found.clean:
        complain("Something of what was erased is still there, or not cleaned up yet.")
    return OK if found.clean else FAILED
