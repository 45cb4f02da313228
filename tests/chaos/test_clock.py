"""A replica whose clock is an hour off: the database's clock rules, so nothing expires early, and nothing late."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import grpc
import pytest

from memory_layer.v1 import admin_service_pb2 as admin
from tests.chaos.harness import connected, fetch, item, message, serving, until

HALF_AN_HOUR = "interval '30 minutes'"


@pytest.mark.asyncio
@pytest.mark.parametrize("off", [3600, -3600], ids=["fast", "slow"])
async def test_6_a_replica_whose_clock_is_an_hour_off(off: int, dsn: str, tmp_path: Path) -> None:
    faults: list[str] = []

    with item(6, "a replica whose clock is an hour off") as result:

        def check(what: str, holds: bool) -> None:
            result.tried += 1
            result.held += holds
            faults.extend([] if holds else [what])

        async with serving(dsn, tmp_path) as sane, connected(sane.address) as client:
            keys = {name: str(uuid4()) for name in ("young", "old")}
            ids = {
                name: (await client.memory.IngestMessage(message(name, request_id=keys.get(name)))).id
                for name in ("young", "old", "archived young", "archived old", "leased")
            }
        _age(dsn, ids, keys)
        # Another server holds the sweep's lease, and one message's job, for half an hour more.
        fetch(dsn, f"insert into leases values ('retention', %s, now() + {HALF_AN_HOUR})", uuid4())
        fetch(dsn, "update messages set embedding_status = 'pending' where id = %s", ids["leased"])
        fetch(dsn, f"insert into embedding_jobs values ('chaos', %s, 1, now() + {HALF_AN_HOUR})", ids["leased"])

        async with (
            serving(
                dsn,
                tmp_path,
                command=("-m", "tests.chaos.off_clock", str(off)),
                RETENTION_SCHEDULE_SECONDS=1,
            ) as server,
            connected(server.address) as client,
        ):
            health = await client.admin.GetHealth(admin.GetHealthRequest())
            error = health.timestamp.ToDatetime(UTC) - datetime.now(UTC)
            assert abs(error.total_seconds() - off) < 60, f"its clock is not off: {error}"

            # Its workers and its scheduler run: what is theirs they do.
            later = await client.memory.IngestMessage(message("embedded later", embed_later=True))
            done = "select embedding_status from messages where id = %s"
            await until(lambda: fetch(dsn, done, later.id) == [("completed",)], 20, "its workers work")
            await asyncio.sleep(2.5)  # more than two looks at whether a sweep is due
            check("swept under another's lease", fetch(dsn, "select count(*) from retention_runs") == [(0,)])
            check("took another's job", fetch(dsn, "select attempts from embedding_jobs") == [(1,)])
            check("archived early", _kept(dsn, ids["old"]) == "live")

            now = fetch(dsn, "select now()")[0][0]
            check("stamped by its own clock", abs(later.created_at.ToDatetime(UTC) - now) < timedelta(minutes=5))
            for minutes, is_taken in ((-30, True), (30, False)):
                ahead = message("ahead")
                ahead.created_at.FromDatetime(now + timedelta(days=1, minutes=minutes))
                check(f"a day and {minutes} minutes ahead", await _is_taken(client, ahead) is is_taken)

            fetch(dsn, "delete from leases")
            swept = "select count(*) from retention_runs where status = 'ok'"
            await until(lambda: fetch(dsn, swept)[0][0] > 0, 20, "a sweep")
            check("archived early", _kept(dsn, ids["young"]) == "live")
            check("not archived", _kept(dsn, ids["old"]) == "archived")
            check("deleted early", _kept(dsn, ids["archived young"]) == "archived")
            check("not deleted", _kept(dsn, ids["archived old"]) == "")
            remembered = {str(row[0]) for row in fetch(dsn, "select request_id from idempotency_keys")}
            check("a request id was forgotten early", keys["young"] in remembered)
            check("a request id was not forgotten", keys["old"] not in remembered)
            again = await client.memory.IngestMessage(message("young", request_id=keys["young"]))
            check("a retry stored the message again", again.id == ids["young"])
            check("took another's job", fetch(dsn, "select attempts from embedding_jobs") == [(1,)])
        assert not faults, faults


def _age(dsn: str, ids: dict[str, str], keys: dict[str, str]) -> None:
    """Puts each half an hour before or after the end of its time: 30 days, 90 in the archive, 24 hours."""
    for name, sign in (("young", "+"), ("old", "-")):
        at = f"now() - interval '30 days' {sign} {HALF_AN_HOUR}"
        fetch(dsn, f"update messages set created_at = {at} where id = %s", ids[name])
        at = f"now() - interval '24 hours' {sign} {HALF_AN_HOUR}"
        fetch(dsn, f"update idempotency_keys set created_at = {at} where request_id = %s", keys[name])
        at = f"now() - interval '90 days' {sign} {HALF_AN_HOUR}"
        fetch(dsn, f"update messages set archived_at = {at} where id = %s", ids[f"archived {name}"])


def _kept(dsn: str, id_: str) -> str:
    """Where a message is; empty when it is gone."""
    state = "case when archived_at is null then 'live' else 'archived' end"
    return "".join(row[0] for row in fetch(dsn, f"select {state} from messages where id = %s", id_))


async def _is_taken(client: object, request: object) -> bool:
    try:
        await client.memory.IngestMessage(request)
    except grpc.aio.AioRpcError as error:
        assert error.code() == grpc.StatusCode.INVALID_ARGUMENT
        return False
    return True
