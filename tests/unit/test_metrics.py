"""docs/metrics.md and the registry say the same; what dashboards and alerts name is there."""

from __future__ import annotations

import re
from pathlib import Path

from prometheus_client import REGISTRY

import memory_grpc.app as app  # with it comes every module that has metrics
from memory_grpc.observability import metrics

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
            # What a collector makes when it is asked may have no sample yet, and knows its labels all the same.
            labels = declared or getattr(family, "_labelnames", ())
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


def test_a_server_that_ends_leaves_the_figures_of_another() -> None:
    collector = metrics.NodeCollector()

    def nodes() -> set[str]:
        return {sample.labels["node"] for family in collector.collect() for sample in family.samples}

    ends = [collector.of(lambda name=name: [metrics.NodeFigures(name, True, 0, 1)]) for name in ("first", "second")]  # type: ignore[misc]
    assert nodes() == {"second"}
    ends[1]()
    assert nodes() == {"first"}
    ends[0]()
    assert nodes() == set()
