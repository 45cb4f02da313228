"""Dashboards and alerts: every metric and label they name is documented, and Prometheus can read every expression."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[2]
RULES = sorted((ROOT / "deploy/prometheus").glob("*.rules.yml"))
DASHBOARDS = sorted((ROOT / "deploy/grafana").glob("*.json"))
CASES = ROOT / "tests/unit/alerts.test.yml"

# What Prometheus itself adds.
BUILT_IN = {"up": set[str]()}
TARGET = {"instance", "job"}
ROW = re.compile(r"^\| `(\w+)` \| (?:(counter|gauge|histogram) \| )?([^|]*)\|", re.MULTILINE)
NAME = r"\b(?:up|(?:memory|grpc|process|python|envoy)_\w+)"
PROMTOOL = pytest.mark.skipif(shutil.which("promtool") is None, reason="no promtool here: apt-get install prometheus")


def documented() -> dict[str, set[str]]:
    """Every series of docs/metrics.md, and its labels."""
    found = dict(BUILT_IN)
    for name, kind, labels in ROW.findall((ROOT / "docs/metrics.md").read_text()):
        for suffix in ("_bucket", "_sum", "_count") if kind == "histogram" else ("",):
            found[name + suffix] = set(re.findall(r"`(\w+)`", labels))
    return found


def alerts() -> Iterator[tuple[str, dict[str, Any]]]:
    for path in RULES:
        for group in yaml.safe_load(path.read_text())["groups"]:
            for rule in group["rules"]:
                yield rule["alert"], rule


def panels() -> Iterator[tuple[str, dict[str, Any]]]:
    for path in DASHBOARDS:
        for panel in json.loads(path.read_text())["panels"]:
            if panel["type"] != "row":
                yield f"{path.stem}: {panel['title']}", panel


EXPRESSIONS = [(name, rule["expr"]) for name, rule in alerts()]
EXPRESSIONS += [(name, target["expr"]) for name, panel in panels() for target in panel["targets"]]


def faults(expression: str) -> list[str]:
    """What an expression names and the page does not."""
    known = documented()
    wrong = []
    for name, matchers in re.findall(rf"({NAME})\{{([^}}]*)\}}", expression):
        labels = set(re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", re.sub(r'"[^"]*"', '""', matchers)))
        wrong += [f"{name}{{{label}}}" for label in labels - known.get(name, set()) - TARGET]
    bare = re.sub(r'"[^"]*"', "", re.sub(r"\{[^}]*\}", "", expression))
    grouped = {label for by in re.findall(r"\b(?:by|without)\s*\(([^)]*)\)", bare) for label in re.findall(r"\w+", by)}
    names = set(re.findall(NAME, re.sub(r"\b(?:by|without)\s*\([^)]*\)", "", bare)))
    assert names, expression
    there = {label for name in names for label in known.get(name, set())} | TARGET | {"le"}
    return wrong + sorted(names - known.keys()) + sorted(grouped - there)


@pytest.mark.parametrize(("name", "expression"), EXPRESSIONS)
def test_every_metric_and_label_that_is_named_is_documented(name: str, expression: str) -> None:
    assert faults(expression) == []


@pytest.mark.parametrize(
    ("expression", "found"),
    [
        ("memory_messages > 1", []),
        ("memory_message > 1", ["memory_message"]),
        ('memory_graphs{stat="failed"}', ["memory_graphs{stat}"]),
        ("sum by (grpc_code) (memory_messages)", ["grpc_code"]),
        ("rate(grpc_server_handling_seconds[5m])", ["grpc_server_handling_seconds"]),
    ],
)
def test_this_test_sees(expression: str, found: list[str]) -> None:
    assert faults(expression) == found


def test_alerts_say_how_bad_it_is_and_what_to_do() -> None:
    names = [name for name, _ in alerts()]
    assert len(names) == len(set(names)) > 20
    for name, rule in alerts():
        assert rule["labels"]["severity"] in {"page", "ticket"}, name
        assert rule["annotations"].keys() == {"summary", "description"}, name


def test_counters_of_which_an_alert_wants_the_increase_are_there_from_the_start() -> None:
    """Prometheus sees no increase in a series that begins at 1. Background loops begin theirs when they are made."""
    program = "from memory_grpc.observability.metrics import REGISTRY as all; import prometheus_client as of; "
    program += "print(of.generate_latest(all).decode())"
    fresh = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    increased = [
        found for _, rule in alerts() for found in re.findall(r"increase\((memory_\w+(?:\{.*?\})?)", rule["expr"])
    ]
    assert len(increased) > 4
    wanted = [name for name in increased if not name.startswith("memory_background_errors_total")]
    assert [name for name in wanted if f"\n{name} 0.0\n" not in fresh] == []


def test_dashboards_are_told_apart_and_read_the_data_source_that_is_chosen() -> None:
    loaded = [json.loads(path.read_text()) for path in DASHBOARDS]
    assert len({board["uid"] for board in loaded}) == len(loaded) == 2
    for name, panel in panels():
        assert panel["datasource"]["uid"] == "${datasource}", name
        assert all(target["datasource"]["uid"] == "${datasource}" for target in panel["targets"]), name
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24, name


def promtool(*arguments: str | Path) -> None:
    done = subprocess.run(["promtool", *arguments], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


@PROMTOOL
def test_prometheus_reads_the_alerts_and_they_come_when_they_should() -> None:
    promtool("check", "rules", *RULES)
    promtool("test", "rules", CASES)


@PROMTOOL
def test_prometheus_reads_every_expression_of_the_dashboards(tmp_path: Path) -> None:
    rules = [
        {"record": f"panel:{number}", "expr": expression.replace("$__rate_interval", "5m").replace("$instance", ".*")}
        for number, (_, expression) in enumerate(EXPRESSIONS)
    ]
    file = tmp_path / "panels.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    promtool("check", "rules", file)
