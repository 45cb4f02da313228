"""Traces: what they show of a call, that they go on with the caller's, and that nothing that was said is in them."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from memory_grpc.observability import metrics, tracing, tracing_sdk
from memory_grpc.operations.messages.group_commit import GroupCommit
from tests.conftest import StartRest

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
SERVICE = "memory_layer.v1.MemoryService"


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    """Tracing is on; what has ended is here."""
    exporter = InMemorySpanExporter()
    end = tracing_sdk.begin(SimpleSpanProcessor(exporter), "test")
    yield exporter
    end()


def tree(spans: Sequence[ReadableSpan], parent: str | None) -> dict[str, dict]:
    """Names below a span, as a tree; of equal ones the first that has children."""
    found: dict[str, dict] = {}
    for span in sorted(spans, key=lambda one: one.start_time or 0):
        if (f"{span.parent.span_id:016x}" if span.parent else None) == parent:
            below = tree(spans, f"{span.context.span_id:016x}")
            found[span.name] = found.get(span.name) or below
    return found


def of_trace(exporter: InMemorySpanExporter, trace: str) -> list[ReadableSpan]:
    return [span for span in exporter.get_finished_spans() if f"{span.context.trace_id:032x}" == trace]


@pytest.mark.asyncio
async def test_a_call_by_rest_is_one_tree_in_the_trace_of_its_caller_and_holds_nothing_that_was_said(
    start_rest: StartRest, spans: InMemorySpanExporter
) -> None:
    key = "canary-key-of-sixteen"
    async with start_rest(api_keys=[key], search_ranking="hybrid") as rest:
        traced = {"x-api-key": key, "traceparent": f"00-{TRACE}-{PARENT}-01", "x-request-id": "call-1"}
        body = {
            **{"tenant_id": "canary-tenant", "conversation_id": "canary-conversation", "user_id": "canary-user"},
            **{"role": "user", "content": "canary-content", "name": "canary-name", "metadata": {"canary": "canary"}},
            "request_id": "0190b0f0-0000-7000-8000-00000000cafe",
        }
        stored = await rest.http.post("/v1/messages", json=body, headers=traced)
        assert stored.status_code == 202
        search = {
            "tenant_id": "canary-tenant",
            "query": "canary-query of canary-name",
            "filter": 'user_id = "canary-user"',
        }
        other = TRACE[::-1]
        found = await rest.http.post(
            "/v1/memory/search", json=search, headers={**traced, "traceparent": f"00-{other}-{PARENT}-01"}
        )
        assert found.json()["total"] == 1
        # One whose caller keeps no trace is not kept here either.
        unsampled = {**traced, "traceparent": f"00-{'5' * 32}-{PARENT}-00"}
        assert (await rest.http.post("/v1/memory/search", json=search, headers=unsampled)).status_code == 200
        failed = {**traced, "traceparent": f"00-{'6' * 32}-{PARENT}-01"}
        refused = await rest.http.post("/v1/memory/search", json={**search, "top_k": 0}, headers=failed)
        assert refused.status_code == 400
        accept = {"accept": "application/openmetrics-text; version=1.0.0"}
        page = (await rest.http.get("/metrics", headers=accept)).text
    ingest = tree(of_trace(spans, TRACE), PARENT)[f"{SERVICE}/IngestMessage"]
    assert ingest["embed"] == {"embed.batch": {}}
    known, store = (below for _, below in groups(of_trace(spans, TRACE)))
    assert next(iter(known["transaction"])) == "opening"
    assert {"opening", "messages.insert_many", "embeddings.insert_many", "lexical.insert_many", "commit"} <= set(
        store["transaction"]
    )
    searched = tree(of_trace(spans, other), PARENT)[f"{SERVICE}/SearchMemories"]
    assert {"embed", "transaction"} <= searched.keys()
    assert of_trace(spans, "5" * 32) == []
    (root,) = [span for span in of_trace(spans, "6" * 32) if span.kind.name == "SERVER"]
    assert root.attributes["rpc.response.status_code"] == "INVALID_ARGUMENT"
    assert root.status.is_unset, "the caller's fault is none of the server's"
    # Histograms lead to the trace where they are read as OpenMetrics.
    (line,) = [line for line in page.splitlines() if "IngestMessage" in line and f'trace_id="{TRACE}"' in line]
    assert line.startswith("grpc_server_handling_seconds_bucket{")
    (called,) = [span for span in of_trace(spans, TRACE) if span.kind.name == "SERVER"]
    assert called.attributes["memory.request_id"] == "call-1"
    assert called.resource.attributes["service.name"] == "memory-layer"
    written = "\n".join(span.to_json() for span in spans.get_finished_spans())
    assert "canary" not in written
    assert {span.name for span in spans.get_finished_spans() if span.kind.name == "SERVER"} == {
        f"{SERVICE}/IngestMessage",
        f"{SERVICE}/SearchMemories",
    }, "what nobody waits for, and health, is not traced"


def groups(spans: Sequence[ReadableSpan]) -> list[tuple[str, dict]]:
    """What was done in groups, in order, with what is below."""
    names = ("ingest.look_up", "ingest.store")
    found = sorted((span for span in spans if span.name in names), key=lambda span: span.start_time or 0)
    assert [span.name for span in found] == list(names)
    return [(span.name, tree(spans, f"{span.context.span_id:016x}")) for span in found]


@pytest.mark.asyncio
async def test_a_group_is_a_child_of_its_first_call_and_linked_with_the_others(spans: InMemorySpanExporter) -> None:
    async def work(items: Sequence[int]) -> list[int | Exception]:
        with tracing.span("within"):
            return [item * 2 for item in items]

    group = GroupCommit(work, most=8, name="work")

    async def one(item: int) -> int:
        with tracing.call("/s/M", {}, str(item)):
            return await group("key", item)

    assert await asyncio.gather(*(one(item) for item in range(3))) == [0, 2, 4]
    ended = spans.get_finished_spans()
    waits = [span for span in ended if span.name == "group"]
    (done,) = [span for span in ended if span.name == "work"]
    (within,) = [span for span in ended if span.name == "within"]
    assert within.parent.span_id == done.context.span_id
    assert done.attributes == {"memory.calls": 3}
    (first,) = [span for span in waits if span.context.span_id == done.parent.span_id]
    others = [span for span in waits if span is not first]
    assert {link.context.span_id for link in done.links} == {span.context.span_id for span in others}
    assert len({span.context.trace_id for span in waits}) == 3
    for span in others:
        assert [link.context.span_id for link in span.links] == [done.context.span_id]
    assert not first.links


def test_an_error_is_told_by_its_class_alone(spans: InMemorySpanExporter) -> None:
    with pytest.raises(ValueError), tracing.call("/s/M", {}, "r") as called, tracing.span("step"):
        raise ValueError("canary")
    called.ended("INTERNAL")
    step, root = spans.get_finished_spans()
    assert (step.attributes["error.type"], step.status.status_code.name) == ("ValueError", "ERROR")
    assert "canary" not in step.to_json() + root.to_json()


def test_without_an_endpoint_nothing_is_traced_and_nothing_is_loaded() -> None:
    assert tracing.span("x") is tracing.call("/s/M", {}, "r") is tracing.statement("a.b") is tracing.OFF
    assert tracing.here() is None
    program = """
import sys
import memory_grpc.app
from memory_grpc.observability import tracing, tracing_sdk
tracing_sdk.start("test")()
assert tracing.call("/s/M", {}, "r") is tracing.OFF
print([name for name in sys.modules if name.startswith("opentelemetry.sdk")])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.returncode) == ("[]\n", 0), done.stderr


def test_with_an_endpoint_spans_are_sent_there(monkeypatch: pytest.MonkeyPatch) -> None:
    received: list[tuple[str, bytes]] = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append((self.path, self.rfile.read(int(self.headers["content-length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Collector) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "none")
        end = tracing_sdk.start("test")
        with tracing.call("/s/Method", {}, "r"):
            pass
        end()
        server.shutdown()
    ((path, body),) = received
    assert path == "/v1/traces"
    assert b"s/Method" in body
    assert tracing.call("/s/M", {}, "r") is tracing.OFF


def test_spans_that_the_collector_does_not_take_are_counted() -> None:
    class Away:
        def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
            return SpanExportResult.FAILURE

    before = metrics.SPANS_LOST._value.get()
    exporter = tracing_sdk.Counted(Away())
    assert exporter.export([None, None]) is SpanExportResult.FAILURE
    assert metrics.SPANS_LOST._value.get() == before + 2
