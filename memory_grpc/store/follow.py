"""How far a node has come in the log that the primary writes: asked of it over and over, on a connection of its own.

Calls never ask: they believe what was heard last, or wait to hear more. A node counts as up for as long as it has been
heard of within two seconds: one whose network swallows everything is left out, however long its sockets hang.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable

import psycopg
import structlog
from psycopg.conninfo import conninfo_to_dict

from memory_grpc.errors import StartupError
from memory_grpc.store.connections import PINS
from memory_grpc.store.queries import QUERIES

log = structlog.get_logger(__name__)

_HEARD_SECONDS = 2.0
_CONNECT_SECONDS = 2
_SAMPLED_SECONDS = 0.1


def check_one_node(conninfo: str) -> None:
    """Raises StartupError unless a DSN leads to one node: how far that has come says nothing of another."""
    try:
        parts = conninfo_to_dict(conninfo)
    except psycopg.ProgrammingError:
        raise StartupError("MEMORY_DATABASE_READ_URLS: one of them is not a connection string.") from None
    if "," in f"{parts.get('host', '')}{parts.get('hostaddr', '')}" or "load_balance_hosts" in parts:
        raise StartupError("MEMORY_DATABASE_READ_URLS: each must lead to one node.")


class Followed:
    """One node. ``position`` is what it was heard to have last: after a restart that may be less than before.

    Where it was is remembered for ``remembered_seconds``, ten times a second at most.
    """

    def __init__(
        self, conninfo: str, name: str, clock: Callable[[], float], *, remembered_seconds: float = 0.0
    ) -> None:
        self._remembered = remembered_seconds
        self.name = name
        self.position = 0
        self._conninfo = conninfo
        self._clock = clock
        self._heard_at = float("-inf")
        self._told_up = False
        self._connection: psycopg.AsyncConnection[tuple[object, ...]] | None = None
        self._changed = asyncio.Condition()
        self._waiting = 0
        self._past: deque[tuple[float, int]] = deque()

    @property
    def is_up(self) -> bool:
        """Whether it has been heard of just now."""
        return self._clock() - self._heard_at < _HEARD_SECONDS

    def lose(self) -> None:
        """It is away, and what it had is not believed, until it is heard of again."""
        self._heard_at = float("-inf")
        self.position = 0
        self._tell()

    def position_then(self) -> int:
        """Where it was ``remembered_seconds`` ago; 0 where that is not known."""
        at, position = self._past[0] if self._past else (self._clock(), 0)
        return position if at <= self._clock() - self._remembered else 0

    def note(self, position: int) -> None:
        """It was heard of just now, and has come there."""
        now = self._heard_at = self._clock()
        self.position = position
        if not self._past or now - self._past[-1][0] >= _SAMPLED_SECONDS:
            self._past.append((now, position))
        while len(self._past) > 1 and self._past[1][0] <= now - self._remembered:
            self._past.popleft()
        self._tell()

    async def reaches(self, position: int, seconds: float) -> bool:
        """Whether it is heard to have come there within that time."""
        self._waiting += 1
        try:
            async with asyncio.timeout(seconds), self._changed:
                await self._changed.wait_for(lambda: self.position >= position or not self.is_up)
        except TimeoutError:
            pass
        finally:
            self._waiting -= 1
        return self.is_up and self.position >= position

    async def follow(self) -> bool:
        """Asks once; whether somebody waits to hear more."""
        try:
            async with asyncio.timeout(_HEARD_SECONDS):
                position = await self._asked()
        except Exception:  # whatever a node that is away makes of a question
            await self._hang_up()
            self.lose()
        else:
            self.note(position)
        async with self._changed:
            self._changed.notify_all()
        return self._waiting > 0 and self.is_up

    async def close(self) -> None:
        """Ends its connection."""
        await self._hang_up()

    async def _asked(self) -> int:
        if self._connection is None:
            self._connection = await psycopg.AsyncConnection.connect(
                self._conninfo,
                autocommit=True,
                connect_timeout=_CONNECT_SECONDS,
                application_name="memory-grpc follows",
            )
            await self._connection.execute(PINS)
        row = await (await self._connection.execute(QUERIES["database.replayed"])).fetchone()
        assert row is not None, "the statement gives one row"
        return int(str(row[0]))

    async def _hang_up(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    def _tell(self) -> None:
        if self.is_up is not self._told_up:
            self._told_up = self.is_up
            if self.is_up:
                log.info("database_node_back", node=self.name)
            else:
                log.warning("database_node_away", node=self.name)
