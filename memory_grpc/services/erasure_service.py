"""memory_layer.v1.ErasureService."""

from __future__ import annotations

from typing import Any, TypeAlias
from uuid import UUID

import grpc

from memory_grpc import access
from memory_grpc.operations.models.registry import Slot
from memory_grpc.services import convert, convert_erasure
from memory_layer.v1 import erasure_service_pb2 as pb
from memory_layer.v1 import erasure_service_pb2_grpc as pb_grpc

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"

DEFAULT_SAMPLE = 10


class ErasureService(pb_grpc.ErasureServiceServicer):
    """Each method: request to values, one operation, values to response."""

    def __init__(self, slot: Slot) -> None:
        self._slot = slot

    async def PlanErasure(self, request: pb.PlanErasureRequest, context: Context) -> pb.PlanErasureResponse:
        """Says what would be erased, and keeps it for an hour."""
        scope, where = convert_erasure.scope_and_where(request)
        size = convert.optional(request, "sample_size", DEFAULT_SAMPLE)
        by = convert_erasure.key_of(access.current())
        return convert_erasure.plan(
            await self._slot.operations.erasures.plan(request.tenant_id, scope, where, by, size)
        )

    async def ApplyErasure(self, request: pb.ApplyErasureRequest, context: Context) -> pb.Erasure:
        """Has a plan begin."""
        by = convert_erasure.key_of(access.current())
        id_ = UUID(request.erasure_id)
        return convert_erasure.erasure(await self._slot.operations.erasures.apply(request.tenant_id, id_, by))

    async def GetErasure(self, request: pb.GetErasureRequest, context: Context) -> pb.Erasure:
        """Says how far an erasure is."""
        id_ = UUID(request.erasure_id)
        return convert_erasure.erasure(await self._slot.operations.erasures.get(request.tenant_id, id_))

    async def GetErasureReceipt(self, request: pb.GetErasureReceiptRequest, context: Context) -> pb.ErasureReceipt:
        """Says what was erased, when and by whom."""
        id_ = UUID(request.erasure_id)
        return convert_erasure.receipt(await self._slot.operations.erasures.receipt(request.tenant_id, id_))

    async def VerifyErasure(self, request: pb.VerifyErasureRequest, context: Context) -> pb.VerifyErasureResponse:
        """Looks for what was erased."""
        id_ = UUID(request.erasure_id)
        return convert_erasure.verified(*await self._slot.operations.erasures.verify(request.tenant_id, id_))
