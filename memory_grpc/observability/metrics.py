"""The service's Prometheus metrics; embedding's own are beside it, in ``embedding/stats.py``.

Labels never hold tenants, keys or content: they would be many, and they are nobody else's business.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from prometheus_client import Counter, Gauge, Histogram, Info, Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import REGISTRY, Collector

from memory_grpc import __version__

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)

BUILD = Info("memory_build", "What runs here: always 1.")
BUILD.info({"version": __version__, "python": platform.python_version()})
SERVING = Gauge("memory_serving", "1 while the server takes calls; 0 while it starts, drains, or lacks the model.")
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
LOOP_LAG_SECONDS = Histogram(
    "memory_event_loop_lag_seconds",
    "How late the event loop came back to a task that had nothing to do: it is held up for all calls at once.",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0),
)
CALLS_SHED = Counter("memory_calls_shed", "Calls refused because too many of their kind were inside already.", ["kind"])
CALLS_PLACES = Gauge(
    "memory_calls_places", "Calls of a kind that may be inside now; fewer while calls are late.", ["kind"]
)
CALLS_AT_DOOR = Gauge(
    "memory_calls_at_door",
    "Reads and writes that wait for others of their tenant, while other tenants come too.",
)
CALLS_LIMITED = Counter(
    "memory_calls_limited", "Calls refused because there were too many of their client's, tenant's or key's.", ["limit"]
)
CALLS_LIMITED.labels("quota")  # there from the start: an alert sees a count grow, and not one that begins at 1
WORK = Counter("memory_work", "What calls had, of all tenants: windows, query words, seconds, bytes.", ["kind"])
AUDIT_DROPPED = Counter(
    "memory_audit_events_dropped", "Denials and uses of keys that were not recorded, as there were too many."
)
RATE_LIMIT_FAILURES = Counter(
    "memory_rate_limit_storage_failures", "Times that the storage shared by servers did not count, and the process did."
)
INGESTED = Counter("memory_messages_ingested", "Messages stored, by their embedding status.", ["embedding_status"])
INGEST_REPEATED = Counter("memory_ingest_repeated", "Messages not stored again, because of their request_id.")
SEARCHES = Counter(
    "memory_searches", "Searches answered, by ranking and by whether every message was scored.", ["ranking", "exact"]
)
RERANKS = Counter("memory_reranks", "Searches whose best a reranker was to read, by outcome.", ["outcome"])
RERANK_SECONDS = Histogram("memory_rerank_seconds", "Time that it took, or was waited for.", buckets=_SECONDS)
JOBS = Counter("memory_embedding_jobs", "Pending messages worked off, by outcome.", ["outcome"])
JOBS.labels("failed")  # likewise
JOBS_WAITING = Gauge("memory_embedding_jobs_waiting", "Messages of all tenants that wait for their embedding.")
JOBS_OLDEST_SECONDS = Gauge("memory_embedding_jobs_oldest_seconds", "How long the oldest of them has waited.")
RETAINED = Counter("memory_retention_messages", "Messages archived, deleted and restored.", ["action"])
GRAPHS = Gauge("memory_graphs", "Graphs of large tenants, by state.", ["state"])
GRAPH_BYTES = Gauge("memory_graph_bytes", "Size of all graphs.")
GRAPH_BUILDS = Counter("memory_graph_builds", "Graphs built, by outcome.", ["outcome"])
GRAPH_BUILD_SECONDS = Histogram(
    "memory_graph_build_seconds", "Time it took to build a graph.", buckets=(1, 5, 15, 60, 300, 900, 3600, 14400)
)
DATABASE_UP = Gauge("memory_database_up", "1 while the database answers this server.")
DATABASE_WRITABLE = Gauge("memory_database_writable", "1 while the database takes writes.")
DATABASE_LATENCY_SECONDS = Gauge("memory_database_latency_seconds", "Time the database took for its last answer.")
DATABASE_BYTES = Gauge("memory_database_bytes", "Size of a table with its indexes.", ["table"])
MESSAGES = Gauge("memory_messages", "Messages of all tenants, live and archived, by the database's estimate.")
BACKGROUND_ERRORS = Counter("memory_background_errors", "Rounds of a background loop that ended in an error.", ["loop"])
SPANS_LOST = Counter("memory_trace_spans_lost", "Spans of traces that the collector did not take.")
LOG_LINES_DROPPED = Counter("memory_log_lines_dropped", "Lines that the log took too slowly, or not at all.")
SWEEPS = Counter("memory_retention_sweeps", "Scheduled sweeps, by outcome.", ["outcome"])
LAST_SWEEP = Gauge(
    "memory_retention_last_sweep_timestamp_seconds", "When the last sweep that went well ended; 0: there was none."
)
SWEEP_SCHEDULE_SECONDS = Gauge("memory_retention_schedule_seconds", "How often a sweep is due; 0: never.")


Stats = Callable[[], Mapping[str, int]]


class PoolCollector(Collector):
    """The connection pools' own figures, read when they are asked for and added up over the pools of the process."""

    _GAUGES: Mapping[str, str] = {
        "pool_size": "Connections open.",
        "pool_max": "Connections that there may be.",
        "pool_available": "Connections idle.",
        "requests_waiting": "Calls that wait for a connection.",
    }

    def __init__(self) -> None:
        self._pools: list[Stats] = []

    def add(self, stats: Stats) -> Callable[[], None]:
        """Exports a pool's figures; returns what takes them out again."""
        self._pools.append(stats)
        return lambda: self._pools.remove(stats)

    def collect(self) -> Iterable[Metric]:
        """One gauge a figure."""
        figures = [stats() for stats in list(self._pools)]
        for key, help_text in self._GAUGES.items():
            value = sum(figure.get(key, 0) for figure in figures)
            yield GaugeMetricFamily(f"memory_database_{key}", help_text, value=value)


POOLS = PoolCollector()
REGISTRY.register(POOLS)


@dataclass(frozen=True, slots=True)
class NodeFigures:
    """Of a database that is read from: whether it answers and is a copy, the bytes it lacks, and its reads so far."""

    name: str
    is_up: bool
    behind_bytes: int
    reads: int


class NodeCollector(Collector):
    """The primary and its replicas, one series a node; nothing where there are no replicas."""

    def __init__(self) -> None:
        self._asked: list[Callable[[], Sequence[NodeFigures]]] = [tuple]

    def of(self, ask: Callable[[], Sequence[NodeFigures]]) -> Callable[[], None]:
        """Exports these figures instead of those before; returns what takes them out again, and leaves the others."""
        self._asked.append(ask)
        return lambda: self._asked.remove(ask)

    def collect(self) -> Iterable[Metric]:
        """Three families."""
        up = GaugeMetricFamily("memory_replica_up", "Whether a replica answers, and is a copy.", labels=["node"])
        behind = GaugeMetricFamily("memory_replica_behind_bytes", "Log it has not replayed.", labels=["node"])
        reads = CounterMetricFamily("memory_reads", "Read transactions, by the database they went to.", labels=["node"])
        for node in self._asked[-1]():
            reads.add_metric([node.name], node.reads)
            if node.name != "primary":
                up.add_metric([node.name], node.is_up)
                behind.add_metric([node.name], node.behind_bytes)
        return up, behind, reads


NODES = NodeCollector()
REGISTRY.register(NODES)
