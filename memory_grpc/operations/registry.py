"""All operations of a running service, as the composition root builds them."""

from __future__ import annotations

from dataclasses import dataclass

from memory_grpc.errors import NotServing
from memory_grpc.operations.get import Get
from memory_grpc.operations.graphs import Graphs
from memory_grpc.operations.health import Health
from memory_grpc.operations.ingest import Ingest
from memory_grpc.operations.policy import Policies
from memory_grpc.operations.retain import Retain
from memory_grpc.operations.retry_failed import RetryFailed
from memory_grpc.operations.search import Search
from memory_grpc.operations.stream_ingest import StreamIngest


@dataclass(frozen=True, slots=True)
class Operations:
    """One of each."""

    ingest: Ingest
    stream_ingest: StreamIngest
    get: Get
    search: Search
    retain: Retain
    health: Health
    policies: Policies
    retry_failed: RetryFailed
    graphs: Graphs


class Slot:
    """Where the services find the operations: empty until the schema and the model are ready.

    The server listens before that, so that probes are answered from the first moment.
    """

    def __init__(self) -> None:
        self._operations: Operations | None = None

    def fill(self, operations: Operations) -> None:
        """From now on the services can work."""
        self._operations = operations

    @property
    def operations(self) -> Operations:
        """The operations. Raises NotServing while there are none."""
        if self._operations is None:
            raise NotServing
        return self._operations
