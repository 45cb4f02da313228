"""memory_layer.v1.IndexService."""

from __future__ import annotations

from typing import Any, TypeAlias

import grpc

from memory_grpc.operations.models.registry import Slot
from memory_grpc.services import convert
from memory_layer.v1 import index_service_pb2 as pb
from memory_layer.v1 import index_service_pb2_grpc as pb_grpc

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"


class IndexService(pb_grpc.IndexServiceServicer):
    """Each method: request to values, one operation, values to response."""

    def __init__(self, slot: Slot) -> None:
        self._slot = slot

    async def ListGraphs(self, request: pb.ListGraphsRequest, context: Context) -> pb.ListGraphsResponse:
        """Lists the graphs of large tenants."""
        tenant_id = convert.optional(request, "tenant_id", None)
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
