"""The connections of a server: several pools, apart by what must not wait for what."""

from __future__ import annotations

import time
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace

from memory_grpc.observability import metrics
from memory_grpc.observability.metrics import NodeFigures
from memory_grpc.positions import Written
from memory_grpc.settings import Settings
from memory_grpc.store.connection_turns import Share, all_but_a_quarter, most_of_one
from memory_grpc.store.database import Database
from memory_grpc.store.follow import Followed, check_one_node
from memory_grpc.store.replicas import Reader, Reads, Replica

_KEYS_CONNECTIONS = 2
_HEARTBEAT_CONNECTIONS = 1
_REPLICA_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Place:
    """Where the database is: ``direct`` is Postgres itself, ``distributed`` a Citus cluster."""

    conninfo: str
    direct: str
    shared_sessions: bool
    written: Written | None = None
    is_replica: bool = False
    distributed: bool = False


async def _database(
    stack: AsyncExitStack, settings: Settings, place: Place, min_size: int, max_size: int, share: Share | None = None
) -> Database:
    """An open pool, closed at the end of the stack."""
    database = Database(
        place.conninfo,
        direct=place.direct,
        shared_sessions=place.shared_sessions,
        written=place.written,
        is_replica=place.is_replica,
        distributed=place.distributed,
        min_size=min_size,
        max_size=max_size,
        max_waiting=settings.database_pool_max_waiting,
        # For a replica the primary stands in.
        timeout_seconds=_REPLICA_SECONDS if place.is_replica else settings.database_pool_timeout_seconds,
        share=share,
    )
    await database.open()
    stack.push_async_callback(database.close)
    return database


@dataclass(frozen=True, slots=True)
class Pools:
    """Connections to one Postgres, apart by what must not wait for what."""

    calls: Database
    background: Database
    """Of jobs and administration: while calls hold every connection of theirs, a cut-over has the two that it needs."""
    keys: Database
    """While slow calls hold every other connection, callers are still told apart."""
    heartbeats: Database
    """While slow jobs hold every other connection, their leases are still renewed."""
    reads: Reader
    """The replicas that are not behind, or the primary."""
    replicas: Reads | None
    written: Written


async def opened(stack: AsyncExitStack, settings: Settings, place: Place) -> Pools:
    """All of them, closed at the end of the stack."""
    urls = settings.read_conninfos
    written = Written()
    noted = replace(place, written=written if urls else None)
    smallest, largest = settings.database_pool_min_size, settings.database_pool_max_size
    calls = await _database(stack, settings, noted, smallest, largest, most_of_one)
    replicas = await _replicas(stack, settings, place, calls, written) if urls else None
    pools = Pools(
        calls=calls,
        background=await _database(
            stack, settings, noted, 1, settings.database_background_pool_size, all_but_a_quarter
        ),
        keys=await _database(stack, settings, place, 1, _KEYS_CONNECTIONS),
        heartbeats=await _database(stack, settings, place, 0, _HEARTBEAT_CONNECTIONS),
        reads=replicas or calls,
        replicas=replicas,
        written=written,
    )
    for database in (pools.calls, pools.background):
        stack.callback(metrics.POOLS.add(database.pool.get_stats))
    return pools


async def _replicas(
    stack: AsyncExitStack, settings: Settings, place: Place, primary: Database, written: Written
) -> Reads:
    """They need not be there: one that is away gets no reads."""

    longest = settings.database_read_max_lag_seconds
    at_primary = Followed(place.direct, "primary", time.monotonic, remembered_seconds=longest)
    stack.push_async_callback(at_primary.close)
    smallest, largest = settings.database_pool_min_size, settings.database_pool_max_size
    replicas = []
    for number, url in enumerate(settings.read_conninfos, 1):
        check_one_node(url)
        at = Place(url, url, False, is_replica=True)
        database = await _database(stack, settings, at, smallest, largest, most_of_one)
        followed = Followed(url, f"replica-{number}", time.monotonic, primary=at_primary)
        stack.push_async_callback(followed.close)
        replicas.append(Replica(database, followed))
    reads = Reads(
        primary,
        at_primary,
        replicas,
        written,
        wait_seconds=settings.database_read_wait_ms / 1000,
    )

    def figures() -> list[NodeFigures]:
        nodes = [NodeFigures("primary", True, 0, reads.primary_reads)]
        return nodes + [
            NodeFigures(r.followed.name, r.followed.may_be_read, reads.behind_bytes(r), r.reads) for r in replicas
        ]

    stack.callback(metrics.NODES.of(figures))
    return reads
