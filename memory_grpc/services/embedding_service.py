"""memory_layer.v1.EmbeddingService."""

from __future__ import annotations

from typing import Any, TypeAlias

import grpc

from memory_grpc.operations.models.registry import Slot
from memory_grpc.services import convert, convert_reembedding
from memory_layer.v1 import embedding_service_pb2 as pb
from memory_layer.v1 import embedding_service_pb2_grpc as pb_grpc
from memory_layer.v1 import reembedding_pb2

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"

DEFAULT_SAMPLE = 50


class EmbeddingService(pb_grpc.EmbeddingServiceServicer):
    """Each method: request to values, one operation, values to response."""

    def __init__(self, slot: Slot) -> None:
        self._slot = slot

    async def RetryFailedEmbeddings(
        self, request: pb.RetryFailedEmbeddingsRequest, context: Context
    ) -> pb.RetryFailedEmbeddingsResponse:
        """Queues failed messages again."""
        return pb.RetryFailedEmbeddingsResponse(queued=await self._slot.operations.retry_failed(request.tenant_id))

    async def StartReembedding(
        self, request: pb.StartReembeddingRequest, context: Context
    ) -> reembedding_pb2.Reembedding:
        """Opens one."""
        report = await self._slot.operations.reembeddings.start(
            convert.optional(request, "tenant_id", None),
            convert.optional(request, "model", "next"),
            keep_old=request.keep_old,
        )
        return convert_reembedding.reembedding(report)

    async def GetReembedding(self, request: pb.GetReembeddingRequest, context: Context) -> reembedding_pb2.Reembedding:
        """Shows one, or the newest."""
        id_ = convert.optional(request, "reembedding_id", None)
        return convert_reembedding.reembedding(await self._slot.operations.reembeddings.get(id_))

    async def CompareReembedding(
        self, request: pb.CompareReembeddingRequest, context: Context
    ) -> reembedding_pb2.ReembeddingComparison:
        """Ranks some queries twice."""
        sample = convert.optional(request, "sample", DEFAULT_SAMPLE)
        found = await self._slot.operations.compare(request.reembedding_id, sample, list(request.queries))
        return convert_reembedding.comparison(found, details=request.details)

    async def CutOverReembedding(
        self, request: pb.CutOverReembeddingRequest, context: Context
    ) -> reembedding_pb2.Reembedding:
        """Puts the new vectors to use."""
        report = await self._slot.operations.reembeddings.cut_over(request.reembedding_id)
        return convert_reembedding.reembedding(report)

    async def CancelReembedding(
        self, request: pb.CancelReembeddingRequest, context: Context
    ) -> reembedding_pb2.Reembedding:
        """Ends one."""
        report = await self._slot.operations.reembeddings.cancel(request.reembedding_id)
        return convert_reembedding.reembedding(report)
