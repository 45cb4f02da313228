"""The service's Prometheus metrics; embedding's own are beside it, in ``embedding/stats.py``.

Labels never hold tenants, keys or content: they would be many, and they are nobody else's business.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from prometheus_client import Counter, Histogram, Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import REGISTRY, Collector

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)

CALLS_STARTED = Counter(
    "grpc_server_started", "RPCs started on the server.", ["grpc_type", "grpc_service", "grpc_method"]
)
CALLS_HANDLED = Counter(
    "grpc_server_handled",
    "RPCs completed on the server, whatever their outcome.",
    ["grpc_type", "grpc_service", "grpc_method", "grpc_code"],
)
CALL_SECONDS = Histogram(
    "grpc_server_handling_seconds",
    "Time an RPC took on the server.",
    ["grpc_type", "grpc_service", "grpc_method"],
    buckets=_SECONDS,
)
INGESTED = Counter("memory_messages_ingested", "Messages stored, by their embedding status.", ["embedding_status"])
INGEST_REPEATED = Counter("memory_ingest_repeated", "Messages not stored again, because of their request_id.")
SEARCHES = Counter("memory_searches", "Searches answered, by ranking.", ["ranking"])
CANDIDATES = Histogram(
    "memory_search_candidates",
    "Messages ranked by a search.",
    buckets=(0, 10, 100, 1_000, 10_000, 100_000, 1_000_000),
)
JOBS = Counter("memory_embedding_jobs", "Pending messages worked off, by outcome.", ["outcome"])
RETAINED = Counter("memory_retention_messages", "Messages archived and deleted.", ["action"])
SWEEPS = Counter("memory_retention_sweeps", "Scheduled sweeps, by outcome.", ["outcome"])


class PoolCollector(Collector):
    """The connection pool's own figures, read when they are asked for."""

    _GAUGES: Mapping[str, str] = {
        "pool_size": "Connections open.",
        "pool_available": "Connections idle.",
        "requests_waiting": "Calls that wait for a connection.",
    }

    def __init__(self, stats: Callable[[], Mapping[str, int]]) -> None:
        self._stats = stats

    def collect(self) -> Iterable[Metric]:
        """One gauge a figure."""
        stats = self._stats()
        for key, help_text in self._GAUGES.items():
            yield GaugeMetricFamily(f"memory_database_{key}", help_text, value=stats.get(key, 0))


def register_pool(stats: Callable[[], Mapping[str, int]]) -> Callable[[], None]:
    """Exports a pool's figures; returns what takes them out again."""
    collector = PoolCollector(stats)
    REGISTRY.register(collector)
    return lambda: REGISTRY.unregister(collector)
