"""memory_layer.v1.TransferService."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, TypeAlias
from uuid import UUID

import grpc

from memory_grpc import filtering
from memory_grpc.offload import by_size
from memory_grpc.operations.models.registry import Slot
from memory_grpc.services import convert, convert_transfer, transfer_records
from memory_layer.v1 import transfer_service_pb2 as pb
from memory_layer.v1 import transfer_service_pb2_grpc as pb_grpc

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"


class TransferService(pb_grpc.TransferServiceServicer):
    """Each method: request to values, one operation, values to response."""

    def __init__(self, slot: Slot) -> None:
        self._slot = slot

    async def Export(self, request: pb.ExportRequest, context: Context) -> AsyncIterator[pb.TransferRecord]:
        """Streams a tenant's messages."""
        rest = transfer_records.rest(request)
        export = self._slot.operations.export
        text = convert.optional(request, "filter", "")
        node = filtering.parse(text) if text.strip() else None
        after = UUID(request.after_id) if request.HasField("after_id") else None
        if after is None:
            yield convert_transfer.header(request)
            if request.include_policy:
                yield convert_transfer.policy(await export.policy(request.tenant_id))
        found = export(request.tenant_id, node, after, rest, with_vectors=request.include_embeddings)
        async for record in transfer_records.records(found):
            yield record

    async def Import(self, request: pb.ImportRequest, context: Context) -> pb.ImportResponse:
        """Stores messages of an export."""
        sent, further = await by_size(request.ByteSize(), convert_transfer.transferred, request)
        return convert_transfer.imported(await self._slot.operations.import_(request.tenant_id, sent, further))
