"""Counts, times and logs every call. Never its content, its key or its metadata."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from uuid import uuid4

import grpc
import structlog

from memory_grpc.interceptors.call import OPEN_SERVICES, Call, Interceptor
from memory_grpc.observability import metrics

log = structlog.get_logger(__name__)

# What a client may call its request: anything else could forge lines of a log.
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:/-]{1,128}")
_CODES = {code.value[0]: code.name for code in grpc.StatusCode}


def observe(new_request_id: Callable[[], str] = lambda: str(uuid4())) -> Interceptor:
    """The interceptor; ``new_request_id`` names calls whose client gave no usable x-request-id."""

    @asynccontextmanager
    async def interceptor(call: Call) -> AsyncIterator[None]:
        given = call.metadata.get("x-request-id", "")
        call.request_id = given if _REQUEST_ID.fullmatch(given) else new_request_id()
        labels = (call.kind, call.service, call.name)
        metrics.CALLS_STARTED.labels(*labels).inc()
        call.context.set_trailing_metadata((("x-request-id", call.request_id),))
        started = time.perf_counter()
        code = "UNKNOWN"
        with structlog.contextvars.bound_contextvars(request_id=call.request_id):
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
                metrics.CALLS_HANDLED.labels(*labels, code).inc()
                metrics.CALL_SECONDS.labels(*labels).observe(seconds)
                write = log.debug if call.service in OPEN_SERVICES or call.was_shed else log.info
                write("call", method=call.method, code=code, milliseconds=round(seconds * 1000, 2))

    return interceptor


def _code_name(call: Call) -> str:
    """The name of the status that the context holds: an int, a StatusCode or nothing, depending on who set it."""
    code = call.context.code()
    if isinstance(code, grpc.StatusCode):
        return code.name
    return _CODES.get(int(code), "UNKNOWN") if code else "OK"
