"""Refuses cheaply: a call that the bound has no place for is answered without the chain and before its request is read.

Refusing is what an overloaded server does most. By the chain it costs half of what a message costs, and at four times
the load the refused calls leave the accepted ones too little of the machine. The answer is the one that the chain
gives; `concurrency.py` still refuses what comes between.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Any

import grpc

from memory_grpc.errors import Overloaded
from memory_grpc.interceptors.concurrency import ConcurrencyLimiter
from memory_grpc.interceptors.gate import Gate
from memory_grpc.interceptors.observe import meter, request_id_of
from memory_grpc.interceptors.translate import status_of
from memory_grpc.observability import metrics
from memory_grpc.rpcs import FACTS

# What there are many calls of: full name -> kind. Calls of other kinds go the usual way.
SHED = {name: facts.kind for name, facts in FACTS.items() if facts.kind in ("read", "write")}


class Shed:
    """Refuses reads and writes while their bound is full; only methods of the contract, by their full names, so that no
    name of a stranger's choosing becomes a metric."""

    def __init__(self, gate: Gate, door: ConcurrencyLimiter) -> None:
        self._gate = gate
        self._door = door
        self._message = str(Overloaded())
        self._counts = {kind: metrics.CALLS_SHED.labels(kind) for kind in SHED.values()}
        self._code, self._trailers = status_of(Overloaded(), self._message)

    def __call__(self, method: str, metadata: Mapping[str, str]) -> Any:
        """The handler that refuses a call of this method, or None when the chain is to serve it."""
        kind = SHED.get(method)
        if kind is None or not self._gate.is_open or not self._door.is_full(kind, metadata):
            return None
        service, _, name = method.strip("/").partition("/")
        counts = meter("unary", service, name)
        request_id = request_id_of(metadata)

        async def refuse(_: AsyncIterator[bytes], context: Any) -> None:
            counts.started()
            self._counts[kind].inc()
            counts.handled(self._code.name, 0.0)
            await context.abort(self._code, self._message, (("x-request-id", request_id), *self._trailers))

        # As of a stream, though the call is unary: the request of a unary call is read before its handler is asked.
        return grpc.stream_stream_rpc_method_handler(refuse)
