"""One lease for every job: one server has it, work under it may be long, and none of it outlives it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import pytest

from memory_grpc.errors import LeaseLost, StoreUnavailable
from memory_grpc.jobs import lease as module
from memory_grpc.jobs.lease import Lease
from memory_grpc.store import leases, retention
from memory_grpc.store.database import EVERY_TENANT, Database

pytestmark = pytest.mark.asyncio

Rows = Callable[..., list[tuple[Any, ...]]]

# Long enough for a busy machine to send a heartbeat in time, short enough to be waited for.
SECONDS = 3.0
STEAL = "update leases set holder = %s, expires_at = now() + interval '1 hour'"


def lease(database: Database, seconds: float = 60.0, holder: UUID | None = None) -> Lease:
    return Lease(database, "work", holder or uuid4(), seconds)


async def test_one_has_it_and_the_others_are_told(database: Database, rows: Rows) -> None:
    one, other = lease(database), lease(database)
    async with one as held:
        assert held is one
        async with other as nothing:
            assert nothing is None
        assert rows("select name from leases") == [("work",)], "who has nothing gives nothing back"
    assert rows("select name from leases") == []
    async with other as held:
        assert held is other


async def test_of_many_at_once_one_gets_it(database: Database) -> None:
    gate = asyncio.Event()

    async def enter() -> bool:
        async with lease(database) as held:
            if held is not None:
                await gate.wait()
            return held is not None

    tasks = [asyncio.create_task(enter()) for _ in range(8)]
    async with asyncio.timeout(10):
        while sum(task.done() for task in tasks) < 7:
            await asyncio.sleep(0.01)
    gate.set()
    assert sorted(await asyncio.gather(*tasks)) == [False] * 7 + [True]


async def test_it_is_entered_again_and_again_but_not_inside_itself(database: Database) -> None:
    mine = lease(database)
    for _ in range(3):
        async with mine as held:
            assert held is mine
            with pytest.raises(AssertionError, match="once at a time"):
                await mine.__aenter__()


async def test_the_lease_of_a_server_that_died_runs_out(database: Database, rows: Rows) -> None:
    rows("insert into leases values ('work', %s, now() + interval '1 hour')", uuid4())
    async with lease(database) as held:
        assert held is None
    rows("update leases set expires_at = now()")
    async with lease(database) as held:
        assert held is not None


async def test_work_that_takes_longer_keeps_it(database: Database, rows: Rows) -> None:
    async with lease(database, SECONDS):
        ((first,),) = rows("select expires_at from leases")
        async with asyncio.timeout(20):
            while rows("select clock_timestamp() < %s::timestamptz + interval '1 second'", first) == [(True,)]:
                await asyncio.sleep(0.05)
        async with lease(database) as nothing:
            assert nothing is None


async def test_work_is_cancelled_where_it_is_when_another_has_the_lease(database: Database, rows: Rows) -> None:
    cancelled = False
    with pytest.raises(LeaseLost):
        async with lease(database, SECONDS):
            rows(STEAL, uuid4())
            try:
                await asyncio.wait_for(asyncio.Event().wait(), 20)
            except asyncio.CancelledError:
                cancelled = True
                raise
    assert cancelled
    assert rows("select name from leases") == [("work",)], "it gives back what is its own"


async def test_a_statement_of_the_work_is_cancelled_too(database: Database, rows: Rows) -> None:
    async with database.pool.connection() as blocker:
        await blocker.execute("begin; lock table retention_runs in access exclusive mode")
        with pytest.raises(LeaseLost):
            async with lease(database, SECONDS):
                rows(STEAL, uuid4())
                async with database.transaction(tenant=EVERY_TENANT) as tx:
                    await retention.begin_run(tx)
        await blocker.execute("rollback")
    assert rows("select count(*) from retention_runs") == [(0,)]


async def test_work_ends_when_the_database_is_away_for_too_long(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*args: Any, **fields: Any) -> bool:
        raise StoreUnavailable

    with pytest.raises(LeaseLost):
        async with lease(database, SECONDS):
            monkeypatch.setattr(leases, "renew", away)
            await asyncio.wait_for(asyncio.Event().wait(), 20)


@pytest.mark.parametrize("state", ["held", "taken", "run out", "given back"])
async def test_what_is_guarded_is_committed_under_the_lease_or_not_at_all(
    database: Database, rows: Rows, state: str
) -> None:
    """As a server that was stopped in the middle, and is woken: no heartbeat has told it."""
    changes = {
        "held": "select 1",
        "taken": "update leases set holder = gen_random_uuid(), expires_at = now() + interval '1 hour'",
        "run out": "update leases set expires_at = now() - interval '1 second'",
        "given back": "delete from leases",
    }
    raised = None
    async with lease(database) as held:
        assert held is not None
        rows(changes[state])
        try:
            async with database.transaction(tenant=EVERY_TENANT) as tx:
                await retention.begin_run(tx)
                await held.guard(tx)
        except LeaseLost as error:
            raised = error
    assert (raised is None) is (state == "held")
    assert rows("select count(*) from retention_runs") == [(int(state == "held"),)]


async def test_nobody_takes_it_between_the_guard_and_the_commit(database: Database, rows: Rows) -> None:
    async with lease(database, SECONDS) as held:
        assert held is not None
        async with database.transaction(tenant=EVERY_TENANT) as tx:
            await held.guard(tx)
            entering = asyncio.create_task(lease(database).__aenter__())
            async with asyncio.timeout(10):
                while not rows("select pid from pg_stat_activity where wait_event_type = 'Lock'"):
                    await asyncio.sleep(0.01)
            assert not entering.done()
        assert await entering is None


async def test_heartbeats_go_on_beside_a_long_transaction_that_is_guarded_at_its_end(
    database: Database, rows: Rows
) -> None:
    async with lease(database, SECONDS) as held:
        assert held is not None
        async with database.transaction(tenant=EVERY_TENANT) as tx:
            ((first,),) = rows("select expires_at from leases")
            async with asyncio.timeout(20):
                while rows("select clock_timestamp() < %s::timestamptz + interval '1 second'", first) == [(True,)]:
                    await asyncio.sleep(0.05)
                    await tx.one("database.ping")
            await held.guard(tx)


@pytest.mark.parametrize(
    "cause", [ValueError("the cause"), StoreUnavailable("the cause"), LeaseLost("the cause"), None]
)
async def test_a_release_that_fails_hides_nothing(
    database: Database, monkeypatch: pytest.MonkeyPatch, cause: Exception | None
) -> None:
    logged: list[dict[str, Any]] = []

    class Recorder:
        def warning(self, event: str, **fields: Any) -> None:
            logged.append({"event": event} | fields)

    async def fails(*args: Any, **fields: Any) -> None:
        raise StoreUnavailable("postgresql://u:hunter2@db")

    monkeypatch.setattr(module, "log", Recorder())
    monkeypatch.setattr(leases, "release", fails)
    try:
        async with lease(database):
            if cause is not None:
                raise cause
    except Exception as error:
        assert error is cause
    else:
        assert cause is None
    assert logged == [{"event": "lease_not_released", "lease": "work", "error": "StoreUnavailable"}]


async def test_a_cancellation_from_outside_gives_it_back(database: Database, rows: Rows) -> None:
    entered = asyncio.Event()

    async def work() -> None:
        async with lease(database):
            entered.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(work())
    await entered.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert rows("select name from leases") == []
