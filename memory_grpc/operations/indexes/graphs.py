"""Which tenants have a graph that searches may go through."""

from __future__ import annotations

from collections import Counter

from memory_grpc.observability import metrics
from memory_grpc.store import graphs
from memory_grpc.store.database import EVERY_TENANT, Database
from memory_grpc.store.graphs import Graph

# How often a server asks which graphs there are. One that it does not know of yet, or that is gone already, costs time
# and never a wrong answer: the tenant is scanned.
REFRESH_SECONDS = 10.0


class Graphs:
    """Remembers the usable graphs, because every search asks for one."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._usable: frozenset[tuple[str, int]] = frozenset()

    def usable(self, tenant_id: str, model_id: int) -> bool:
        """Whether a tenant has a graph of a model, as of the last refresh."""
        return (tenant_id, model_id) in self._usable

    async def all(self, tenant_id: str | None = None) -> list[Graph]:
        """The graphs of all tenants, or of one."""
        async with self._database.transaction(tenant=EVERY_TENANT) as tx:
            found = await graphs.all_(tx)
        return [graph for graph in found if tenant_id is None or graph.tenant_id == tenant_id]

    async def refresh(self) -> None:
        """Asks which graphs there are."""
        found = await self.all()
        self._usable = frozenset((graph.tenant_id, graph.model_id) for graph in found if graph.usable)
        states = Counter(graph.state for graph in found)
        for state in ("building", "ready", "failed", "dropping"):
            metrics.GRAPHS.labels(state).set(states[state])
        metrics.GRAPH_BYTES.set(sum(graph.bytes for graph in found))
