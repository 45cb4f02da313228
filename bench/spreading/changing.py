"""A cluster that changes under load: a worker is added and gets its share, and one dies and comes back."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import dataclass

from tests.chaos.harness import connected
from tests.scale.citus_traffic import Failure, Traffic
from tests.scale.citus_workers import Process, Worker, place, run

_HOLDS = "select citus_set_node_property(%s, %s, 'shouldhaveshards', %s)"
_GROUPS = "select count(distinct shardid) from citus_shards where table_name::text = 'messages' and nodeport = %s"
# Background work of a rebalance that is not done yet.
_LEFT = "select count(*) from pg_dist_background_job where state::text not in ('finished', 'cancelled', 'failed')"
_MORE_AFTER = 20


@dataclass
class Seen:
    """What callers saw while the cluster changed."""

    seconds: float
    """How long the change took, or the worker was away."""
    traffic: Traffic
    faults: list[str]
    moved: int = 0
    hit: frozenset[str] = frozenset()
    """The tenants of the worker that died."""
    until_served: float = 0.0
    """Seconds from its start until every tenant was served."""

    def codes(self, *, hit: bool | None = None) -> str:
        """The codes of calls that failed: of tenants that were hit, or that were not, or of all."""
        found = Counter(one.code for one in self.failures(hit=hit))
        return ", ".join(f"{code} {count:,}" for code, count in found.most_common()) or "none"

    def failures(self, *, hit: bool | None = None) -> list[Failure]:
        """Those calls."""
        return [one for one in self.traffic.failures if hit is None or (one.tenant in self.hit) == hit]


def hold_shards(dsn: str, worker: Worker, may: bool) -> None:
    """Whether a worker is given shards from now on."""
    run(dsn, _HOLDS, worker.host, worker.port, may)


async def rebalanced(dsn: str, address: str, tenants: list[str], worker: Worker, most_seconds: float) -> Seen:
    """Adds a worker, and rebalances under ingest and searches, for so long at most."""
    async with connected(address) as client:
        traffic = Traffic(client.memory, tenants, "rebalance")
        async with traffic.running():
            await traffic.more(1)
            hold_shards(dsn, worker, True)
            began = time.monotonic()
            await asyncio.to_thread(run, dsn, "select citus_rebalance_start(shard_transfer_mode => 'force_logical')")
            while await asyncio.to_thread(run, dsn, _LEFT) != [(0,)]:
                if time.monotonic() > began + most_seconds:
                    await asyncio.to_thread(run, dsn, "select citus_rebalance_stop()")
                    break
                await asyncio.sleep(0.5)
            seconds = time.monotonic() - began
            await traffic.more(1)
        ((moved,),) = run(dsn, _GROUPS, worker.port)
        return Seen(seconds, traffic, traffic.lost(dsn), moved)


async def killed(dsn: str, address: str, tenants: list[str], worker: Worker, down_seconds: float) -> Seen:
    """Kills a worker under ingest and searches, and starts it again."""
    hit = frozenset(tenant for tenant in tenants if place(dsn, tenant) == worker)
    process = Process(dsn, worker)
    async with connected(address) as client:
        traffic = Traffic(client.memory, tenants, "kill")
        async with traffic.running():
            await traffic.more(1)
            began = time.monotonic()
            try:
                await asyncio.to_thread(process.kill)
                await asyncio.sleep(down_seconds)
            finally:
                await asyncio.to_thread(process.start)
            started = time.monotonic()
            await traffic.more(1)
            served = time.monotonic()
            await traffic.more(_MORE_AFTER)
    # Transactions over two nodes that were cut off between their two steps: a daemon ends them once a minute.
    run(dsn, "select recover_prepared_transactions()")
    return Seen(started - began, traffic, traffic.lost(dsn), hit=hit, until_served=served - started)
