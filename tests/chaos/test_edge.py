"""Strangers at the edge: odd headers, slow bodies, floods. Each is answered or cut, and nobody else notices."""

from __future__ import annotations

import asyncio
import json
import os
import time
from pathlib import Path

import grpc
import pytest

from tests.chaos.edge import edge, exchange, patch_envoy, status
from tests.chaos.harness import connected, item, message

pytestmark = pytest.mark.timeout(300)

HEALTH = b"GET /v1/admin/health HTTP/1.1\r\nhost: localhost\r\n"
INGEST = b"POST /v1/messages HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
BODY = json.dumps({"tenant_id": "t", "conversation_id": "c", "role": "user", "content": "slow"}).encode()

# Headers, and the statuses that are right for them.
FINE, BAD, LARGE = {200}, {400}, {431}
HEADERS: dict[str, tuple[bytes, set[int]]] = {
    "names that gRPC has not": (b"^: x\r\na$b: x\r\n!#'*+|~`%&: x", FINE),
    "Latin-1": (b"x-a: Jos\xe9", FINE),
    "UTF-8": ("x-a: José 🎉".encode(), FINE),
    "surrogates": (b"x-a: \xed\xa0\x80", FINE),
    "a tab": (b"x-a: a\tb", FINE),
    "nothing": (b"x-a:", FINE),
    "binary that is no base64": (b"x-a-bin: !!!", FINE),
    "binary of gRPC's own": (b"grpc-trace-bin: z\r\ngrpc-tags-bin: @\r\ngrpc-server-stats-bin: ?", FINE),
    "costs": (b"lb-cost-bin: abc\r\nlb-token: x\r\nendpoint-load-metrics-bin: abc", FINE),
    "a timeout that is none": (b"grpc-timeout: bogus", FINE),
    "a negative timeout": (b"grpc-timeout: -5S", FINE),
    "a timeout of ages": (b"grpc-timeout: 99999999999H", FINE),
    "a timeout of nothing": (b"grpc-timeout: 0m", {504}),
    "an encoding that is none": (b"grpc-encoding: bogus", FINE),
    "an encoding of nothing": (b"grpc-encoding: gzip", FINE),
    "attempts": (b"grpc-previous-rpc-attempts: x\r\ngrpc-retry-pushback-ms: x", FINE),
    "internals": (b"grpc-internal-encoding-request: x\r\ngrpc-status: 13\r\ngrpc-message: x", FINE),
    "who calls": (b"x-forwarded-for: nonsense, \xe9\r\nx-request-id: \xe9", FINE),
    "te": (b"te: chunked", FINE),
    "an upgrade": (b"connection: upgrade\r\nupgrade: websocket", FINE),
    "a transfer-encoding that nobody speaks": (b"transfer-encoding: gzip, chunked", BAD),
    "two lengths": (b"content-length: 0\r\ncontent-length: 5", BAD),
    "a length and chunks": (b"content-length: 0\r\ntransfer-encoding: chunked", BAD),
    "a length that is none": (b"content-length: 1e3", BAD),
    "underscores": (b"x_api_key: x", BAD),
    "a space in a name": (b"a b: x", BAD),
    "a control character": (b"x-a: a\x01b", BAD),
    "NUL": (b"x-a: a\0b", BAD),
    "90 headers": (b"\r\n".join(b"x-%d: y" % number for number in range(90)), FINE),
    "a flood of 200 headers": (b"\r\n".join(b"x-%d: y" % number for number in range(200)), LARGE),
    "a flood of 100,000 headers": (b"\r\n".join(b"x-%d: y" % number for number in range(100_000)), LARGE),
    "20 kB in one": (b"x-a: " + b"y" * 20_000, FINE),
    "64 kB in one": (b"x-a: " + b"y" * 65_536, LARGE),
    "10 MB in one": (b"x-a: " + b"y" * 10_000_000, LARGE),
}


@pytest.mark.asyncio
async def test_14_headers_of_strangers(dsn: str, tmp_path: Path) -> None:
    wrong: list[str] = []
    with item(14, "headers over REST, and everybody else after each") as result:
        async with edge(dsn, tmp_path) as running:
            for name, (headers, right) in HEADERS.items():
                result.tried += 1
                answer = await exchange(running.port, HEALTH + b"connection: close\r\n" + headers + b"\r\n\r\n")
                got = status(answer)
                # A flood may be hung up on while it is still being sent.
                if got not in right and not (right == LARGE and not answer):
                    wrong.append(f"{name}: {answer[:300]!r}, not {sorted(right)}")
                    continue
                # The next calls of others, over every connection that Envoy has to the server.
                others = await asyncio.gather(*(running.http.get("/v1/admin/health") for _ in range(8)))
                if {other.status_code for other in others} != {200}:
                    wrong.append(f"after {name}: {next(other.text for other in others if other.status_code != 200)}")
                    continue
                result.held += 1
            assert not wrong, "\n".join(wrong)
            assert await running.is_well()


@pytest.mark.asyncio
async def test_14_a_header_that_slips_through_fails_its_own_call_alone(
    dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second lock: with the first one off, grpc refuses the call, and holds nothing against those of others."""
    first_lock = "unfit[#unfit + 1] = key"
    patch_envoy(monkeypatch, {first_lock: ""})
    headers = ["grpc-timeout: bogus", "x-a-bin: !!!", "^: x", "grpc-encoding: bogus", "lb-cost-bin: abc"]
    with item(14, "a bad header and the calls of others") as result:
        async with edge(dsn, tmp_path) as running:
            for header in headers:
                result.tried += 1
                answers = [
                    await exchange(running.port, HEALTH + f"connection: close\r\n{header}\r\n\r\n".encode())
                    for _ in range(4)
                ]
                assert {status(answer) for answer in answers} <= {500, 503}, "the first lock is off"
                others = await asyncio.gather(*(running.http.get("/v1/admin/health") for _ in range(16)))
                assert {other.status_code for other in others} == {200}, header
                result.held += 1


@pytest.mark.asyncio
async def test_14_metadata_of_strangers(dsn: str, tmp_path: Path) -> None:
    """The same by gRPC through Envoy, as far as a client library lets it out."""
    reset = {"INTERNAL"}  # Envoy resets a stream whose headers break HTTP/2's bounds, and clients call that INTERNAL
    cases: dict[str, tuple[list[tuple[str, str | bytes]], set[str]]] = {
        "binary": ([("x-a-bin", b"\x00\xff")], {"OK"}),
        "dots": ([("a.b", "y")], {"OK"}),
        "the caller's address": ([("x-forwarded-for", "nonsense")], {"OK"}),
        "80 entries": ([(f"x-{number}", "y" * 50) for number in range(80)], {"OK"}),
        "200 entries": ([(f"x-{number}", "y" * 50) for number in range(200)], reset),
        "64 kB in one": ([("x-a", "y" * 65_536)], reset),
        "underscores": ([("x_a", "y")], reset),
    }
    with item(14, "metadata through Envoy") as result:
        async with edge(dsn, tmp_path) as running, connected(f"127.0.0.1:{running.port}") as client:
            for name, (metadata, right) in cases.items():
                result.tried += 1
                try:
                    await client.memory.IngestMessage(message("with " + name), metadata=metadata, timeout=10)
                    code, details = "OK", ""
                except grpc.aio.AioRpcError as error:
                    code, details = error.code().name, str(error.details())
                assert code in right, f"{name}: {code} {details}"
                assert code == "OK" or "Received RST_STREAM" in details, "no answer of the service's"
                assert await running.is_well(), name
                result.held += 1


SLOW_SECONDS = 3.0
"""What `test_14_slow_bodies` leaves of the thirty seconds that envoy.yaml gives a body, so that nobody waits."""


@pytest.mark.asyncio
async def test_14_slow_bodies(dsn: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A byte a second: cut when the time for a request is over, while others are served as always."""
    if "CHAOS_SLOW" not in os.environ:
        shorten_timeouts(monkeypatch)
    limit = 30.0 if "CHAOS_SLOW" in os.environ else SLOW_SECONDS
    clients = 50
    with item(14, "slow bodies and slow headers") as result:
        async with edge(dsn, tmp_path) as running:
            length = b"content-length: %d\r\n\r\n" % len(BODY)
            drops = [BODY[at : at + 1] for at in range(len(BODY))]
            slow = {
                "a body": [INGEST + length, *drops],
                "a body in chunks": [
                    INGEST + b"transfer-encoding: chunked\r\n\r\n",
                    *(b"1\r\n" + drop + b"\r\n" for drop in drops),
                ],
                "a body that never comes": [INGEST + length],
                "headers": [HEALTH[at : at + 1] for at in range(len(HEALTH))],
                "headers without an end": [b"GET /v1/admin/health HTTP/1.1\r\n", *(b"x-a: y\r\n",) * 90],
            }
            started = time.monotonic()
            calls = [
                (name, asyncio.ensure_future(exchange(running.port, *parts, pause=1.0, patience=limit + 30)))
                for name, parts in slow.items()
                for _ in range(clients // len(slow))
            ]
            result.tried = len(calls)
            worst = 0.0
            while not all(call.done() for _, call in calls):
                before = time.monotonic()
                assert await running.is_well()
                worst = max(worst, time.monotonic() - before)
                await asyncio.sleep(0.2)
            took = time.monotonic() - started
            for name, call in calls:
                got = status(await call)
                assert got in (0, 408), f"{name}: {got}"
                result.held += 1
            result.note = f"given {limit:.0f} s, cut after {took:.0f} s, others waited {worst * 1000:.0f} ms at most"
            assert took < limit + 10, "none is waited for longer than it is given"
            assert worst < 10, "others are served meanwhile"
            assert await running.is_well()


def shorten_timeouts(monkeypatch: pytest.MonkeyPatch) -> None:
    """envoy.yaml's patience with a slow client, in seconds that a test can wait for."""
    bounds = {
        "max_stream_duration: 30s": "max_stream_duration",
        "request_headers_timeout: 10s": "request_headers_timeout",
    }
    patch_envoy(monkeypatch, {written: f"{name}: {SLOW_SECONDS}s" for written, name in bounds.items()})


@pytest.mark.asyncio
async def test_14_large_bodies(dsn: str, tmp_path: Path) -> None:
    large = BODY.replace(b"slow", b"x" * 10_000_000)
    with item(14, "10 MB bodies") as result:
        async with edge(dsn, tmp_path) as running:
            whole = INGEST + b"connection: close\r\ncontent-length: %d\r\n\r\n" % len(large) + large
            chunks = [
                b"%x\r\n" % len(part) + part + b"\r\n"
                for part in (large[at : at + 65536] for at in range(0, len(large), 65536))
            ]
            ways = {
                "with its length": [whole],
                "in chunks": [
                    INGEST + b"connection: close\r\ntransfer-encoding: chunked\r\n\r\n",
                    *chunks,
                    b"0\r\n\r\n",
                ],
            }
            for name, parts in ways.items():
                answers = await asyncio.gather(*(exchange(running.port, *parts) for _ in range(8)))
                for answer in answers:
                    result.tried += 1
                    # Envoy answers before it has read all; a reset may overtake the answer.
                    assert status(answer) in (413, 0), f"{name}: {answer[:300]!r}"
                    result.held += 1
                told = [answer for answer in answers if status(answer) == 413]
                assert told, name
                assert b"REQUEST_TOO_LARGE" in told[0]
                assert await running.is_well()
            # By gRPC the server's own limit holds.
            async with connected(f"127.0.0.1:{running.port}") as client:
                result.tried += 1
                with pytest.raises(grpc.aio.AioRpcError) as refused:
                    await client.memory.IngestMessage(message("x" * 10_000_000), timeout=20)
                assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
                result.held += 1
            assert await running.is_well()
