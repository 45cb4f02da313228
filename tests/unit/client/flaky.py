"""A gRPC server that fails as it is told, and then answers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent import futures
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import grpc
from google.protobuf import any_pb2
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status

from memory_grpc.rpcs import METHODS
from memory_layer.client import rpcs


@dataclass
class Fault:
    """How a call fails: the code, an ErrorInfo reason, what the trailers ask for."""

    code: grpc.StatusCode
    reason: str = ""
    retry_after: str = ""
    fields: tuple[str, ...] = ()
    after: int = 0
    """Of a stream: how many answers come first."""

    def abort(self, context: grpc.ServicerContext) -> None:
        details = []
        if self.reason:
            details.append(_packed(error_details_pb2.ErrorInfo(reason=self.reason, domain="memory_layer.v1")))
        if self.fields:
            bad = error_details_pb2.BadRequest()
            for name in self.fields:
                bad.field_violations.add(field=name, description="is wrong")
            details.append(_packed(bad))
        if details:
            status = rpc_status.to_status(status_pb2.Status(code=self.code.value[0], message="no", details=details))
            asked = (("retry-after", self.retry_after),) if self.retry_after else ()
            context.abort_with_status(status._replace(trailing_metadata=(*status.trailing_metadata, *asked)))
        context.abort(self.code, "no")


@dataclass
class Flaky:
    """What it was asked, and what it does: ``faults`` first, one a call, then ``answer``."""

    address: str = ""
    faults: list[Fault] = field(default_factory=list)
    answer: Callable[[Any], Any] = lambda request: None
    requests: list[Any] = field(default_factory=list)
    metadata: list[dict[str, Any]] = field(default_factory=list)
    deadlines: list[float | None] = field(default_factory=list)

    def unary(self, request: Any, context: grpc.ServicerContext) -> Any:
        fault = self._began(request, context)
        if fault is not None:
            fault.abort(context)
        return self.answer(request)

    def stream(self, request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        fault = self._began(request, context)
        for index, one in enumerate(self.answer(request)):
            if fault is not None and index == fault.after:
                fault.abort(context)
            yield one

    def exchange(self, requests: Iterator[Any], context: grpc.ServicerContext) -> Iterator[Any]:
        fault = self._began(None, context)
        for index, request in enumerate(requests):
            self.requests.append(request)
            if fault is not None and index == fault.after:
                fault.abort(context)
            yield self.answer(request)

    def _began(self, request: Any, context: grpc.ServicerContext) -> Fault | None:
        if request is not None:
            self.requests.append(request)
        self.metadata.append(dict(context.invocation_metadata()))
        self.deadlines.append(context.time_remaining())
        return self.faults.pop(0) if self.faults else None


class _Handler(grpc.GenericRpcHandler):
    def __init__(self, flaky: Flaky) -> None:
        self._flaky = flaky

    def service(self, details: grpc.HandlerCallDetails) -> Any:
        method = METHODS[details.method]
        rpc = next(one for one in vars(rpcs).values() if getattr(one, "path", "") == details.method)
        how: dict[str, Any] = {
            "request_deserializer": rpc.request.FromString,
            "response_serializer": rpc.response.SerializeToString,
        }
        if method.client_streaming:
            return grpc.stream_stream_rpc_method_handler(self._flaky.exchange, **how)
        if method.server_streaming:
            return grpc.unary_stream_rpc_method_handler(self._flaky.stream, **how)
        return grpc.unary_unary_rpc_method_handler(self._flaky.unary, **how)


@contextmanager
def flaky_server() -> Iterator[Flaky]:
    """A server on a port of its own."""
    flaky = Flaky()
    with futures.ThreadPoolExecutor(4) as pool:
        server = grpc.server(pool, handlers=[_Handler(flaky)], options=[("grpc.so_reuseport", 0)])
        flaky.address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
        server.start()
        try:
            yield flaky
        finally:
            server.stop(0).wait()


def _packed(message: Any) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(message)
    return packed
