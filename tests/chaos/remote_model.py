"""An OpenAI-compatible model on loopback that answers sanely, or as badly as it is told to."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, closing, suppress
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from tests.bad_answers import ENDLESS, packed

DIMENSIONS = 384


def answer(body: bytes, *headers: str, status: str = "200 OK", length: int | None = None) -> bytes:
    """An HTTP answer; ``length`` says another length than the body has."""
    lines = [f"HTTP/1.1 {status}", "content-type: application/json", "connection: close", *headers]
    lines.append(f"content-length: {len(body) if length is None else length}")
    return "\r\n".join([*lines, "", ""]).encode() + body


def vectors(texts: list[str], **changes: Any) -> bytes:
    """A sane answer's body: a text's vector points where its length says."""
    data = [
        {"index": number, "embedding": [1.0 if at == len(text) % DIMENSIONS else 0.0 for at in range(DIMENSIONS)]}
        for number, text in enumerate(texts)
    ]
    return json.dumps({"data": data} | changes).encode()


def of(embedding: Any) -> Callable[[str, list[str]], bytes]:
    """Every text gets this for an embedding."""
    return lambda _, texts: answer(
        json.dumps({"data": [{"index": n, "embedding": embedding} for n in range(len(texts))]}).encode()
    )


_ENDLESS = "body"
_DATE = "Tue, 21 Oct 2025 07:28:00"


@cache
def _bomb() -> bytes:
    return packed(bytes(1 << 28), layers=2)


# How it fails: from what was sent (head and texts) to the bytes that come back before it hangs up, or goes on without
# end.
FAULTS: dict[str, Callable[[str, list[str]], bytes]] = {
    "hangs up at once": lambda head, texts: b"",
    "hangs up in mid-head": lambda head, texts: b"HTTP/1.1 200 OK\r\ncontent-le",
    "hangs up in mid-answer": lambda head, texts: answer(vectors(texts)[:100], length=100_000),
    "speaks no HTTP": lambda head, texts: b"\x00\xff" * 500,
    # With all that it was sent, the key in its header included.
    "500": lambda head, texts: answer(f"{head} {texts}".encode(), status="500 Internal Server Error"),
    "401": lambda head, texts: answer(f"{head} {texts}".encode(), status="401 Unauthorized"),
    "no JSON": lambda head, texts: answer(f"<html>{head} {texts}".encode()),
    "JSON without an end": lambda head, texts: answer(vectors(texts)[:-20]),
    "brackets": lambda head, texts: answer(b"[" * 100_000),
    "a broken gzip": lambda head, texts: answer(b"\x1f\x8b\x08" + b"\xff" * 99, "content-encoding: gzip"),
    "a gzip": lambda head, texts: packed(vectors(texts)),
    "256 MiB, packed twice": lambda head, texts: _bomb(),
    "a broken zstd": lambda head, texts: answer(head.encode(), "content-encoding: zstd"),
    "much": lambda head, texts: answer(b"[" + b"[]," * 10_000_000 + b"0]"),
    "a date beyond all time": lambda head, texts: answer(
        b"", f"retry-after: {_DATE} +99999999999999999", f"date: {_DATE} +0000", status="503 Service Unavailable"
    ),
    "a redirect to a file": lambda head, texts: answer(b"", "location: file:///etc/passwd", status="302 Found"),
    "numbers as texts": of(["1.5"] * DIMENSIONS),
    "a redirect": lambda head, texts: answer(b"", "location: http://127.0.0.1:1/", status="307 Temporary Redirect"),
    "no vectors": lambda head, texts: answer(vectors([])),
    "one too many": lambda head, texts: answer(vectors([*texts, "more"])),
    "wrong dimension": of([1.0] * (DIMENSIONS - 1)),
    "NaN": of([float("nan")] * DIMENSIONS),
    "infinity": of([float("inf")] * DIMENSIONS),
    "1e999": lambda head, texts: answer(vectors(texts).replace(b"1.0", b"1e999")),
    "zeros": of([0.0] * DIMENSIONS),
    "words": of(["no"] * DIMENSIONS),
    "null": of(None),
    _ENDLESS: lambda head, texts: ENDLESS[_ENDLESS][0],
}


@dataclass
class RemoteModel:
    """``fault`` is one of FAULTS, or empty while it is sane; ``asked`` counts requests."""

    url: str = ""
    fault: str = ""
    asked: int = 0
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request, one answer."""
        task = asyncio.create_task(self._serve(reader, writer))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def close(self) -> None:
        """Hangs up on whoever still waits."""
        for task in list(self.tasks):
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with closing(writer), suppress(OSError, asyncio.IncompleteReadError):
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            length = next(int(line[15:]) for line in head.lower().splitlines() if line.startswith("content-length:"))
            texts = json.loads(await reader.readexactly(length))["input"]
            self.asked += 1
            writer.write(FAULTS[self.fault](head, texts) if self.fault else answer(vectors(texts)))
            await writer.drain()
            while self.fault == _ENDLESS:
                await asyncio.sleep(0.05)
                writer.write(ENDLESS[_ENDLESS][1])
                await writer.drain()


@asynccontextmanager
async def remote_model() -> AsyncIterator[RemoteModel]:
    """One that listens inside the block, sane at first."""
    model = RemoteModel()
    listener = await asyncio.start_server(model.serve, "127.0.0.1", 0)
    model.url = f"http://127.0.0.1:{listener.sockets[0].getsockname()[1]}/v1"
    try:
        yield model
    finally:
        listener.close()
        await model.close()
        await listener.wait_closed()
