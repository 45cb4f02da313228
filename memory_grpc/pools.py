"""The connections of a server: several pools, apart by what must not wait for what."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass

from memory_grpc.observability import metrics
from memory_grpc.settings import Settings
from memory_grpc.store.database import Database

_KEYS_CONNECTIONS = 2
_HEARTBEAT_CONNECTIONS = 1


@dataclass(frozen=True, slots=True)
class Place:
    """Where the database is: ``direct`` is Postgres itself."""

    conninfo: str
    direct: str
    shared_sessions: bool


async def _database(
    stack: AsyncExitStack, settings: Settings, place: Place, min_size: int, max_size: int, *, by_turns: bool = False
) -> Database:
    """An open pool, closed at the end of the stack."""
    database = Database(
        place.conninfo,
        direct=place.direct,
        shared_sessions=place.shared_sessions,
        min_size=min_size,
        max_size=max_size,
        max_waiting=settings.database_pool_max_waiting,
        timeout_seconds=settings.database_pool_timeout_seconds,
        by_turns=by_turns,
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


async def opened(stack: AsyncExitStack, settings: Settings, place: Place) -> Pools:
    """All of them, closed at the end of the stack."""
    pools = Pools(
        calls=await _database(
            stack,
            settings,
            place,
            settings.database_pool_min_size,
            settings.database_pool_max_size,
            by_turns=True,
        ),
        background=await _database(stack, settings, place, 1, settings.database_background_pool_size),
        keys=await _database(stack, settings, place, 1, _KEYS_CONNECTIONS),
        heartbeats=await _database(stack, settings, place, 0, _HEARTBEAT_CONNECTIONS),
    )
    for database in (pools.calls, pools.background):
        stack.callback(metrics.POOLS.add(database.pool.get_stats))
    return pools
