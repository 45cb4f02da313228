"""Statistics of a tenant: domain values to protobuf."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any

from memory_grpc.domain.retention import RetentionRun
from memory_grpc.domain.statistics import TenantStatistics
from memory_grpc.services import convert
from memory_layer.v1 import statistics_pb2 as pb


def statistics(tenant_id: str, found: TenantStatistics, sweep: RetentionRun | None) -> pb.TenantStatistics:
    """What is told of a tenant."""
    values: dict[str, Any] = {
        name: convert.timestamp(value) if isinstance(value, datetime) else value
        for name, value in asdict(found).items()
        if value is not None
    }
    return pb.TenantStatistics(
        tenant_id=tenant_id,
        last_sweep_at=convert.timestamp(sweep.started_at) if sweep else None,
        last_sweep_status=sweep.status if sweep else "never",
        **values,
    )
