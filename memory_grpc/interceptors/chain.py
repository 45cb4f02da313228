"""The interceptors, outermost first. The order is the contract of this file, and a test asserts it.

=============  =====================================================================================================
observe        first, so that every call is counted, timed and logged with the code that the client saw
translate      everything below may raise; from here on outwards there are only gRPC statuses, never exception texts
gate           a server that is starting or draining refuses calls before it does any work for them
concurrency    before anything is spent on it, a call that would be late is refused; see ``concurrency.py``
rate_limit     before the key is looked at: guessing keys is limited too
audit          around all that can refuse a call or its key, and outside the deadline, so that an end by it is seen too
deadline       starts the clock for everything that does real work, looking a key up included
authenticate   before the request is read: bytes of strangers are not parsed
key_limit      now that the key is known, and before anything is done for it
authorize      the role, before the request is read too
position       what a caller wrote before has to be there, before anything is read for it
share          now that it is known who opens a stream, one of a caller with too many is refused
(decode)       bytes to message, then the limits of the contract; see ``decode.py``
(permit)       the tenants that the decoded message names, and their share; for each message of a stream its key again
(encode)       message to bytes, the same in every process; see ``encode.py``
=============  =====================================================================================================

Probes and reflection pass the same chain: each interceptor says for itself what it asks of them. A call that
``concurrency`` would refuse for certain is answered in front of it, with the same words; see ``shed.py``. So is one
with more headers than any client has: grpc bounds their bytes only once its client has acknowledged the settings.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, nullcontext
from typing import Any, TypeAlias, cast

import grpc

from memory_grpc import headers, positions
from memory_grpc.accounts import ACCOUNTS, Kind
from memory_grpc.encode import encode, encoded
from memory_grpc.errors import BodyTooLarge, UnknownMethod
from memory_grpc.interceptors import decode
from memory_grpc.interceptors.authenticate import guard_reflection
from memory_grpc.interceptors.call import UNKNOWN_METHOD, Call, Interceptor
from memory_grpc.interceptors.observe import meter, new_request_id
from memory_grpc.interceptors.translate import status_of

MOST_HEADERS = 256
"""Of a call. Envoy lets 100 through."""

# Generic in the type stubs only.
Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"

# Raises when this decoded request of a call is not allowed.
Permit = Callable[[Call, Any], Awaitable[None]]


# Given a method and a call's metadata, what answers the call in the chain's stead, or None.
Shortcut = Callable[[str, dict[str, str]], Any]


def no_shortcut(method: str, metadata: dict[str, str]) -> None:
    """Every call goes through the chain."""


def _bill(call: Call, kind: Kind, size: int) -> None:
    """Charges bytes of a request or an answer to whom the call is of."""
    if not call.is_probe:
        ACCOUNTS.charge(kind, size, call.account)


def _too_many_headers() -> Handler:
    """The answer to a call of which nothing is kept, as of a stream: the request of a unary call is waited for."""
    error = BodyTooLarge()
    code, trailers = status_of(error, str(error))
    counts = meter("unary", *UNKNOWN_METHOD.strip("/").split("/"))

    async def refuse(_: AsyncIterator[bytes], context: Any) -> None:
        counts.started()
        counts.handled(code.name, 0.0)
        await context.abort(code, str(error), (("x-request-id", new_request_id()), *trailers))

    return grpc.stream_stream_rpc_method_handler(refuse)


async def permit_all(call: Call, request: Any) -> None:
    """Nothing is asked of the requests."""


def no_headers(call: Call) -> headers.Headers:
    """Answers have none but those of the service."""
    return []


def no_places(call: Call) -> AbstractAsyncContextManager[None]:
    """Any number of calls are at work at once."""
    return nullcontext()


class Chain(grpc.aio.ServerInterceptor):  # type: ignore[type-arg]  # not generic at run time
    """Wraps every RPC handler of a server in the interceptors, in order."""

    def __init__(
        self,
        interceptors: Sequence[Interceptor],
        max_request_bytes: int,
        permit: Permit = permit_all,
        shortcut: Shortcut = no_shortcut,
        holds: Permit = permit_all,
        done: Callable[[Call], headers.Headers] = no_headers,
        at_work: Callable[[Call], AbstractAsyncContextManager[None]] = no_places,
    ) -> None:
        """``holds`` is asked before each answer of a stream whether it may still come; ``done`` gives the headers of a
        call that has succeeded: of a stream of answers to requests they come at its end."""
        self.interceptors = tuple(interceptors)
        self._max_request_bytes = max_request_bytes
        self._permit = permit
        self._shortcut = shortcut
        self._holds = holds
        self._done = done
        self._at_work = at_work

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Handler]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Handler:
        """The handler of a call, wrapped; for a method that does not exist, one that says so."""
        pairs: Any = handler_call_details.invocation_metadata or ()
        if len(pairs) > MOST_HEADERS:
            return _too_many_headers()
        metadata = {str(key): value for key, value in pairs if isinstance(value, str)}
        if (short := self._shortcut(str(handler_call_details.method), metadata)) is not None:
            return cast(Handler, short)
        handler = cast(Any, await continuation(handler_call_details))
        if handler is None:
            return self._unknown(metadata)
        return self._wrap(handler, str(handler_call_details.method), metadata)

    @asynccontextmanager
    async def _around(self, method: str, kind: str, metadata: dict[str, str], context: Any) -> AsyncIterator[Call]:
        call = Call(method, kind, context, metadata)
        async with AsyncExitStack() as stack:
            for interceptor in self.interceptors:
                await stack.enter_async_context(interceptor(call))
            yield call

    def _unknown(self, metadata: dict[str, str]) -> Handler:
        """The answer to methods that do not exist, all under one name."""

        async def unknown(raw: bytes, context: Any) -> Any:
            async with self._around(UNKNOWN_METHOD, "unary", metadata, context):
                raise UnknownMethod

        return grpc.unary_unary_rpc_method_handler(unknown)

    def _wrap(self, handler: Any, method: str, metadata: dict[str, str]) -> Handler:
        read = decode.reader(handler.request_deserializer, self._max_request_bytes)

        async def unary(raw: bytes, context: Any) -> Any:
            async with self._around(method, "unary", metadata, context) as call:
                request = await read(raw)
                await self._permit(call, request)
                _bill(call, "bytes_in", len(raw))
                given = headers.begin()
                # Twice where a copy of the database fails it: what writes reads from none.
                async with self._at_work(call):
                    response = encoded(await positions.read(lambda: handler.unary_unary(request, context)))
                _bill(call, "bytes_out", len(response))
                if call.facts.http_status != 200:
                    # Envoy's transcoder answers 200; a filter of ours makes it what this header says.
                    given.append(("x-http-status", str(call.facts.http_status)))
                given += self._done(call)
                if given:
                    await context.send_initial_metadata(given)
                return response

        async def server_stream(raw: bytes, context: Any) -> AsyncIterator[Any]:
            async with self._around(method, "server_stream", metadata, context) as call:
                request = await read(raw)
                await self._permit(call, request)
                _bill(call, "bytes_in", len(raw))
                async for response in handler.unary_stream(request, context):
                    await self._holds(call, request)
                    answer = encoded(response)
                    _bill(call, "bytes_out", len(answer))
                    yield answer

        async def permitted(call: Call, raws: AsyncIterator[bytes]) -> AsyncIterator[Any]:
            async for raw in raws:
                request = await read(raw)
                await self._permit(call, request)
                _bill(call, "bytes_in", len(raw))
                yield request

        async def bidi_stream(raws: AsyncIterator[bytes], context: Any) -> AsyncIterator[Any]:
            async with self._around(method, "bidi_stream", metadata, context) as call:
                requests: AsyncIterator[Any] = permitted(call, raws)
                if call.is_reflection:
                    requests = guard_reflection(call, requests)
                async for response in handler.stream_stream(requests, context):
                    answer = encode(response)
                    _bill(call, "bytes_out", len(answer))
                    yield answer
                if last := self._done(call):
                    context.set_trailing_metadata(tuple(last))

        if handler.request_streaming:
            return grpc.stream_stream_rpc_method_handler(bidi_stream)
        if handler.response_streaming:
            return grpc.unary_stream_rpc_method_handler(server_stream, None, encoded)
        return grpc.unary_unary_rpc_method_handler(unary)
