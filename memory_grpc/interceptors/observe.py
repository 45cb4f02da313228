"""Counts, times, traces and logs every call. Never its content, its whole key or its metadata."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import cache
from uuid import uuid4

import grpc
import structlog

from memory_grpc.interceptors.call import Call, Interceptor
from memory_grpc.observability import metrics, tracing

log = structlog.get_logger(__name__)

# What a client may call its request: anything else could forge lines of a log.
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:/-]{1,128}")
_CODES = {code.value[0]: code.name for code in grpc.StatusCode}


def new_request_id() -> str:
    """A name for a call whose client gave none."""
    return str(uuid4())


def request_id_of(metadata: Mapping[str, str], new: Callable[[], str] = new_request_id) -> str:
    """What the client calls its request, if it can be used, else a new name."""
    given = metadata.get("x-request-id", "")
    return given if _REQUEST_ID.fullmatch(given) else new()


_OF_BUGS = ("INTERNAL", "UNKNOWN")


class Meter:
    """The metrics of the calls of one method. ``labels``: type, service and name."""

    def __init__(self, labels: tuple[str, str, str]) -> None:
        self._started = metrics.CALLS_STARTED.labels(*labels)
        self._seconds = metrics.CALL_SECONDS.labels(*labels)
        self._handled = cache(lambda code: metrics.CALLS_HANDLED.labels(*labels, code))
        for code in _OF_BUGS:
            self._handled(code)  # an alert sees a count grow, and not one that begins at 1

    def started(self) -> None:
        """A call has begun."""
        self._started.inc()

    def handled(self, code: str, seconds: float, exemplar: dict[str, str] | None = None) -> None:
        """A call has ended with this code after so many seconds; ``exemplar`` leads to its trace."""
        self._handled(code).inc()
        self._seconds.observe(seconds, exemplar)


@cache
def meter(kind: str, service: str, name: str) -> Meter:
    """The meter of a method; made once, as looking metrics up by their labels costs more than counting."""
    return Meter((kind, service, name))


def observe(new_request_id: Callable[[], str] = new_request_id) -> Interceptor:
    """The interceptor; ``new_request_id`` names calls whose client gave no usable x-request-id."""

    @asynccontextmanager
    async def interceptor(call: Call) -> AsyncIterator[None]:
        call.request_id = request_id_of(call.metadata, new_request_id)
        counts = meter(call.kind, call.service, call.name)
        counts.started()
        call.context.set_trailing_metadata((("x-request-id", call.request_id),))
        started = time.perf_counter()
        code = "UNKNOWN"
        # Probes come every few seconds, and say nothing.
        span = tracing.OFF if call.is_standard else tracing.call(call.method, call.metadata, call.request_id)
        with span, structlog.contextvars.bound_contextvars(**_names(call, span)):
            try:
                yield
                code = _code_name(call)
            except asyncio.CancelledError:
                code = "CANCELLED"
                raise
            except BaseException:
                code = _code_name(call)
                raise
            finally:
                seconds = time.perf_counter() - started
                counts.handled(code, seconds, span.exemplar)
                span.ended(code)
                write = log.debug if call.is_standard or call.was_shed else log.info
                write("call", method=call.method, code=code, milliseconds=round(seconds * 1000, 2), **_who(call))

    return interceptor


def _names(call: Call, span: tracing.Span) -> dict[str, str]:
    """What every line of the log that belongs to a call is found by."""
    trace_id = span.trace_id
    return {"request_id": call.request_id} | ({"trace_id": trace_id} if trace_id else {})


def _who(call: Call) -> dict[str, str]:
    """Who called, as far as it was found out: a made key by its prefix, one of the settings by its number, a token as
    that; its subject may be a person, and stands in the audit trail alone."""
    who = {"client": call.client} if call.client else {}
    if call.grant is not None:
        actor = call.grant.actor
        who["key"] = actor.partition(":")[0] if actor.startswith("jwt:") else actor
    return who


def _code_name(call: Call) -> str:
    """The name of the status that the context holds: an int, a StatusCode or nothing, depending on who set it."""
    code = call.context.code()
    if isinstance(code, grpc.StatusCode):
        return code.name
    return _CODES.get(int(code), "UNKNOWN") if code else "OK"
