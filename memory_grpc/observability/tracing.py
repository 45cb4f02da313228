"""OpenTelemetry traces: where the time of a call went. Off unless the extra ``otel`` is installed and
OTEL_EXPORTER_OTLP_ENDPOINT is set; then ``span`` gives back one object that does nothing.

::

    call ─┬─ embed ────── embed.batch        done for several: a child of the first who waits,
          ├─ group ────── ingest.store       linked with the others, in both directions
          │                └─ transaction ─ messages.insert_many, …
          └─ transaction ─ search.rank, …

A span holds names, numbers and the request id. Never content, parameters of a statement, tenants, users, keys, or the
words of an error: only its class. Work that no traced call waits for (jobs, probes) has no spans.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Protocol

Attribute = str | int | float | bool


class Span(Protocol):
    """What a ``with`` block is measured by."""

    def __enter__(self) -> Span: ...

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None: ...

    def note(self, **attributes: Attribute) -> None:
        """Adds attributes, named ``memory.…``."""

    def ended(self, code: str) -> None:
        """Says how a call ended: the name of its gRPC code."""

    @property
    def trace_id(self) -> str:
        """Of the trace that it is kept in, 32 hexadecimal digits; empty where it is kept in none."""

    @property
    def exemplar(self) -> dict[str, str] | None:
        """What a measurement is labelled with to lead here."""


class _Off:
    """Measures nothing."""

    trace_id = ""
    exemplar = None

    def __enter__(self) -> Span:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: TracebackType | None) -> None:
        """Nothing has begun."""

    def note(self, **attributes: Attribute) -> None:
        """Nobody reads it."""

    def ended(self, code: str) -> None:
        """Nobody reads it."""


class Tracing(Protocol):
    """What makes spans while tracing is on; see ``tracing_sdk.py``."""

    def step(self, name: str, attributes: Mapping[str, Attribute]) -> Span:
        """As ``span``."""

    def statement(self, query: str) -> Span:
        """As ``statement``."""

    def call(self, method: str, metadata: Mapping[str, str], request_id: str) -> Span:
        """As ``call``."""

    def current(self) -> Any:
        """As ``here``."""

    def shared(self, name: str, waiting: Sequence[Any], attributes: Mapping[str, Attribute]) -> Span:
        """As ``shared``."""


OFF: Span = _Off()
_tracing: Tracing | None = None


def use(tracing: Tracing | None) -> Tracing | None:
    """What makes spans from here on, None for nothing; returns what did before."""
    global _tracing
    before, _tracing = _tracing, tracing
    return before


def span(name: str, **attributes: Attribute) -> Span:
    """A step of the call that is being traced, with attributes ``memory.…``; OFF outside of one."""
    return OFF if _tracing is None else _tracing.step(name, attributes)


def statement(query: str) -> Span:
    """A named query, by its name alone."""
    return OFF if _tracing is None else _tracing.statement(query)


def call(method: str, metadata: Mapping[str, str], request_id: str) -> Span:
    """An RPC, ``/package.Service/Method``; it goes on with the trace that ``traceparent`` names, if any."""
    return OFF if _tracing is None else _tracing.call(method, metadata, request_id)


def here() -> Any:
    """Who waits, for ``shared``: the step that this runs in, or None."""
    return None if _tracing is None else _tracing.current()


def shared(name: str, waiting: Sequence[Any], **attributes: Attribute) -> Span:
    """Work done for several steps at once, as ``here`` gave them; see the module's docstring."""
    return OFF if _tracing is None else _tracing.shared(name, waiting, attributes)
