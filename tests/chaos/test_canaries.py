"""What was sent stands in no error, header, trailer, log line or metric: canaries in every position of every RPC."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from itertools import count, islice
from pathlib import Path
from typing import Any
from urllib.parse import quote

import grpc
import httpx
import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor

from tests.access import RPCS, VARIABLE, Rpc, fields, request
from tests.chaos.edge import Edge, edge
from tests.chaos.harness import connected, item, rounds, scrape

pytestmark = pytest.mark.timeout(1200)

KEY = "a key that is long enough"
TEXT, NUMBER, WORD = "canary sings", "471147114711471147", "canary"
SEEN = re.compile(r"canary|4711471147|4\.7114711", re.IGNORECASE)
HERE = '"HERE"'
# What a client calls its call comes back to it, and nothing else of what it sent.
REQUEST_ID = "x-request-id"
# One in so many of the calls is made; 1 makes all, two minutes of them. No number of canaries is a multiple of it.
EVERY = rounds("CANARIES", 4)
# What a product may send by mistake where something else belongs, as JSON.
POISON = [
    f'"{TEXT}"',
    NUMBER,
    "-4.711471147114711e300",
    f"{NUMBER}e999",
    f'["{TEXT}", {NUMBER}]',
    f'{{"{TEXT}": "{TEXT}"}}',
    f'{{"{WORD}": {NUMBER}, "{WORD}s": [{NUMBER}]}}',
    f'{{"{TEXT}": 1, "{TEXT}": 2}}',
    f'{{"{TEXT}": ' * 100 + "1" + "}" * 100,
    WORD,
    f'"a" "{TEXT}"',
    f'"ü" "{TEXT}"',
    f'"🙂" 🙂 {TEXT}',
    f'"\\ud800{TEXT}"',
    f'"{TEXT}\\u0000"',
    f'"{TEXT}\\u12"',
    f'"{TEXT}',
    f'"{TEXT}" }} {TEXT}',
    f'"x", "{TEXT}": "{TEXT}"',
    f'"x", "tenant_id": "{TEXT}", "tenant_id": {NUMBER}',
    f'"2026-{TEXT}"',
    f'"{TEXT * 20_000}"',
]
BYTES = [b'"caf\xe9 ' + TEXT.encode() + b'"', b'"\xed\xa0\x80' + TEXT.encode() + b'"', TEXT.encode("utf-16")]
IN_URLS = [
    TEXT,
    NUMBER,
    f"{NUMBER}.5",
    f"%ff{WORD}",
    f"%00{WORD}",
    f"2026-{WORD}",
    f"{WORD}%",
    "é" + WORD,
    WORD * 2_000,
]


class Listener:
    """Keeps what was told that had been sent."""

    def __init__(self) -> None:
        self.tried = 0
        self.refused = 0
        self.leaks: list[str] = []

    def heard(self, what: str, *texts: str) -> None:
        for text in texts:
            if found := SEEN.search(text):
                self.leaks.append(f"{what}: …{text[max(0, found.start() - 200) : found.end() + 40]}…")

    def answered(self, what: str, answer: httpx.Response) -> None:
        """An answer repeats what it was asked for; an error does not, nor do headers."""
        self.tried += 1
        self.heard(what, *(f"{name}: {value}" for name, value in answer.headers.items() if name != REQUEST_ID))
        if answer.status_code >= 400:
            self.refused += 1
            # As it was written, and as it is read.
            self.heard(what, answer.content.decode("latin-1"), str(answer.json()))

    def failed(self, what: str, error: grpc.aio.AioRpcError) -> None:
        self.refused += 1
        trailers = [*(error.initial_metadata() or ()), *(error.trailing_metadata() or ())]
        told = [
            value.decode("latin-1") if isinstance(value, bytes) else value
            for name, value in trailers
            if name != REQUEST_ID
        ]
        self.heard(what, str(error.details()), error.debug_error_string(), *told)


def places(descriptor: Descriptor, valid: Any) -> Iterator[Any]:
    """A valid body with HERE in each of its fields, those of messages within it too."""
    for field in descriptor.fields:
        yield {**valid, field.name: "HERE"}
        if field.is_repeated:
            yield {**valid, field.name: ["HERE"]}
        if field.message_type is not None:
            name = field.message_type.full_name
            if name == "google.protobuf.Struct":
                yield from ({**valid, field.name: {"a": inner}} for inner in ("HERE", ["HERE"], {"b": "HERE"}))
            elif name.startswith("memory_layer."):
                for inner in places(field.message_type, request(field.message_type, {})):
                    yield {**valid, field.name: [inner] if field.is_repeated else inner}


def bodies(rpc: Rpc) -> Iterator[bytes]:
    """Bodies of a REST call with a canary in them."""
    for place in places(rpc.method.input_type, request(rpc.method.input_type, {})):
        written = json.dumps(place)
        yield from (written.replace(HERE, poison).encode() for poison in POISON)
        yield from (written.encode().replace(HERE.encode(), poison) for poison in BYTES)
    yield from (poison.encode() for poison in POISON)
    yield from BYTES


async def by_rest(running: Edge, listener: Listener) -> None:
    async def call(what: str, verb: str, path: str, **given: Any) -> None:
        headers = {"x-api-key": KEY, "content-type": "application/json"} | given.pop("headers", {})
        listener.answered(what, await running.http.request(verb.upper(), path, headers=headers, **given))

    numbers = count()

    async def some(*called: Any, **given: Any) -> None:
        if next(numbers) % EVERY == 0:
            await call(*called, **given)

    for rpc in RPCS:
        for verb, path, body in rpc.bindings:
            rest = request(rpc.method.input_type, {})
            plain = VARIABLE.sub(lambda found, rest=rest: quote(str(rest.pop(found[1], 1)), safe=""), path)
            query = "&".join(f"{name}={quote(str(value))}" for name, value in rest.items())
            if body:
                for content in bodies(rpc):
                    await some(f"{rpc.name} {content[:300]!r}", verb, plain, content=content)
            for poison in IN_URLS:
                for wrong in VARIABLE.findall(path):
                    at = path.replace(f"{{{wrong}}}", poison)
                    await some(f"{rpc.name} {at}", verb, VARIABLE.sub("1", at), content=b"{}" if body else None)
                for name in {*fields(rpc.method.input_type), WORD, f"tenant_id.{WORD}", f"as_of.{WORD}", "a[" + WORD}:
                    at = f"{plain}?{query}&{name}={poison}"
                    await some(f"{rpc.name} {at}", verb, at, content=b"{}" if body else None)
            for at in (
                f"{plain}/{WORD}",
                f"{plain}:{WORD}",
                f"{plain}%2f{WORD}",
                f"{plain}?{WORD}&{WORD}=1&{WORD}%41=1",
            ):
                await call(f"{rpc.name} {at}", verb, at)
            await call(f"{WORD} as a verb of {plain}", WORD, plain)
    good = "/v1/admin/health"
    for at in (f"/{WORD}", f"/v1/{WORD}", f"/docs/{WORD}", f"/metrics/{WORD}?{WORD}={WORD}", f"/docs/%ff{WORD}"):
        await call(at, "get", at)
    for name in (
        f"x-{WORD}",
        f"{WORD}-bin",
        "content-type",
        "accept",
        "accept-language",
        "origin",
        "host",
        "user-agent",
    ):
        await call(f"{name} as a header", "post", "/v1/messages", headers={name: TEXT}, content=b"{}")
    by_name = ("grpc-timeout", "grpc-encoding", "x-api-key", "x-request-id", "authorization", "te", "traceparent")
    for name in (f"x_{WORD}", *by_name):
        await call(f"{name} as a header", "get", good, headers={name: TEXT})
        await call(f"{name} as a header", "post", "/v1/messages", headers={name: TEXT}, content=b"{}")


def _length(raw: bytes) -> bytes:
    return _varint(len(raw)) + raw


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def _tag(field: FieldDescriptor, wire_type: int) -> bytes:
    return _varint(field.number << 3 | wire_type)


def raws(descriptor: Descriptor, depth: int = 0) -> Iterator[bytes]:
    """Fields with canaries in them, of the right wire type and of the wrong one, at any depth."""
    text = TEXT.encode()
    for field in descriptor.fields:
        for value in (text, b"\xff" + text, b"\x00" + text, text * 20_000):
            yield _tag(field, 2) + _length(value)
        yield _tag(field, 0) + _varint(int(NUMBER))
        yield _tag(field, 1) + text[:8]
        yield _tag(field, 2) + _varint(2**31) + text
        if field.message_type is not None and depth < 4:
            yield from (_tag(field, 2) + _length(inner) for inner in raws(field.message_type, depth + 1))


async def by_grpc(address: str, listener: Listener) -> None:
    async with connected(address) as client:

        async def call(what: str, path: str, raw: bytes, metadata: Any = (), *, streams: bool = False) -> None:
            listener.tried += 1
            asked = [("x-api-key", KEY)] if not any(name == "x-api-key" for name, _ in metadata) else []
            options: Any = {"metadata": [*asked, *metadata], "timeout": 30}
            try:
                if streams:
                    answers = client.channel.stream_stream(path)(iter([raw]), **options)
                    async for _ in answers:
                        pass
                else:
                    await client.channel.unary_unary(path)(raw, **options)
            except grpc.aio.AioRpcError as error:
                listener.failed(what, error)

        for rpc in RPCS:
            both = rpc.method.client_streaming or rpc.method.server_streaming
            for raw in islice(raws(rpc.method.input_type), 0, None, EVERY):
                await call(f"{rpc.name} {raw[:60]!r}", rpc.path, raw, streams=both)
        for path in (
            f"/memory_layer.v1.MemoryService/{WORD}",
            f"/{WORD}.Service/Method",
            f"/grpc.reflection.v1.{WORD}/X",
        ):
            await call(path, path, b"")
        path = "/memory_layer.v1.MemoryService/GetMessage"
        for pair in ((f"x-{WORD}", TEXT), (f"{WORD}-bin", TEXT.encode()), ("x-api-key", TEXT), ("x-request-id", TEXT)):
            await call(f"{pair} as metadata", path, b"", [pair])
        for pair in (("authorization", f"Bearer {WORD}"), ("x-forwarded-for", TEXT), ("traceparent", TEXT)):
            await call(f"{pair} as metadata", path, b"", [pair])


@pytest.mark.asyncio
async def test_15_nothing_that_was_sent_is_told(dsn: str, tmp_path: Path) -> None:
    listener = Listener()
    with item(15, "canaries in every position of every RPC") as result:
        async with edge(dsn, tmp_path, API_KEYS=KEY, LOG_LEVEL="DEBUG") as running:
            await by_rest(running, listener)
            await by_grpc(running.server.address, listener)
            await by_grpc(f"127.0.0.1:{running.port}", listener)
            assert await asyncio.to_thread(lambda: running.is_running)
            for path in ("/metrics", "/openapi.json"):
                listener.heard(path, await scrape(running.server, path))
            listener.heard("the log", *running.server.text.splitlines())
        # Envoy writes its lines in batches, the last of them at its end.
        listener.heard("Envoy's log", *running.envoy.log.read_text(errors="replace").splitlines())
        result.tried, result.held = listener.tried, listener.tried - len(listener.leaks)
        assert listener.refused > listener.tried / 4, "errors were what was listened to"
        assert not listener.leaks, f"{len(listener.leaks)} of {listener.tried}\n" + "\n".join(listener.leaks[:40])
