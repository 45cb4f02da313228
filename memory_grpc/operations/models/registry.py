"""All operations of a running service, as the composition root builds them."""

from __future__ import annotations

from dataclasses import dataclass

from memory_grpc.errors import NotServing
from memory_grpc.operations.audit.list_events import ListEvents
from memory_grpc.operations.audit.trail import Trail
from memory_grpc.operations.context.build import BuildContext
from memory_grpc.operations.erasure.erasures import Erasures
from memory_grpc.operations.health import Health
from memory_grpc.operations.indexes.graphs import Graphs
from memory_grpc.operations.keys.api_keys import Keys
from memory_grpc.operations.keys.keyring import Keyring
from memory_grpc.operations.messages.delete import Delete
from memory_grpc.operations.messages.get import Get
from memory_grpc.operations.messages.ingest import Ingest
from memory_grpc.operations.messages.listing import Listing
from memory_grpc.operations.messages.revisions import Revisions
from memory_grpc.operations.messages.stream_ingest import StreamIngest
from memory_grpc.operations.messages.update import Update
from memory_grpc.operations.models.compare import Compare
from memory_grpc.operations.models.reembeddings import Reembeddings
from memory_grpc.operations.models.retry_failed import RetryFailed
from memory_grpc.operations.policy.policies import Policies
from memory_grpc.operations.retention.restore import Restore
from memory_grpc.operations.retention.retain import Retain
from memory_grpc.operations.retention.simulate import Simulate
from memory_grpc.operations.search.search import Search
from memory_grpc.operations.statistics import Statistics
from memory_grpc.operations.transfer.export import Export
from memory_grpc.operations.transfer.import_ import Import
from memory_grpc.positions import Written


@dataclass(frozen=True, slots=True)
class Operations:
    """One of each."""

    ingest: Ingest
    stream_ingest: StreamIngest
    get: Get
    listing: Listing
    update: Update
    revisions: Revisions
    delete: Delete
    search: Search
    build_context: BuildContext
    retain: Retain
    simulate: Simulate
    restore: Restore
    statistics: Statistics
    health: Health
    policies: Policies
    retry_failed: RetryFailed
    keyring: Keyring
    keys: Keys
    reembeddings: Reembeddings
    compare: Compare
    graphs: Graphs
    trail: Trail
    list_events: ListEvents
    export: Export
    import_: Import
    erasures: Erasures
    written: Written
    """Where what was written here ended, for replicas; at 0 without any."""


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
