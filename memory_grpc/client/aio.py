"""The client for asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Callable, Mapping
from typing import Any, Self, TypeVar

import grpc

from memory_grpc.client import channel
from memory_grpc.client.async_feed import AsyncFeed, told
from memory_grpc.client.base import Base
from memory_grpc.client.convert import result
from memory_grpc.client.errors import from_call
from memory_grpc.client.pages import AsyncPages, kept
from memory_grpc.client.retry import Attempts
from memory_grpc.client.rpc import Rpc
from memory_grpc.client.streams import Resumption
from memory_layer.client.async_calls import AsyncCalls

T = TypeVar("T")
Item = TypeVar("Item")


class AsyncMemoryClient(Base, AsyncCalls):
    """MemoryClient for asyncio. It belongs to the event loop in which it makes its first call.

    ::

        async with AsyncMemoryClient("http://127.0.0.1:8000", tenant_id="acme") as memory:
            await memory.remember("I love Python", conversation_id="c-1", user_id="u-7")
            async for message in memory.list_messages(user_id="u-7"):
                print(message.content)
    """

    _channel: grpc.aio.Channel | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes the connection, and ends the calls in progress. A later call connects again."""
        if self._channel is not None:
            closing, self._channel = self._channel, None
            await closing.close(None)

    async def _call(self, rpc: Rpc[T], arguments: Mapping[str, Any], timeout: float | None) -> T:
        request, attempts = self._request(rpc, arguments), self._attempts(rpc, timeout)
        while True:
            try:
                begun = self._seen.begun()
                call = self._stub("unary_unary", rpc)(request, **self._how(attempts))
                answer: T = result(await call)
                self._noted(rpc, await call.initial_metadata(), begun)
                return answer
            except grpc.aio.AioRpcError as error:
                failure = self._failure(error)
            await asyncio.sleep(attempts.pause_after(failure))

    def _pages(
        self, rpc: Rpc[T], items: str, item: type[Item], arguments: Mapping[str, Any], timeout: float | None
    ) -> AsyncPages[T, Item]:
        arguments = kept(arguments)

        async def fetch(token: str | None) -> T:
            return await self._call(rpc, {**arguments, **({"page_token": token} if token else {})}, timeout)

        return AsyncPages(fetch, items)

    async def _stream(self, rpc: Rpc[T], arguments: Mapping[str, Any], timeout: float | None) -> AsyncIterator[T]:
        resumption, attempts = Resumption(self._request(rpc, arguments)), self._bounded(rpc, timeout)
        while True:
            stream = self._stub("unary_stream", rpc)(resumption.request, **self._how(attempts))
            try:
                async for record in stream:
                    attempts.progress()
                    if resumption.takes(record):
                        yield result(record)
                return
            except grpc.aio.AioRpcError as error:
                failure = from_call(error)
            finally:
                stream.cancel()
            await asyncio.sleep(attempts.pause_after(failure))

    async def _exchange(
        self, rpc: Rpc[T], field: str, requests: AsyncIterable[Any], timeout: float | None
    ) -> AsyncIterator[T]:
        feed = AsyncFeed(aiter(requests), lambda value: self._request(rpc, {field: value}))
        attempts = self._bounded(rpc, timeout)
        try:
            while True:
                token, begun = object(), self._seen.begun()
                stream = self._stub("stream_stream", rpc)(feed.requests(), **self._how(attempts))
                try:
                    async for response in stream:
                        attempts.progress()
                        self._seen.acknowledged(token)
                        yield result(feed.answer(response))
                    self._seen.ended(token, await stream.trailing_metadata(), well=True, begun=begun)
                    failure = None
                except grpc.aio.AioRpcError as error:
                    failure = told(self._failure(error, token, begun))
                finally:
                    stream.cancel()
                if failure is None:
                    if feed.failure is not None:
                        raise feed.failure
                    return
                await asyncio.sleep(attempts.pause_after(failure))
        finally:
            feed.close()

    def _how(self, attempts: Attempts) -> dict[str, Any]:
        return {"timeout": attempts.left(), "metadata": self._key_and_position()}

    def _stub(self, shape: str, rpc: Rpc[Any]) -> Callable[..., Any]:
        if self._channel is None:
            self._channel = channel.open_channel_aio(self._endpoint, self._options, self._credentials)
        stub: Callable[..., Any] = getattr(self._channel, shape)(
            rpc.path,
            request_serializer=rpc.request.SerializeToString,
            response_deserializer=rpc.response.FromString,
        )
        return stub
