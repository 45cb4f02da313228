"""memory_layer.v1.AdminService."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any, TypeAlias
from uuid import UUID

import grpc
from google.protobuf.message import Message

from memory_grpc import __version__, access
from memory_grpc.domain import Policy
from memory_grpc.errors import FieldViolation, InvalidInput
from memory_grpc.operations.health import HealthReport
from memory_grpc.operations.registry import Slot
from memory_grpc.services import convert, convert_keys
from memory_grpc.services.reembedding import ReembeddingCalls
from memory_grpc.settings import Settings
from memory_layer.v1 import admin_service_pb2 as pb
from memory_layer.v1 import admin_service_pb2_grpc as pb_grpc
from memory_layer.v1 import api_key_pb2

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"

_SECTIONS = ("retention", "importance_weights", "score_weights", "hybrid_weights")


class AdminService(ReembeddingCalls, pb_grpc.AdminServiceServicer):
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

    async def RetryFailedEmbeddings(
        self, request: pb.RetryFailedEmbeddingsRequest, context: Context
    ) -> pb.RetryFailedEmbeddingsResponse:
        """Queues failed messages again."""
        return pb.RetryFailedEmbeddingsResponse(queued=await self._slot.operations.retry_failed(request.tenant_id))

    async def ListGraphs(self, request: pb.ListGraphsRequest, context: Context) -> pb.ListGraphsResponse:
        """Lists the graphs of large tenants."""
        tenant_id = request.tenant_id if request.HasField("tenant_id") else None
        return pb.ListGraphsResponse(
            graphs=[
                pb.Graph(
                    tenant_id=graph.tenant_id,
                    state=graph.state,
                    messages=graph.messages,
                    megabytes=round(graph.bytes / 1e6, 3),
                    started_at=convert.timestamp(graph.started_at),
                    finished_at=convert.timestamp(graph.finished_at) if graph.finished_at else None,
                )
                for graph in await self._slot.operations.graphs.all(tenant_id)
            ]
        )

    async def GetHealth(self, request: pb.GetHealthRequest, context: Context) -> pb.GetHealthResponse:
        """Says whether the service works."""
        report = await self._slot.operations.health()
        up = report.latency_ms is not None
        return pb.GetHealthResponse(
            status="ok" if up else "degraded",
            database="ok" if up else "down",
            timestamp=convert.timestamp(datetime.now(UTC)),
            latency_ms=round(report.latency_ms or 0.0, 3),
            uptime_seconds=int(self._uptime_seconds()),
            environment=self._settings.environment,
            version=__version__,
            retention=self._retention_status(report),
        )

    def _retention_status(self, report: HealthReport) -> pb.RetentionStatus:
        status = pb.RetentionStatus(schedule_seconds=self._settings.retention_schedule_seconds)
        if report.last_run is not None:
            status.last_status = report.last_run.status
            status.last_run_at.CopyFrom(convert.timestamp(report.last_run.started_at))
            status.archived = report.last_run.archived
            status.deleted = report.last_run.deleted
        else:
            status.last_status = "unknown" if report.latency_ms is None else "never"
        return status

    async def GetTenantPolicy(self, request: pb.GetTenantPolicyRequest, context: Context) -> pb.TenantPolicy:
        """Returns what holds for a tenant."""
        return _tenant_policy(
            request.tenant_id, await self._slot.operations.policies.get(request.tenant_id, fresh=True)
        )

    async def SetTenantPolicy(self, request: pb.SetTenantPolicyRequest, context: Context) -> pb.TenantPolicy:
        """Replaces the tenant's own values."""
        values: dict[str, float | str] = {
            f"{section}.{field.name}": value
            for section in _SECTIONS
            for field, value in getattr(request, section).ListFields()
        }
        if request.HasField("ranking"):
            values["ranking"] = request.ranking
        _check_weights(request)
        return _tenant_policy(request.tenant_id, await self._slot.operations.policies.set(request.tenant_id, values))

    async def CreateApiKey(
        self, request: api_key_pb2.CreateApiKeyRequest, context: Context
    ) -> api_key_pb2.CreateApiKeyResponse:
        """Makes a key."""
        made, key = await self._slot.operations.keys.create(convert_keys.new_key(request), access.current())
        return api_key_pb2.CreateApiKeyResponse(key=key, api_key=convert_keys.api_key(made))

    async def ListApiKeys(
        self, request: api_key_pb2.ListApiKeysRequest, context: Context
    ) -> api_key_pb2.ListApiKeysResponse:
        """Lists keys."""
        size = convert.optional(request, "page_size", convert_keys.DEFAULT_PAGE_SIZE)
        found, token = await self._slot.operations.keys.page(size, request.page_token)
        return api_key_pb2.ListApiKeysResponse(api_keys=map(convert_keys.api_key, found), next_page_token=token)

    async def RevokeApiKey(self, request: api_key_pb2.RevokeApiKeyRequest, context: Context) -> api_key_pb2.ApiKey:
        """Revokes a key."""
        revoked = await self._slot.operations.keys.revoke(UUID(request.key_id), access.current())
        return convert_keys.api_key(revoked)


def _check_weights(request: pb.SetTenantPolicyRequest) -> None:
    """Weights that are all 0 rank nothing."""
    weights: Message = request.score_weights
    given = weights.ListFields()
    if len(given) == len(weights.DESCRIPTOR.fields) and not any(value for _, value in given):
        raise InvalidInput([FieldViolation("score_weights", "must not all be 0")])


def _tenant_policy(tenant_id: str, policy: Policy) -> pb.TenantPolicy:
    result = pb.TenantPolicy(
        tenant_id=tenant_id,
        retention=pb.RetentionPolicy(**asdict(policy.retention)),
        importance_weights=pb.ImportanceWeights(**asdict(policy.importance)),
        score_weights=pb.ScoreWeights(**asdict(policy.score)),
        hybrid_weights=pb.HybridWeights(
            lexical=policy.hybrid.lexical,
            conversation=policy.hybrid.conversation,
            date=policy.hybrid.date,
            speaker=policy.hybrid.speaker,
            previous=policy.hybrid.previous,
            names_to_i=policy.hybrid.names_to_i,
        ),
        ranking=policy.ranking,
        overrides=policy.overrides,
    )
    if policy.updated_at is not None:
        result.updated_at.CopyFrom(convert.timestamp(policy.updated_at))
    return result
