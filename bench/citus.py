"""`make bench-citus`: many tenants on a Citus cluster beside one Postgres, in one run.

Both get the same rows, so that their answers can be compared byte for byte. Some tenants are updated, forgotten in
part, retired and embedded again on both. The cluster begins with one worker less than it has; that one is added, and
gets its share of the tenants, under ingest and searches. Then each kind of call has its time on both databases, in
turns. At last a worker is killed under load and started again. MEMORY_TEST_CITUS is a superuser's DSN of a coordinator
with two workers or more on this machine (docs/citus.md); the databases are this run's own. The hashing model stands for
a real one. Exit code 1 when a promise was not kept.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from scaling import filling
from spreading import changing, copying
from spreading.changing import Seen
from spreading.comparing import compared
from spreading.living import NEXT_MODEL, Lived, lived
from spreading.stripped import stripped
from spreading.timing import KINDS, Timed, timed

from memory_grpc.embedding.hashing import HashingProvider
from memory_grpc.local.postgres import EmbeddedPostgres
from memory_grpc.store import vocabularies
from memory_grpc.store.database import Database
from memory_grpc.store.distribution import distribute
from memory_grpc.store.migrations import migrate
from tests.chaos.harness import connected, serving
from tests.scale.citus_cluster import migrated
from tests.scale.citus_workers import place, workers

COORDINATOR = "MEMORY_TEST_CITUS"
DAYS = 400
# Callers write to these; the others stay as they are, to be compared.
WRITTEN = 8
# A cluster for measurements may do without the disk, and so does what stands beside it.
LOST = {"ACCEPT_DATA_LOSS_WITH": "fsync=off,full_page_writes=off,synchronous_commit=off"}


async def run(arguments: argparse.Namespace, one: str, many: str, home: Path) -> bool:
    """Fills, measures and prints; whether all promises were kept."""
    tenants = {f"tenant-{number}": arguments.messages // arguments.tenants for number in range(arguments.tenants)}
    written, still = list(tenants)[:WRITTEN], list(tenants)[WRITTEN:] or list(tenants)
    *_, added = workers(many)
    changing.hold_shards(many, added, False)
    if blocked := distribute(many, shards=arguments.shards).blocked:
        sys.exit(" ".join(blocked))
    database = Database(one, min_size=1, max_size=3, max_waiting=10, timeout_seconds=10)
    await database.open()
    await filling.fill(
        database,
        tenants,
        DAYS,
        model=HashingProvider().identity,
        config=vocabularies.named("english"),
        desc="stored in one Postgres",
    )
    await database.close()
    copied = await asyncio.to_thread(copying.copy, one, many)
    async with (
        serving(one, home, **LOST, **NEXT_MODEL) as single,
        serving(many, home, **LOST, **NEXT_MODEL) as cluster,
        connected(single.address) as beside,
        connected(cluster.address) as spread,
    ):
        stubs = [beside.memory, spread.memory]
        before, wrong_before = await compared(stubs, still, arguments.questions, "comparing")
        life = await lived([beside, spread], still[: arguments.lives])
        moving = await changing.rebalanced(many, cluster.address, written, added, arguments.rebalance_seconds)
        after, wrong_after = await compared(stubs, still, arguments.questions, "comparing again")
        hidden, wrong_hidden = await asyncio.to_thread(stripped, (one, many), still)
        asked = before + after + life.asked + hidden
        wrong = wrong_before + wrong_after + life.wrong + wrong_hidden
        speed = await timed(
            stubs, list(tenants), callers=arguments.callers, seconds=arguments.seconds, rounds=arguments.rounds
        )
        spared = [tenant for tenant in tenants if place(many, tenant) != added]
        called = list(dict.fromkeys([*spared[:1], *written]))
        dead = await changing.killed(many, cluster.address, called, added, arguments.down_seconds)
    messages = sum(tenants.values())
    print(f"\n{messages:,} messages of {len(tenants)} tenants, copied to the cluster in {copied:,.0f} s.\n")
    print_speed(speed)
    print_answers(asked, wrong)
    print_life(life, arguments.lives)
    print_changes(moving, dead, arguments.shards)
    return not (wrong.total() or moving.faults or dead.faults or moving.failures() or dead.failures(hit=False))


def print_speed(speed: list[dict[str, Timed]]) -> None:
    """A table in Markdown."""
    print("| | one Postgres, a second | median ms | p95 ms | cluster, a second | median ms | p95 ms |")
    print("|---|---|---|---|---|---|---|")
    for kind in KINDS:
        cells = [
            f"{of[kind].rate:,.0f} | {of[kind].milliseconds(0.5):,.1f} | {of[kind].milliseconds(0.95):,.1f}"
            for of in speed
        ]
        print(f"| {kind} | {' | '.join(cells)} |")


def print_answers(asked: Counter[str], wrong: Counter[str]) -> None:
    """Another."""
    print("\n| answers compared, before and after the rebalance | | that differ |\n|---|---|---|")
    for kind, count in asked.items():
        print(f"| {kind} | {count:,} | {wrong[kind]} |")


def print_life(life: Lived, tenants: int) -> None:
    """What was done to some tenants took so long."""
    print(f"\n| done to {tenants} tenants, s | one Postgres | cluster |\n|---|---|---|")
    for kind in life.asked:
        print(f"| {kind} | {' | '.join(f'{seconds[kind]:,.1f}' for seconds in life.seconds)} |")


def print_changes(moving: Seen, dead: Seen, shards: int) -> None:
    """And the last."""
    print("\n| | a worker is added | a worker is killed |\n|---|---|---|")
    for name, cells in {
        "seconds": [
            f"{moving.seconds:,.0f}, {moving.moved} of {shards} parts moved",
            f"{dead.seconds:,.1f} until it was started again",
        ],
        "ingests acknowledged": [f"{len(one.traffic.acknowledged):,}" for one in (moving, dead)],
        "searches answered": [f"{len(one.traffic.latencies['search']):,}" for one in (moving, dead)],
        "slowest ingest, s": [f"{max(one.traffic.latencies['ingest']):.1f}" for one in (moving, dead)],
        "slowest search, s": [f"{max(one.traffic.latencies['search']):.1f}" for one in (moving, dead)],
        "calls that failed": [moving.codes(), f"tenants of that worker: {dead.codes(hit=True)}"],
        "calls of other tenants that failed": ["", dead.codes(hit=False)],
        "from its start until all are served, s": ["", f"{dead.until_served:.1f}"],
        "acknowledged and missing, or stored twice": [str(len(one.faults)) for one in (moving, dead)],
    }.items():
        print(f"| {name} | {' | '.join(cells)} |")
    for fault in [*moving.faults, *dead.faults][:10]:
        print(fault, file=sys.stderr)


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tenants", type=int, default=50)
    parser.add_argument("--messages", type=int, default=500_000, help="of all tenants together")
    parser.add_argument("--shards", type=int, default=16, help="parts that the tenants are spread in")
    parser.add_argument("--questions", type=int, default=2, help="to each tenant, of those that are compared")
    parser.add_argument("--lives", type=int, default=2, help="tenants that are updated, forgotten in part and retired")
    parser.add_argument("--callers", type=int, default=8, help="at once, of those that are timed")
    parser.add_argument("--seconds", type=float, default=20, help="for each kind of call on each database")
    parser.add_argument("--rounds", type=int, default=2, help="in which they take turns")
    parser.add_argument("--rebalance-seconds", type=float, default=300, help="at most, then it is stopped")
    parser.add_argument("--down-seconds", type=float, default=5, help="how long the worker is away")
    arguments = parser.parse_args()
    coordinator = os.environ.get(COORDINATOR)
    if not coordinator:
        print(f"{COORDINATOR} names no coordinator of a Citus cluster: docs/citus.md says how to make one.")
        return 2
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="memory-bench-")))
        postgres = EmbeddedPostgres(home / "one", {"fsync": "off", "shared_buffers": "512MB", "max_wal_size": "8GB"})
        stack.callback(postgres.stop)
        one = postgres.start()
        migrate(one)
        many = stack.enter_context(migrated(coordinator, "memory_bench_citus"))
        return 0 if asyncio.run(run(arguments, one, many, home)) else 1


if __name__ == "__main__":
    sys.exit(main())
