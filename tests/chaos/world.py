"""A Postgres of a test's own, processes that work on it, and whom of them a round kills."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import psutil
import psycopg
from psycopg.conninfo import make_conninfo

from memory_grpc.domain.messages import NewMessage
from memory_grpc.ids import Uuid7
from memory_grpc.local.postgres import EmbeddedPostgres
from memory_grpc.operations.messages.ingest import Ingest
from memory_grpc.store.migrations import migrate
from tests.chaos.harness import fetch, rows_of, until
from tests.chaos.nursery import Nursery, is_over, nursery
from tests.chaos.workers import TENANT, Parts, parts_at, words_of

BACKENDS = """
select pid from pg_stat_activity where application_name like 'memory-grpc%'
order by state = 'active' desc, query ilike '%delete from%' desc
"""
TERMINATE = "select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'memory-grpc%'"
ACTIVITY = "select pid, application_name, state, wait_event, left(query, 60) from pg_stat_activity where query <> ''"
# What hangs hangs for ever. A process that gets no processor, at the lowest priority beside other work, takes long.
PATIENCE_SECONDS = 300.0


@dataclass
class World:
    """A Postgres of the test's own, the service's operations on it, and processes to kill."""

    postgres: EmbeddedPostgres
    dsn: str
    parts: Parts
    ingest: Ingest
    nursery: Nursery
    usual_seconds: float = 0.1
    """About how long the work takes: within that it is killed."""
    ends: Counter[str] = field(default_factory=Counter)
    """How often a kill came when."""
    slowest: tuple[float, float] = (0.0, 0.0)
    """The longest that a process needed to end by itself, and how long of it that it waited for a processor."""
    _beside: psycopg.Connection[tuple[Any, ...]] | None = None

    def look(self, query: str, *params: object) -> list[tuple[Any, ...]]:
        """Rows, looked up beside the service, over one connection for as long as Postgres lives."""
        if self._beside is not None:
            with suppress(psycopg.OperationalError):
                return rows_of(self._beside, query, *params)
            self._beside.close()
        self._beside = psycopg.connect(self.dsn, autocommit=True)
        return rows_of(self._beside, query, *params)

    def leave(self) -> None:
        """Closes that connection."""
        if self._beside is not None:
            self._beside.close()

    async def say(self, conversation: str, count: int) -> list[str]:
        """Messages with request ids; their ids."""
        new = [
            NewMessage(TENANT, conversation, "user", words_of(n, 0), request_id=uuid4(), user_id="u")
            for n in range(count)
        ]
        return [str(one.message.id) for one in await self.ingest(new)]

    def came(self, when: str) -> None:
        """Notes when a kill came, and aims better: a machine may be busier than it was."""
        self.ends[when] += 1
        self.usual_seconds *= {"after": 0.8, "before": 1.2, "before a batch": 1.05}.get(when, 1.0)

    @property
    def note(self) -> str:
        """When the kills came."""
        ends = ", ".join(f"{count} {when}" for when, count in sorted(self.ends.items()))
        seconds, waited = self.slowest
        return f"{ends}; the slowest process took {seconds:.1f} s, for {waited:.1f} of which it had no processor"

    async def whole(self, work: str, **arguments: object) -> float:
        """Does work that nobody disturbs; how many seconds it took."""
        started, so_far = time.monotonic(), self.nursery.written
        child = self._begin(work, **arguments)
        await self.ended(child)
        failure = self.nursery.said(so_far)
        assert "Traceback" not in failure, failure
        return time.monotonic() - started

    async def ended(self, child: psutil.Process) -> None:
        """Returns once a process has ended by itself. AssertionError where it hangs, with what it waits for."""
        started, first = time.monotonic(), _waited(child)
        waited = 0.0

        def is_gone() -> bool:
            nonlocal waited
            waited = max(waited, _waited(child) - first)
            return is_over(child)

        try:
            await until(is_gone, PATIENCE_SECONDS)
        except AssertionError:
            so_far = self.nursery.written
            child.send_signal(signal.SIGUSR1)
            with suppress(AssertionError):
                await until(lambda: self.nursery.written > so_far)
            told = [self.nursery.said(so_far), child.cpu_times(), *self.look(ACTIVITY)]
            raise AssertionError("\n".join(map(str, ["it hangs", *told]))) from None
        self.slowest = max(self.slowest, (time.monotonic() - started, waited))

    def _begin(self, work: str, **arguments: object) -> psutil.Process:
        # The lease of a process that was killed would run out in half a minute.
        self.look("update leases set expires_at = now()")
        return self.nursery.fork(work, dsn=self.dsn, **arguments)

    async def killed(self, number: int, work: str, **arguments: object) -> None:
        """Begins work, and kills something at some moment of it."""
        chance = random.Random(number)
        child = self._begin(work, **arguments)
        await asyncio.sleep(chance.uniform(0, self.usual_seconds))
        await kill_of(number)(self, child)
        with suppress(psutil.NoSuchProcess):
            child.kill()
        await until(lambda: is_over(child), PATIENCE_SECONDS, "the process is gone")


def _waited(process: psutil.Process) -> float:
    """Seconds that a process was ready to run and had no processor; none where the kernel does not tell."""
    with suppress(OSError):
        return int(Path(f"/proc/{process.pid}/schedstat").read_text().split()[1]) / 1e9
    return 0.0


Kill = Callable[[World, psutil.Process], Awaitable[None]]


async def _the_process(_: World, child: psutil.Process) -> None:
    with suppress(psutil.NoSuchProcess):
        child.kill()


async def _its_connections(world: World, child: psutil.Process) -> None:
    """The process lives, and goes on or gives up."""
    world.look(TERMINATE)
    await world.ended(child)


async def _a_backend(world: World, _: psutil.Process) -> None:
    """One that works, if there is one. The postmaster ends all others then, and recovers by itself."""
    # There is one to kill, even when the work is done.
    bystander = psycopg.connect(world.dsn, autocommit=True, application_name="memory-grpc bystander")
    before = world.look(BACKENDS)
    os.kill(before[0][0], signal.SIGKILL)

    def is_back() -> bool:
        with suppress(psycopg.OperationalError):
            return not set(before) & set(fetch(world.dsn, BACKENDS))
        return False

    await until(is_back, PATIENCE_SECONDS, "recovery")
    bystander.close()


async def _postgres(world: World, _: psutil.Process) -> None:
    assert world.postgres.pid is not None
    postmaster = psutil.Process(world.postgres.pid)
    for process in [postmaster, *postmaster.children(recursive=True)]:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    await until(lambda: world.postgres.poll() is not None, PATIENCE_SECONDS, "Postgres is dead")
    await asyncio.to_thread(world.postgres.stop)  # frees the directory's lock
    await asyncio.to_thread(world.postgres.start)


def kill_of(number: int) -> Kill:
    """Whom a round kills: of 40 all of Postgres in one, a backend in two, connections in ten, else the process."""
    if number % 40 == 19:
        return _postgres
    if number % 20 == 3:
        return _a_backend
    return _its_connections if number % 4 == 1 else _the_process


@asynccontextmanager
async def world(postgres: EmbeddedPostgres, whole: str, folder: Path) -> AsyncIterator[World]:
    """One that is empty: a database of its own in a Postgres that runs, and is reached by ``whole``."""
    name = f"rounds_{uuid4().hex}"
    fetch(whole, f"create database {name}")
    dsn = make_conninfo(whole, dbname=name)
    await asyncio.to_thread(migrate, dsn)
    with nursery(folder / "nursery.log") as forks:
        async with parts_at(dsn) as parts:
            ingest = Ingest(
                parts.database,
                parts.models,
                parts.policies,
                parts.quotas,
                Uuid7(),
                embed_later=False,
                word_config=parts.words,
                user_id_metadata_key="",
            )
            found = World(postgres, dsn, parts, ingest, forks)
            try:
                yield found
            finally:
                found.leave()
