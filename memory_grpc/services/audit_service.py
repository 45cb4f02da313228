"""memory_layer.v1.AuditService."""

from __future__ import annotations

from typing import Any, TypeAlias

import grpc

from memory_grpc.domain.audit import AuditEvent, EventFilter
from memory_grpc.operations.models.registry import Slot
from memory_grpc.services.convert import moment, optional, timestamp
from memory_grpc.services.convert_page import page_request
from memory_layer.v1 import audit_service_pb2 as pb
from memory_layer.v1 import audit_service_pb2_grpc as pb_grpc

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"


class AuditService(pb_grpc.AuditServiceServicer):
    """Each method: request to values, one operation, values to response."""

    def __init__(self, slot: Slot) -> None:
        self._slot = slot

    async def ListEvents(self, request: pb.ListEventsRequest, context: Context) -> pb.ListEventsResponse:
        """Lists events."""
        wanted = EventFilter(
            tenant_id=optional(request, "tenant_id", None),
            actor=optional(request, "actor", None),
            action=optional(request, "action", None),
            happened_after=moment(request, "happened_after"),
            happened_before=moment(request, "happened_before"),
        )
        page = await self._slot.operations.list_events(wanted, page_request(request))
        return pb.ListEventsResponse(events=map(_event, page.rows), next_page_token=page.next_token)


def _event(event: AuditEvent) -> pb.AuditEvent:
    return pb.AuditEvent(
        id=str(event.id),
        happened_at=timestamp(event.happened_at),
        actor=event.actor,
        action=event.action,
        outcome=event.outcome,
        tenant_id=event.tenant_id or "",
        request_id=event.request_id,
    )
