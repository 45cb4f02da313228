"""docs/metrics.md and the registry say the same; what dashboards and alerts name is there."""

from __future__ import annotations

import re
from pathlib import Path

from prometheus_client import REGISTRY

import memory_grpc.app as app  # with it comes every module that has metrics

ROOT = Path(__file__).parents[2]
ROW = re.compile(r"^\| `([a-z_]+)` \| (counter|gauge|histogram) \| ([^|]*)\|", re.MULTILINE)
SHARED = ("memory_", "grpc_", "process_", "python_")


def shown() -> dict[str, tuple[str, tuple[str, ...]]]:
    """Every metric of the registry, as it is queried: its type and its labels."""
    assert app
    found = {}
    for collector in list(REGISTRY._collector_to_names):
        declared = getattr(collector, "_labelnames", None)
        for family in collector.collect():
            suffix = {"counter": "_total", "info": "_info"}.get(family.type, "")
            labels = declared or getattr(family, "_labelnames", None)  # known of a family without samples, too
            if not labels:
                labels = {label for sample in family.samples for label in sample.labels} - {"le"}
            kind = "gauge" if family.type == "info" else family.type
            found[family.name + suffix] = (kind, tuple(sorted(labels)))
    return {name: value for name, value in found.items() if name.startswith(SHARED)}


def documented() -> dict[str, tuple[str, tuple[str, ...]]]:
    text = (ROOT / "docs/metrics.md").read_text()
    rows = ROW.findall(text)
    assert len({name for name, _, _ in rows}) == len(rows), "a metric stands there twice"
    return {name: (kind, tuple(sorted(re.findall(r"`(\w+)`", labels)))) for name, kind, labels in rows}


def test_the_page_of_metrics_lists_what_the_registry_has() -> None:
    assert len(shown()) > 40
    assert documented() == shown()


def test_no_metric_has_a_label_that_could_hold_a_tenant_a_user_or_content() -> None:
    bounded = {
        *("grpc_type", "grpc_service", "grpc_method", "grpc_code", "kind", "limit", "loop", "table", "state", "node"),
        *("embedding_status", "ranking", "exact", "action", "outcome", "result", "generation"),
        *("version", "python", "implementation", "major", "minor", "patchlevel"),
    }
    assert {label for _, labels in shown().values() for label in labels} <= bounded
