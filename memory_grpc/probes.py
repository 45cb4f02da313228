"""The standard health service: Check, Watch and List.

grpc's own holds a lock while it writes to a watcher, so that one that takes nothing holds up all others, and whoever
would say that the status has changed. Here nobody waits for a watcher.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc


class Health(health_pb2_grpc.HealthServicer):  # type: ignore[misc]  # not in the stubs
    """What some services are, as it was ``set`` last; not serving before that."""

    def __init__(self, names: Sequence[str]) -> None:
        self._statuses: dict[str, health_pb2.HealthCheckResponse.ServingStatus] = dict.fromkeys(
            names, health_pb2.HealthCheckResponse.NOT_SERVING
        )
        self._changed = asyncio.Event()

    def set(self, status: health_pb2.HealthCheckResponse.ServingStatus) -> None:
        """Of every service; those who watch are told."""
        self._statuses = dict.fromkeys(self._statuses, status)
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    async def Check(  # noqa: N802 - the contract's name
        self, request: health_pb2.HealthCheckRequest, context: Any
    ) -> health_pb2.HealthCheckResponse:
        """The status of a service; NOT_FOUND for another name."""
        status = self._statuses.get(request.service)
        if status is None:
            await context.abort(grpc.StatusCode.NOT_FOUND)
        return health_pb2.HealthCheckResponse(status=status)

    async def Watch(  # noqa: N802
        self, request: health_pb2.HealthCheckRequest, context: Any
    ) -> AsyncIterator[health_pb2.HealthCheckResponse]:
        """The status of a service, and each change of it. A slow watcher is told the last of several."""
        told = None
        while True:
            changed = self._changed
            status = self._statuses.get(request.service, health_pb2.HealthCheckResponse.SERVICE_UNKNOWN)
            if status != told:
                yield health_pb2.HealthCheckResponse(status=status)
            told = status
            await changed.wait()

    async def List(  # noqa: N802
        self, request: health_pb2.HealthListRequest, context: Any
    ) -> health_pb2.HealthListResponse:
        """Every service with its status."""
        response = health_pb2.HealthListResponse()
        for name, status in self._statuses.items():
            response.statuses[name].status = status
        return response
