"""``memory-grpc stats``: what is stored of a tenant."""

from __future__ import annotations

from memory_grpc.commands import output
from memory_grpc.commands.client import client
from memory_grpc.commands.configuration import Target
from memory_grpc.commands.failure import OK
from memory_layer.v1 import statistics_pb2 as pb

_COUNTS = ("live", "archived", "pending", "failed", "pinned", "revisions", "users", "conversations", "duplicates")


def statistics(tenant_id: str, target: Target, *, as_json: bool) -> int:
    """Prints the statistics of a tenant."""
    with client(target) as service:
        found = service.admin("GetStatistics", pb.GetStatisticsRequest(tenant_id=tenant_id))
    if as_json:
        output.write_json(output.as_dict(found))
        return OK
    rows = [(name, f"{getattr(found, name):,}") for name in _COUNTS]
    rows += [
        ("bytes on disk", f"about {found.estimated_bytes:,}"),
        ("oldest message", output.moment(found.oldest_message_at)),
        ("newest message", output.moment(found.newest_message_at)),
        ("last sweep", f"{found.last_sweep_status} {output.moment(found.last_sweep_at)}".strip()),
    ]
    output.console().print(output.pairs(output.shortened(tenant_id, 64), rows))
    return OK
