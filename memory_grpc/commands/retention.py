"""``memory-grpc retention``: one tenant's sweep, now, tried, or undone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from memory_grpc.commands import output
from memory_grpc.commands.client import client
from memory_grpc.commands.configuration import Target
from memory_grpc.commands.failure import OK
from memory_layer.v1 import admin_service_pb2 as pb
from memory_layer.v1 import policy_pb2, retention_pb2

_BAR = 40


@dataclass(slots=True)
class _Counts:
    archived: int = 0
    deleted: int = 0
    kept: int = 0

    def add(self, month: retention_pb2.SimulatedMonth) -> None:
        self.archived += month.archived
        self.deleted += month.deleted
        self.kept += month.kept

    @property
    def all(self) -> int:
        return self.archived + self.deleted + self.kept


def run(tenant_id: str, actions: Sequence[str], target: Target, *, dry_run: bool, as_json: bool) -> int:
    """Runs the sweep and prints its counts."""
    with client(target) as service:
        request = pb.RunRetentionRequest(tenant_id=tenant_id, actions=actions, dry_run=dry_run)
        counts = service.admin("RunRetention", request)
    if as_json:
        output.write_json(output.as_dict(counts))
    else:
        would = "would be " if counts.dry_run else ""
        print(f"{tenant_id}: {counts.archived:,} {would}archived, {counts.deleted:,} {would}deleted.")
    return OK


def simulate(
    tenant_id: str,
    limits: Mapping[str, float],
    as_of: datetime | None,
    sample_size: int | None,
    target: Target,
    *,
    as_json: bool,
) -> int:
    """Prints what a sweep would do by some limits, month by month."""
    request = retention_pb2.SimulateRetentionRequest(
        tenant_id=tenant_id,
        retention=policy_pb2.RetentionPolicy(**limits),
        as_of=output.timestamp(as_of),
        sample_size=sample_size,
    )
    with client(target) as service:
        found = service.admin("SimulateRetention", request)
    if as_json:
        output.write_json(output.as_dict(found))
        return OK
    tried = ", ".join(f"{field.name} {value:g}" for field, value in found.retention.ListFields())
    print(f"{tenant_id} at {output.moment(found.as_of)} by {tried}:")
    print(f"{found.archived:,} would be archived, {found.deleted:,} deleted, {found.kept:,} stay live.")
    if found.months:
        output.console().print(_table(found.months))
    for name, sample in (("archived", found.archived_sample), ("deleted", found.deleted_sample)):
        if sample:
            print(f"Some that would be {name}:")
        for one in sample:
            print(f"  {output.moment(one.created_at)}  {one.role}: {output.shortened(one.content, 80)}")
    return OK


def restore(tenant_id: str, what: Mapping[str, Any], target: Target, *, dry_run: bool, as_json: bool) -> int:
    """Takes messages back from the archive and prints how many, and how many go again."""
    fields = {**what, "archived_since": output.timestamp(what.get("archived_since"))}
    request = retention_pb2.RestoreArchivedRequest(tenant_id=tenant_id, dry_run=dry_run, **fields)
    with client(target) as service:
        counts = service.admin("RestoreArchived", request)
    if as_json:
        output.write_json(output.as_dict(counts))
        return OK
    would = "would be " if counts.dry_run else ""
    print(f"{tenant_id}: {counts.restored:,} {would}restored.")
    if counts.would_archive_again:
        print(
            f"The next sweep archives {counts.would_archive_again:,} of them again: change the policy "
            f"(`memory-grpc policy set --tenant {tenant_id}`), or pin them."
        )
    return OK


def _table(months: Sequence[retention_pb2.SimulatedMonth]) -> Any:
    """A row a month, with a bar of what would be archived, be deleted and stay; then a row a role."""
    from rich.table import Table

    by_month: dict[str, _Counts] = {}
    by_role: dict[str, _Counts] = {}
    for one in months:
        by_month.setdefault(one.month, _Counts()).add(one)
        by_role.setdefault(one.role, _Counts()).add(one)
    most = max(counts.all for counts in by_month.values())
    table = Table(caption="█ archived  ▒ deleted  ─ stays live", caption_justify="left")
    table.add_column("month", no_wrap=True)
    for name in ("archived", "deleted", "stay live"):
        table.add_column(name, justify="right")
    table.add_column("messages", no_wrap=True)
    for month, counts in by_month.items():
        table.add_row(month, *_cells(counts), _bar(counts, most))
    table.add_section()
    for role, counts in sorted(by_role.items()):
        table.add_row(role, *_cells(counts))
    return table


def _cells(counts: _Counts) -> tuple[str, str, str]:
    return f"{counts.archived:,}", f"{counts.deleted:,}", f"{counts.kept:,}"


def _bar(counts: _Counts, most: int) -> str:
    """Of what there is of a thing there is a sign at least."""
    parts = (("█", counts.archived), ("▒", counts.deleted), ("─", counts.kept))
    return "".join(sign * max(1, round(_BAR * count / most)) for sign, count in parts if count)
