"""Prometheus metrics of the embedding path. Labels are fixed words, never a tenant or content."""

from __future__ import annotations

from prometheus_client import Counter, Gauge, Histogram

WINDOWS = Counter("memory_embedding_windows_total", "Windows embedded.", ["kind"])
BATCH_SIZE = Histogram(
    "memory_embedding_batch_size", "Windows in one batch.", buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256, 1024)
)
BATCH_SECONDS = Histogram(
    "memory_embedding_batch_seconds",
    "Time the model took for one batch.",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
)
QUEUE_WINDOWS = Gauge("memory_embedding_queue_windows", "Windows that wait for a batch.")
QUERY_CACHE = Counter("memory_embedding_query_cache_total", "Query vectors looked up in the cache.", ["result"])

for _kind in ("query", "ingest"):
    WINDOWS.labels(_kind)
for _result in ("hit", "miss"):
    QUERY_CACHE.labels(_result)
