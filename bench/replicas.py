"""`make bench-replicas`: searches and ingest on three streaming replicas, with a lag, a kill and a promotion.

Searches are sent on a schedule, whether or not earlier ones were answered. Messages are sent one after the other, each
followed by a read through another server that has to find it; they go to tenants of their own, so that the searched
memory, and with it the load, stays the same for as long as it runs. In the second fifth of the time a replica replays
nothing; in the third, one is killed; then the primary is, which waits for a replica (synchronous_standby_names), and
that replica is promoted. The hashing model stands for a real one. Exit code 1 when a promise was not kept.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import grpc

from memory_layer.v1 import memory_service_pb2 as pb
from memory_layer.v1.memory_service_pb2_grpc import MemoryServiceStub
from tests.chaos.harness import ServerProcess, serving
from tests.chaos.open_loop import schedule
from tests.scale.nodes import Node, either

TENANT = "acme"
_WRITERS = 2
_FILLED = 200
_MOST_WAITING = 400


@dataclass
class Seen:
    """What callers saw."""

    started: float
    kept: list[str] = field(default_factory=list)
    stale: int = 0
    calls: Counter[str] = field(default_factory=Counter)
    failed: list[tuple[float, str]] = field(default_factory=list)
    """When, in seconds from the start, and the code."""
    skipped: int = 0
    latencies: list[float] = field(default_factory=list)

    async def one(self, kind: str, call: Awaitable[Any]) -> Any:
        """The answer, or None for an error, which is counted."""
        self.calls[kind] += 1
        began = time.monotonic()
        try:
            answer = await call
        except grpc.aio.AioRpcError as error:
            self.note(error)
            return None
        if kind == "search":
            self.latencies.append(time.monotonic() - began)
        return answer

    def note(self, error: grpc.aio.AioRpcError) -> None:
        """A call has failed just now."""
        self.failed.append((time.monotonic() - self.started, error.code().name))


async def searches(stub: Any, seen: Seen, rate: float, seconds: float) -> None:
    """Open loop; more than some hundreds at a time are not sent, and counted."""
    waiting: set[asyncio.Task[Any]] = set()
    for at in schedule(rate, seconds, seed=1):
        await asyncio.sleep(max(0.0, seen.started + at - time.monotonic()))
        if len(waiting) >= _MOST_WAITING:
            seen.skipped += 1
            continue
        request = pb.SearchMemoriesRequest(tenant_id=TENANT, query=f"message {len(seen.latencies) % _FILLED}", top_k=5)
        task = asyncio.ensure_future(seen.one("search", stub.SearchMemories(request, timeout=10)))
        waiting.add(task)
        task.add_done_callback(waiting.discard)
    await asyncio.gather(*waiting)


async def writes(stubs: Sequence[Any], seen: Seen, writer: int, seconds: float) -> None:
    """Ingests through one server and looks for the message through another, by the position of the answer."""
    number = 0
    while time.monotonic() < seen.started + seconds:
        number += 1
        tenant = f"writer-{writer}"
        call = stubs[number % len(stubs)].IngestMessage(
            pb.IngestMessageRequest(
                tenant_id=tenant, conversation_id="c", role="user", content=f"message {number}", request_id=str(uuid4())
            ),
            timeout=10,
        )
        stored = await seen.one("ingest", call)
        if stored is None:
            await asyncio.sleep(0.1)
            continue
        seen.kept.append(stored.id)
        position = str(dict(await call.initial_metadata())["x-lsn"])
        found = await _read(stubs[(number + 1) % len(stubs)], seen, tenant, stored.id, position)
        seen.stale += found is False  # not in one line with the await: the other writer counts meanwhile
        await asyncio.sleep(0.05)


async def _read(stub: Any, seen: Seen, tenant: str, id_: str, position: str) -> bool | None:
    """Whether a message is there; None when the call failed for another reason."""
    seen.calls["read"] += 1
    request = pb.GetMessageRequest(message_id=id_, tenant_id=tenant)
    try:
        await stub.GetMessage(request, timeout=10, metadata=(("x-min-lsn", position),))
    except grpc.aio.AioRpcError as error:
        if error.code() == grpc.StatusCode.NOT_FOUND:
            return False
        seen.note(error)
        return None
    return True


async def faults(nodes: list[Node], seen: Seen, seconds: float) -> tuple[float, float | None]:
    """The lag, the kill and the promotion; when the promotion began, and when a write was acknowledged again."""

    async def until_share(share: float) -> None:
        await asyncio.sleep(max(0.0, seen.started + share * seconds - time.monotonic()))

    primary, first, second, third = nodes
    await until_share(0.2)
    await asyncio.to_thread(third.pause)
    await until_share(0.4)
    await asyncio.to_thread(third.run, "select pg_wal_replay_resume()")
    await asyncio.to_thread(second.kill)
    await until_share(0.5)
    await asyncio.to_thread(second.start)
    await until_share(0.6)
    began = time.monotonic() - seen.started
    await asyncio.to_thread(primary.kill)
    before = len(seen.kept)
    await asyncio.to_thread(first.run, "select pg_promote()")
    while len(seen.kept) == before:
        if time.monotonic() >= seen.started + seconds:
            return began, None
        await asyncio.sleep(0.01)
    return began, time.monotonic() - seen.started


async def measured(home: Path, rate: float, seconds: float) -> tuple[Seen, float, float | None, int]:
    """What was seen, when the promotion began and ended, and how many acknowledged messages are missing."""
    primary = Node(home / "primary").start()
    nodes = [primary]
    try:
        for name in ("replica_1", "replica_2", "replica_3"):
            nodes.append(primary.replica(home / name, name).start())
        primary.run("alter system set synchronous_standby_names = 'replica_1'")
        primary.run("select pg_reload_conf()")
        urls = ",".join(node.dsn for node in nodes[1:])
        async with (
            serve(either(*nodes[:2]), home, urls) as one,
            serve(either(*nodes[:2]), home, urls) as other,
            grpc.aio.insecure_channel(one.address) as channel,
            grpc.aio.insecure_channel(other.address) as beside,
        ):
            stubs = [MemoryServiceStub(channel), MemoryServiceStub(beside)]
            batch = [
                pb.IngestMessageRequest(tenant_id=TENANT, conversation_id="c", role="user", content=f"message {n}")
                for n in range(_FILLED)
            ]
            await stubs[0].BatchIngestMessages(pb.BatchIngestMessagesRequest(messages=batch))
            seen = Seen(time.monotonic())
            broken = asyncio.ensure_future(faults(nodes, seen, seconds))
            await asyncio.gather(
                searches(stubs[0], seen, rate, seconds),
                *(writes(stubs, seen, writer, seconds) for writer in range(_WRITERS)),
            )
            began, ended = await broken
        there = {str(id_) for (id_,) in nodes[1].run("select id from messages")}
        return seen, began, ended, len(set(seen.kept) - there)
    finally:
        for node in reversed(nodes):
            node.stop()


def serve(dsn: str, home: Path, urls: str) -> AbstractAsyncContextManager[ServerProcess]:
    """A server with replicas."""
    return serving(dsn, home, DATABASE_READ_URLS=urls, REQUEST_TIMEOUT_SECONDS=10)


def report(seen: Seen, began: float, ended: float | None, missing: int, seconds: float) -> bool:
    """A table in Markdown; whether all promises were kept."""
    until = began if ended is None else ended + 1
    outside = [(at, code) for at, code in seen.failed if not began <= at <= until]
    share = len(outside) / max(1, seen.calls.total())
    ordered = sorted(seen.latencies) or [float("nan")]
    kept = ended is not None and not missing and not seen.stale and share <= 0.001
    print("| | |\n|---|---|")
    for name, value in (
        ("searches sent, a second", f"{seen.calls['search'] / seconds:.0f} ({seen.skipped:,} more not sent)"),
        ("searches answered, a second", f"{len(seen.latencies) / seconds:.0f}"),
        ("search ms, median", f"{1000 * ordered[len(ordered) // 2]:.0f}"),
        ("search ms, p99", f"{1000 * ordered[len(ordered) * 99 // 100]:.0f}"),
        ("messages acknowledged", f"{len(seen.kept):,}"),
        ("acknowledged and missing", str(missing)),
        ("reads before their own write", f"{seen.stale} of {seen.calls['read']:,}"),
        (
            "errors outside the promotion",
            f"{len(outside)} of {seen.calls.total():,} ({share:.3%}) {_codes(outside)}".strip(),
        ),
        ("errors outside it, by tenths of the time", _tenths(outside, seconds)),
        ("errors in the promotion", str(len(seen.failed) - len(outside))),
        ("kill of the primary to the next write, s", "no write" if ended is None else f"{ended - began:.1f}"),
    ):
        print(f"| {name} | {value} |")
    return kept


def _tenths(failed: Sequence[tuple[float, str]], seconds: float) -> str:
    tenths = Counter(int(10 * at / seconds) for at, _ in failed)
    return " ".join(str(tenths[tenth]) for tenth in range(10))


def _codes(failed: Sequence[tuple[float, str]]) -> str:
    return ", ".join(f"{code} {count}" for code, count in Counter(code for _, code in failed).most_common())


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=600, help="how long; ten minutes unless given")
    parser.add_argument("--rate", type=float, default=200, help="searches a second")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="memory-bench-") as name:
        found = asyncio.run(measured(Path(name), arguments.rate, arguments.seconds))
    return 0 if report(*found, arguments.seconds) else 1


if __name__ == "__main__":
    sys.exit(main())
