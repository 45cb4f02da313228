"""memory_layer.v1.PolicyService."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, TypeAlias

import grpc

from memory_grpc import access
from memory_grpc.domain.policy import Policy
from memory_grpc.operations.models.registry import Slot
from memory_grpc.services import convert
from memory_grpc.services.convert_language import language
from memory_grpc.services.convert_time_zone import time_zone
from memory_layer.v1 import policy_pb2
from memory_layer.v1 import policy_service_pb2 as pb
from memory_layer.v1 import policy_service_pb2_grpc as pb_grpc

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"

_SECTIONS = ("retention", "importance_weights", "score_weights", "hybrid_weights")


class PolicyService(pb_grpc.PolicyServiceServicer):
    """Each method: request to values, one operation, values to response."""

    def __init__(self, slot: Slot) -> None:
        self._slot = slot

    async def GetTenantPolicy(self, request: pb.GetTenantPolicyRequest, context: Context) -> policy_pb2.TenantPolicy:
        """Returns what holds for a tenant."""
        return _tenant_policy(
            request.tenant_id, await self._slot.operations.policies.get(request.tenant_id, fresh=True)
        )

    async def SetTenantPolicy(self, request: pb.SetTenantPolicyRequest, context: Context) -> policy_pb2.TenantPolicy:
        """Replaces the tenant's own values."""
        values: dict[str, float | str] = {
            f"{section}.{field.name}": value
            for section in _SECTIONS
            for field, value in getattr(request, section).ListFields()
        }
        if request.HasField("ranking"):
            values["ranking"] = request.ranking
        if zone := time_zone(request):
            values["time_zone"] = zone.key
        if tag := language(request):
            values["language"] = tag
        quota: dict[str, float | str] = {f"quota.{field.name}": value for field, value in request.quota.ListFields()}
        policy = await self._slot.operations.policies.set(
            request.tenant_id,
            values,
            quota if request.HasField("quota") else None,
            # Who administers a tenant is not who says how much it may store.
            may_change_quota=access.current().tenants is None,
        )
        return _tenant_policy(request.tenant_id, policy)


def _tenant_policy(tenant_id: str, policy: Policy) -> policy_pb2.TenantPolicy:
    result = policy_pb2.TenantPolicy(
        tenant_id=tenant_id,
        retention=policy_pb2.RetentionPolicy(**asdict(policy.retention)),
        importance_weights=policy_pb2.ImportanceWeights(**asdict(policy.importance)),
        score_weights=policy_pb2.ScoreWeights(**asdict(policy.score)),
        hybrid_weights=policy_pb2.HybridWeights(
            recipe=policy.recipe,
            lexical=policy.hybrid.lexical,
            near=policy.hybrid.near,
            after=policy.hybrid.after,
            conversation=policy.hybrid.conversation,
            coverage=policy.hybrid.coverage,
            date=policy.hybrid.date,
            speaker=policy.hybrid.speaker,
            asks_when=policy.hybrid.asks_when,
            first_person=policy.hybrid.first_person,
            question=policy.hybrid.question,
            assistant=policy.hybrid.assistant,
            rerank=policy.hybrid.rerank,
            previous=policy.hybrid.previous,
            names_to_i=policy.hybrid.names_to_i,
        ),
        ranking=policy.ranking,
        time_zone=policy.time_zone,
        language=policy.language,
        quota=policy_pb2.StorageQuota(**asdict(policy.quota)),
        overrides=policy.overrides,
    )
    if policy.updated_at is not None:
        result.updated_at.CopyFrom(convert.timestamp(policy.updated_at))
    return result
