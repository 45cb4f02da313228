"""docs/scaling.md's way from one Postgres to a replica and a standby that takes over, walked under load: nothing that
was acknowledged is lost, nothing is read before its own write, and clients that repeat see next to no error.

With ``pytest -s`` it prints the table that the document shows.
"""

from __future__ import annotations

import asyncio
import re
import signal
import socket
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

from memory_grpc.client import AsyncMemoryClient, MemoryServiceError, NotFound, Retry
from memory_grpc.local import envoy_upstreams
from memory_grpc.local.envoy import EnvoyProcess
from memory_grpc.local.envoy_tree import Node as Tree
from memory_grpc.local.envoy_tree import at, named
from memory_grpc.settings import Settings
from tests.chaos.harness import ROOT, ServerProcess, connected, until
from tests.conftest import free_port, settings_for_tests
from tests.scale.nodes import Node, either

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(600)]

STEP_SECONDS = 3.0
_Work = Callable[["Seen", AsyncMemoryClient], Awaitable[None]]


@dataclass
class Seen:
    """What callers saw, by step."""

    step: str = ""
    steps: list[str] = field(default_factory=list)
    calls: Counter[str] = field(default_factory=Counter)
    failed: Counter[tuple[str, bool]] = field(default_factory=Counter)
    """By step, and whether the client repeats."""
    words: Counter[str] = field(default_factory=Counter)
    stale: Counter[str] = field(default_factory=Counter)
    slowest: dict[str, float] = field(default_factory=dict)
    kept: set[str] = field(default_factory=set)
    stop: bool = False

    def begin(self, step: str) -> None:
        self.step = step
        self.steps.append(step)

    def table(self) -> str:
        lines = ["| step | calls | failed, repeated | failed, not repeated | stale | slowest, s |"]
        lines.append("|---|---|---|---|---|---|")
        for step in self.steps:
            lines.append(
                f"| {step} | {self.calls[step]:,} | {self.failed[step, True]} | {self.failed[step, False]} "
                f"| {self.stale[step]} | {self.slowest.get(step, 0):.1f} |"
            )
        return "\n".join(lines)


async def _write_and_read(seen: Seen, client: AsyncMemoryClient) -> None:
    message = await client.remember("a message", conversation_id="c")
    seen.kept.add(message.id)
    try:
        await client.get_message(message_id=message.id)
    except NotFound:
        seen.stale[seen.step] += 1


async def _search(seen: Seen, client: AsyncMemoryClient) -> None:
    await client.search_memories(query="a message", top_k=3)


async def _caller(seen: Seen, address: str, repeats: bool, work: _Work) -> None:
    async with AsyncMemoryClient(address, tenant_id="acme", retry=Retry() if repeats else Retry(attempts=1)) as client:
        while not seen.stop:
            step, began = seen.step, time.monotonic()
            seen.calls[step] += 1
            try:
                await work(seen, client)
            except MemoryServiceError as error:
                seen.failed[step, repeats] += 1
                seen.words[f"{error} {error.reason}"] += 1
            seen.slowest[step] = max(seen.slowest.get(step, 0), time.monotonic() - began)
            await asyncio.sleep(0.02)


class Servers:
    """Two servers behind an Envoy; each can be restarted with other settings, and drains then."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._port = next(port for port in iter(free_port, 0) if _is_free(port + 1))
        self._metrics = free_port(), free_port()
        self._running: dict[int, ServerProcess] = {}
        settings = settings_for_tests(grpc_port=self._port, metrics_port=self._metrics[0], upstream_host="127.0.0.1")
        self.address = f"http://127.0.0.1:{settings.http_port}"
        self._envoy = EnvoyProcess(settings, home / "envoy", 2)

    async def begin(self, index: int, dsn: str, **variables: object) -> None:
        server = ServerProcess(
            dsn,
            self._home,
            GRPC_PORT=self._port + index,
            METRICS_PORT=self._metrics[index],
            DATABASE_READ_MAX_LAG_SECONDS=5,
            **variables,
        )
        server.grpc_port, server.metrics_port = self._port + index, self._metrics[index]
        self._running[index] = server
        server.spawn()
        async with connected(server.address) as client:
            await until(lambda: server.serves(client), 60, "SERVING")

    async def restart(self, dsn: str, **variables: object) -> None:
        """One by one."""
        for index in (0, 1):
            self._running[index].send(signal.SIGTERM)
            assert await self._running[index].ended() == 0
            await self.begin(index, dsn, **variables)

    async def __aenter__(self) -> Servers:
        return self

    async def envoy(self) -> None:
        await asyncio.to_thread(self._envoy.start)
        await asyncio.to_thread(self._envoy.wait_ready)

    async def __aexit__(self, *_: object) -> None:
        await asyncio.to_thread(self._envoy.stop, 0.0)
        for server in self._running.values():
            server.close()


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) != 0


@asynccontextmanager
async def _load(address: str) -> AsyncIterator[Seen]:
    seen = Seen()
    callers = [
        asyncio.create_task(_caller(seen, address, repeats, work))
        for repeats in (True, False)
        for work in (_write_and_read, _search)
    ]
    try:
        yield seen
    finally:
        seen.stop = True
        await asyncio.gather(*callers)


async def _replays_all(primary: Node, name: str) -> None:
    lag = (
        "select count(*) from pg_stat_replication where state = 'streaming' "
        f"and application_name = '{name}' and pg_current_wal_lsn() - replay_lsn < 1000000"
    )
    await until(lambda: primary.run(lag) == [(1,)], 30, "the replica keeps up")


@pytest.fixture
def checked_by_envoy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Envoy checks the servers as the document says."""
    page = (ROOT / "docs/scaling.md").read_text(encoding="utf-8")
    (block,) = re.findall(r"^```yaml\n(health_checks:.*?)^```$", page, re.MULTILINE | re.DOTALL)
    plain = envoy_upstreams.set_addresses

    def checked(config: Tree, settings: Settings, servers: int) -> None:
        plain(config, settings, servers)
        named(at(config, "static_resources", "clusters"), "memory_grpc").update(yaml.safe_load(block))

    monkeypatch.setattr(envoy_upstreams, "set_addresses", checked)


@pytest.mark.usefixtures("checked_by_envoy")
async def test_a_live_deployment_is_moved_step_by_step(tmp_path: Path) -> None:
    primary = Node(tmp_path / "primary").start()
    nodes: list[Node] = [primary]
    try:
        async with Servers(tmp_path) as servers:
            await servers.begin(0, primary.dsn)
            await servers.begin(1, primary.dsn)
            await servers.envoy()
            async with _load(servers.address) as seen:

                async def step(name: str, work: Awaitable[Any] | None = None) -> None:
                    seen.begin(name)
                    if work is not None:
                        await work
                    await asyncio.sleep(STEP_SECONDS)

                await step("two servers, one Postgres")

                async def added() -> None:
                    replica = await asyncio.to_thread(primary.replica, tmp_path / "replica", "second")
                    nodes.append(await asyncio.to_thread(replica.start))
                    nodes[1].run("alter system set hot_standby_feedback = on")
                    nodes[1].run("select pg_reload_conf()")
                    await _replays_all(primary, "second")

                await step("pg_basebackup, a replica that follows", added())
                replica = nodes[1]
                await step(
                    "restarts with the primary as MEMORY_DATABASE_READ_URLS",
                    servers.restart(primary.dsn, DATABASE_READ_URLS=primary.dsn),
                )
                await step(
                    "restarts with the replica there",
                    servers.restart(primary.dsn, DATABASE_READ_URLS=f"{primary.dsn},{replica.dsn}"),
                )
                assert replica.run("select sum(xact_commit) > 0 from pg_stat_database where datname = 'memory'")[0][0]
                primary.run("alter system set synchronous_standby_names = 'second'")
                primary.run("select pg_reload_conf()")
                both = either(primary, replica)
                await step(
                    "restarts with all nodes in MEMORY_DATABASE_URL, a standby that commits wait for",
                    servers.restart(both, DATABASE_READ_URLS=f"{primary.dsn},{replica.dsn}"),
                )
                before = set(seen.kept)

                async def promoted() -> None:
                    await asyncio.to_thread(primary.kill)
                    await asyncio.to_thread(replica.run, "select pg_promote()")
                    await until(lambda: len(seen.kept - before) > 20, 60, "writes go on")

                await step("the primary is killed, the replica promoted", promoted())
                await step("restarts without replicas", servers.restart(replica.dsn))
            print(f"\n{seen.table()}\n{seen.words}")
            there = {str(id_) for (id_,) in replica.run("select id from messages")}
            assert seen.kept <= there, "acknowledged and missing"
            assert not seen.stale
            # A call that arrives while a server stops can end as CANCELLED, which is not repeated.
            assert sum(count for (_, repeats), count in seen.failed.items() if repeats) <= 0.002 * seen.calls.total()
    finally:
        for node in reversed(nodes):
            node.stop()
