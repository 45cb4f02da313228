"""memory_layer.v1.AdminService."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypeAlias

import grpc

from memory_grpc import __version__
from memory_grpc.errors import InvalidInput
from memory_grpc.operations.health import HealthReport
from memory_grpc.operations.models.registry import Slot
from memory_grpc.services import convert, convert_retention, convert_statistics
from memory_grpc.settings import Settings
from memory_layer.v1 import admin_service_pb2 as pb
from memory_layer.v1 import admin_service_pb2_grpc as pb_grpc
from memory_layer.v1 import retention_pb2, statistics_pb2

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"

DEFAULT_SAMPLE = 5
# The most that an age can be: a hundred years.
NEVER_DAYS = 36500


class AdminService(pb_grpc.AdminServiceServicer):
    """Each method: request to values, one operation, values to response."""

    def __init__(self, slot: Slot, settings: Settings, uptime_seconds: Callable[[], float]) -> None:
        self._slot = slot
        self._settings = settings
        self._uptime_seconds = uptime_seconds

    async def RunRetention(self, request: pb.RunRetentionRequest, context: Context) -> pb.RunRetentionResponse:
        """Sweeps one tenant."""
        if len(set(request.actions)) != len(request.actions):
            raise InvalidInput.of("actions", "must not repeat an action")
        counts = await self._slot.operations.retain(request.tenant_id, request.actions, dry_run=request.dry_run)
        return pb.RunRetentionResponse(archived=counts.archived, deleted=counts.deleted, dry_run=request.dry_run)

    async def SimulateRetention(
        self, request: retention_pb2.SimulateRetentionRequest, context: Context
    ) -> retention_pb2.SimulateRetentionResponse:
        """Tries a policy."""
        return convert_retention.simulated(
            await self._slot.operations.simulate(
                request.tenant_id,
                convert_retention.limits(request),
                convert.moment(request, "as_of"),
                convert.optional(request, "sample_size", DEFAULT_SAMPLE),
            )
        )

    async def RestoreArchived(
        self, request: retention_pb2.RestoreArchivedRequest, context: Context
    ) -> retention_pb2.RestoreArchivedResponse:
        """Takes messages back from the archive."""
        counts = await self._slot.operations.restore(
            request.tenant_id,
            convert_retention.where(request),
            convert.moment(request, "archived_since"),
            dry_run=request.dry_run,
        )
        return retention_pb2.RestoreArchivedResponse(
            restored=counts.restored, would_archive_again=counts.would_archive_again, dry_run=request.dry_run
        )

    async def GetStatistics(
        self, request: statistics_pb2.GetStatisticsRequest, context: Context
    ) -> statistics_pb2.TenantStatistics:
        """Says what is stored."""
        found, sweep = await self._slot.operations.statistics(request.tenant_id)
        return convert_statistics.statistics(request.tenant_id, found, sweep)

    async def GetHealth(self, request: pb.GetHealthRequest, context: Context) -> pb.GetHealthResponse:
        """Says whether the service works."""
        report = await self._slot.operations.health()
        up = report.latency_ms is not None
        return pb.GetHealthResponse(
            status="ok" if report.writable else "degraded",
            database="ok" if report.writable else "read_only" if up else "down",
            timestamp=convert.timestamp(datetime.now(UTC)),
            latency_ms=round(report.latency_ms or 0.0, 3),
            uptime_seconds=int(self._uptime_seconds()),
            environment=self._settings.environment,
            version=__version__,
            retention=self._retention_status(report),
        )

    def _retention_status(self, report: HealthReport) -> pb.RetentionStatus:
        schedule, days = self._settings.retention_schedule_seconds, self._settings.retention_delete_after_days
        status = pb.RetentionStatus(
            schedule_seconds=schedule, deletes_archives=schedule > 0 and days < NEVER_DAYS, delete_after_days=days
        )
        if report.last_run is not None:
            status.last_status = report.last_run.status
            status.last_run_at.CopyFrom(convert.timestamp(report.last_run.started_at))
            status.archived = report.last_run.archived
            status.deleted = report.last_run.deleted
            status.failed = report.last_run.failed
        else:
            status.last_status = "unknown" if report.latency_ms is None else "never"
        return status
