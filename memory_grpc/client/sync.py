"""The client for threads."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Self, TypeVar

import grpc

from memory_grpc.client import channel
from memory_grpc.client.base import Base
from memory_grpc.client.convert import result
from memory_grpc.client.errors import MemoryServiceError, from_call
from memory_grpc.client.pages import Pages, kept
from memory_grpc.client.retry import Attempts
from memory_grpc.client.rpc import Rpc
from memory_grpc.client.streams import Feed, Resumption
from memory_layer.client.calls import Calls

T = TypeVar("T")
Item = TypeVar("Item")


class MemoryClient(Base, Calls):
    """Calls the service. Threads may share a client; create it after a fork, not before.

    ::

        with MemoryClient("http://127.0.0.1:8000", tenant_id="acme") as memory:
            memory.remember("I love Python", conversation_id="c-1", user_id="u-7")
            print(memory.context("What do I like?", user_id="u-7").text)

    Every method takes ``timeout``: seconds for the call, including all its attempts. Lists are iterators that fetch
    pages as needed; each page has the whole ``timeout``. Streams have no time limit unless they are given one.
    """

    _channel: grpc.Channel | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connection, and ends the calls in progress. A later call connects again."""
        if self._channel is not None:
            self._channel.close()
            self._channel = None

    def _call(self, rpc: Rpc[T], arguments: Mapping[str, Any], timeout: float | None) -> T:
        answer: T = result(self._send(rpc, self._request(rpc, arguments), self._attempts(rpc, timeout)))
        return answer

    def _send(
        self,
        rpc: Rpc[Any],
        request: Any,
        attempts: Attempts,
        note: Callable[[MemoryServiceError, float], None] | None = None,
    ) -> Any:
        """The protobuf answer to a protobuf request; ``note`` is told of failures that are waited out, for how long."""
        while True:
            try:
                begun = self._seen.begun()
                answer, call = self._stub("unary_unary", rpc).with_call(request, **self._how(attempts))
                self._noted(rpc, call.initial_metadata(), begun)
                return answer
            except grpc.RpcError as error:
                failure = self._failure(error)
            pause = attempts.pause_after(failure)
            if note is not None:
                note(failure, pause)
            time.sleep(pause)

    def _pages(
        self, rpc: Rpc[T], items: str, item: type[Item], arguments: Mapping[str, Any], timeout: float | None
    ) -> Pages[T, Item]:
        arguments = kept(arguments)

        def fetch(token: str | None) -> T:
            return self._call(rpc, {**arguments, **({"page_token": token} if token else {})}, timeout)

        return Pages(fetch, items)

    def _stream(self, rpc: Rpc[T], arguments: Mapping[str, Any], timeout: float | None) -> Iterator[T]:
        resumption, attempts = Resumption(self._request(rpc, arguments)), self._bounded(rpc, timeout)
        while True:
            stream = self._stub("unary_stream", rpc)(resumption.request, **self._how(attempts))
            try:
                for record in stream:
                    attempts.progress()
                    if resumption.takes(record):
                        yield result(record)
                return
            except grpc.RpcError as error:
                failure = from_call(error)
            finally:
                stream.cancel()
            time.sleep(attempts.pause_after(failure))

    def _exchange(self, rpc: Rpc[T], field: str, requests: Iterable[Any], timeout: float | None) -> Iterator[T]:
        feed = Feed(iter(requests), lambda value: self._request(rpc, {field: value}))
        attempts = self._bounded(rpc, timeout)
        while True:
            token, begun = object(), self._seen.begun()
            stream = self._stub("stream_stream", rpc)(feed.requests(), **self._how(attempts))
            try:
                for response in stream:
                    attempts.progress()
                    self._seen.acknowledged(token)
                    yield result(feed.answer(response))
                self._seen.ended(token, stream.trailing_metadata(), well=True, begun=begun)
                failure = None
            except grpc.RpcError as error:
                failure = self._failure(error, token, begun)
            finally:
                stream.cancel()
            if failure is None:
                if feed.failure is not None:
                    raise feed.failure
                return
            time.sleep(attempts.pause_after(failure))

    def _how(self, attempts: Attempts) -> dict[str, Any]:
        return {"timeout": attempts.left(), "metadata": self._key_and_position()}

    def _open(self) -> grpc.Channel:
        with self._opening:
            if self._channel is None:
                self._channel = channel.open_channel(self._endpoint, self._options, self._credentials)
            return self._channel

    def _stub(self, shape: str, rpc: Rpc[Any]) -> Any:
        return getattr(self._open(), shape)(
            rpc.path,
            request_serializer=rpc.request.SerializeToString,
            response_deserializer=rpc.response.FromString,
        )
