"""The standard health service, with the List that grpc's own has only the name of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from grpc_health.v1 import health, health_pb2


class Health(health.aio.HealthServicer):  # type: ignore[misc,name-defined]  # missing in the stubs
    """Check, Watch and List of some services; ``set`` changes what they say."""

    def __init__(self, names: Sequence[str]) -> None:
        super().__init__()
        self._names = tuple(names)

    async def List(  # noqa: N802 - the contract's name
        self, request: health_pb2.HealthListRequest, context: Any
    ) -> health_pb2.HealthListResponse:
        """Every service with its status."""
        response = health_pb2.HealthListResponse()
        for name in self._names:
            check = health_pb2.HealthCheckRequest(service=name)
            response.statuses[name].CopyFrom(await self.Check(check, context))
        return response
