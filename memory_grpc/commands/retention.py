"""``memory-grpc retention``: one tenant's sweep, now."""

from __future__ import annotations

from collections.abc import Sequence

from memory_grpc.commands import output
from memory_grpc.commands.client import client
from memory_grpc.commands.configuration import Target
from memory_grpc.commands.failure import OK
from memory_layer.v1 import admin_service_pb2 as pb


def retention(tenant_id: str, actions: Sequence[str], target: Target, *, dry_run: bool, as_json: bool) -> int:
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
