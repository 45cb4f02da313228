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
from psycopg.rows import class_row

from memory_grpc.errors import StartupError
from memory_grpc.store.connections import PINS
from memory_grpc.store.node import Node
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

    Where it was is remembered for ``remembered_seconds``, ten times a second at most. One that is to be a copy of
    ``primary`` gets no reads before both have been heard of, nor while it is none.
    """

    def __init__(
        self,
        conninfo: str,
        name: str,
        clock: Callable[[], float],
        *,
        remembered_seconds: float = 0.0,
        primary: Followed | None = None,
    ) -> None:
        self._remembered = remembered_seconds
        self._primary = primary
        self.name = name
        self.node: Node | None = None
        """As it was heard of last, however long ago."""
        self.position = 0
        self._conninfo = conninfo
        self._clock = clock
        self._heard_at = float("-inf")
        self._told = ""
        self._connection: psycopg.AsyncConnection[tuple[object, ...]] | None = None
        self._changed = asyncio.Condition()
        self._waiting = 0
        self._past: deque[tuple[float, int]] = deque()

    @property
    def is_up(self) -> bool:
        """Whether it has been heard of just now."""
        return self._clock() - self._heard_at < _HEARD_SECONDS

    @property
    def may_be_read(self) -> bool:
        """Whether it is up, and a copy of the primary as that was last heard of."""
        return self.is_up and self._is_copy

    @property
    def _is_copy(self) -> bool:
        of = self._primary.node if self._primary else None
        return self.node is not None and of is not None and self.node.copies(of)

    def lose(self) -> None:
        """It is away, and what it had is not believed, until it is heard of again."""
        self._heard_at = float("-inf")
        self.position = 0
        self._tell()

    def position_then(self) -> int:
        """Where it was ``remembered_seconds`` ago, or when it was first heard of if that is not so long ago."""
        return self._past[0][1] if self._past else 0

    def note(self, node: Node) -> None:
        """It was heard of just now."""
        now = self._heard_at = self._clock()
        self.node, self.position = node, node.position
        if not self._past or now - self._past[-1][0] >= _SAMPLED_SECONDS:
            self._past.append((now, node.position))
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
                node = await self._asked()
        except Exception:  # whatever a node that is away makes of a question
            await self._hang_up()
            self.lose()
        else:
            self.note(node)
        async with self._changed:
            self._changed.notify_all()
        return self._waiting > 0 and self.is_up

    async def close(self) -> None:
        """Ends its connection."""
        await self._hang_up()

    async def _asked(self) -> Node:
        if self._connection is None:
            self._connection = await psycopg.AsyncConnection.connect(
                self._conninfo,
                autocommit=True,
                connect_timeout=_CONNECT_SECONDS,
                application_name="memory-grpc follows",
            )
            await self._connection.execute(PINS)
        async with self._connection.cursor(row_factory=class_row(Node)) as cursor:
            node = await (await cursor.execute(QUERIES["database.replayed"])).fetchone()
        assert node is not None, "the statement gives one row"
        return node

    async def _hang_up(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    def _tell(self) -> None:
        state = "away"
        if self.is_up:
            knows = self._primary is None or self._primary.node is not None
            state = "no_copy" if self._primary and knows and not self._is_copy else "back"
        if state != self._told:
            self._told = state
            (log.info if state == "back" else log.warning)(f"database_node_{state}", node=self.name)
