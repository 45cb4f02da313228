"""Traces by the OpenTelemetry SDK, which is imported only once tracing is asked for."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from types import TracebackType
from typing import Any

import structlog

from memory_grpc import __version__
from memory_grpc.observability import metrics, tracing
from memory_grpc.observability.tracing import OFF, Attribute, Span

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
# By the conventions: the others are what a caller did wrong.
_FAULTS = {"UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS"}
_POSTGRES = {"db.system.name": "postgresql"}

log = structlog.get_logger(__name__)


def start(environment: str) -> Callable[[], None]:
    """Begins to trace, if it is asked for and installed; returns what ends it and sends what is left.

    The exporter, the sampler and the resource are configured by the OTEL_* variables of the OpenTelemetry SDK.
    """
    if not any(os.environ.get(name) for name in _ENDPOINTS):
        return lambda: None
    if find_spec("opentelemetry") is None or find_spec("opentelemetry.sdk") is None:
        log.warning("tracing_not_installed", install="pip install 'memory-grpc[otel]'")
        return lambda: None
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    exporter: Any = Counted(_exporter())
    return begin(BatchSpanProcessor(exporter), environment)


def begin(processor: Any, environment: str = "") -> Callable[[], None]:
    """Traces into a span processor of the SDK; returns what ends it."""
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider

    named = {"service.version": __version__, "deployment.environment.name": environment}
    if not os.environ.get("OTEL_SERVICE_NAME"):
        named["service.name"] = "memory-layer"
    provider = TracerProvider(resource=Resource.create(named), shutdown_on_exit=False)
    provider.add_span_processor(processor)
    before = tracing.use(_Tracing(provider.get_tracer("memory_grpc", __version__)))

    def end() -> None:
        tracing.use(before)
        provider.shutdown()

    return end


def _exporter() -> Any:
    if os.environ.get("OTEL_EXPORTER_OTLP_PROTOCOL", "").startswith("grpc"):
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as Grpc

        return Grpc()
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as Http

    return Http()


class Counted:
    """An exporter whose failures are counted: its own words may hold an address with a password."""

    def __init__(self, exporter: Any) -> None:
        self._exporter = exporter
        self._was_lost = False

    def export(self, spans: Sequence[Any]) -> Any:
        result = self._exporter.export(spans)
        is_lost = result.name != "SUCCESS"
        metrics.SPANS_LOST.inc(len(spans) if is_lost else 0)
        if is_lost and not self._was_lost:
            log.warning("traces_not_taken")
        self._was_lost = is_lost
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return bool(self._exporter.force_flush(timeout_millis))


class _Tracing:
    """The OpenTelemetry API, once it is known to be there."""

    def __init__(self, tracer: Any) -> None:
        from opentelemetry import context, trace
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        self.context, self.trace, self._tracer = context, trace, tracer
        self._propagator = TraceContextTextMapPropagator()

    def current(self) -> Any:
        span = self.trace.get_current_span()
        return span if span.is_recording() else None

    def step(self, name: str, attributes: Mapping[str, Attribute]) -> Span:
        if self.current() is None:
            return OFF
        return _On(self, self._tracer.start_span(name, attributes=_named(attributes)))

    def statement(self, query: str) -> Span:
        if self.current() is None:
            return OFF
        kind = self.trace.SpanKind.CLIENT
        return _On(self, self._tracer.start_span(query, kind=kind, attributes=_POSTGRES))

    def call(self, method: str, metadata: Mapping[str, str], request_id: str) -> Span:
        service, _, name = method.strip("/").partition("/")
        attributes = {
            "rpc.system.name": "grpc",
            "rpc.service": service,
            "rpc.method": name,
            "memory.request_id": request_id,
        }
        carrier = {key: metadata[key] for key in ("traceparent", "tracestate") if key in metadata}
        parent = self._propagator.extract(carrier, context=self.context.Context())
        kind = self.trace.SpanKind.SERVER
        return _On(self, self._tracer.start_span(method.strip("/"), parent, kind, attributes), is_call=True)

    def shared(self, name: str, waiting: Sequence[Any], attributes: Mapping[str, Attribute]) -> Span:
        there = list(dict.fromkeys(one for one in waiting if one is not None and one.is_recording()))
        if not there:
            return OFF
        first, *others = there
        parent = self.trace.set_span_in_context(first, self.context.Context())
        links = [self.trace.Link(one.get_span_context()) for one in others]
        span = self._tracer.start_span(name, parent, attributes=_named(attributes), links=links)
        for one in others:
            one.add_link(span.get_span_context())
        return _On(self, span)


class _On:
    def __init__(self, tracing: _Tracing, span: Any, *, is_call: bool = False) -> None:
        self._tracing, self._span, self._is_call = tracing, span, is_call
        self._token: Any = None

    def __enter__(self) -> Span:
        self._token = self._tracing.context.attach(self._tracing.trace.set_span_in_context(self._span))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        if kind is not None and not self._is_call:  # what ended a call is told by its code
            self._fault(kind.__name__)
        self._tracing.context.detach(self._token)
        self._span.end()

    def note(self, **attributes: Attribute) -> None:
        self._span.set_attributes(_named(attributes))

    def ended(self, code: str) -> None:
        self._span.set_attribute("rpc.response.status_code", code)
        if code in _FAULTS:
            self._fault(code)

    def _fault(self, name: str) -> None:
        self._span.set_attribute("error.type", name)
        self._span.set_status(self._tracing.trace.StatusCode.ERROR)

    @property
    def trace_id(self) -> str:
        context = self._span.get_span_context()
        return f"{context.trace_id:032x}" if context.trace_flags.sampled else ""

    @property
    def exemplar(self) -> dict[str, str] | None:
        if not self.trace_id:
            return None
        return {"trace_id": self.trace_id, "span_id": f"{self._span.get_span_context().span_id:016x}"}


def _named(attributes: Mapping[str, Attribute]) -> dict[str, Attribute]:
    return {f"memory.{name}": value for name, value in attributes.items()}
