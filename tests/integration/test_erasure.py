"""ErasureService: exactly what was planned is erased, nothing of it is left, and that is shown."""

from __future__ import annotations

import asyncio
import hashlib
import json
import re
from collections.abc import Callable
from typing import Any
from uuid import UUID, uuid4

import grpc
import psycopg
import pytest

from memory_grpc.jobs import erase
from memory_grpc.jobs.lease import Lease
from memory_grpc.operations.erasure import erasures
from memory_grpc.store import vocabularies
from memory_grpc.store.database import Database
from memory_grpc.store.tenant_tables import TENANT_TABLES
from memory_layer.v1 import admin_service_pb2 as admin
from memory_layer.v1 import erasure_service_pb2 as pb
from memory_layer.v1 import key_service_pb2, policy_pb2, policy_service_pb2, revision_pb2
from memory_layer.v1 import memory_service_pb2 as memory
from tests.cli import Cli
from tests.conftest import RunningRest, RunningServer, StartServer
from tests.integration.test_ingest import message
from tests.projections import ADRIFT

pytestmark = pytest.mark.asyncio

Rows = Callable[..., list[tuple[Any, ...]]]


async def fill(server: RunningServer, user: str = "u-7", count: int = 5, **fields: Any) -> list[str]:
    """Messages of a user that are in every table, one of them archived; their ids."""
    requests = [message(f"{user} said {n}", user_id=user, request_id=str(uuid4()), **fields) for n in range(count)]
    return [(await server.memory.IngestMessage(request)).id for request in requests]


async def plan(server: RunningServer, tenant_id: str = "acme", **what: Any) -> pb.PlanErasureResponse:
    """Of the user, unless it says otherwise."""
    found: pb.PlanErasureResponse = await server.erasure.PlanErasure(
        pb.PlanErasureRequest(tenant_id=tenant_id, **(what or {"user_id": "u-7", "sample_size": 2}))
    )
    return found


async def apply(server: RunningServer, planned: pb.PlanErasureResponse, **kwargs: Any) -> pb.Erasure:
    """Applies a plan; the erasure when it is done."""
    one = {"tenant_id": planned.erasure.tenant_id, "erasure_id": planned.erasure.erasure_id}
    found = await server.erasure.ApplyErasure(pb.ApplyErasureRequest(**one), **kwargs)
    async with asyncio.timeout(30):
        while found.state != "done":
            await asyncio.sleep(0.05)
            found = await server.erasure.GetErasure(pb.GetErasureRequest(**one), **kwargs)
    return found


async def verify(server: RunningServer, found: pb.Erasure) -> pb.VerifyErasureResponse:
    answer: pb.VerifyErasureResponse = await server.erasure.VerifyErasure(
        pb.VerifyErasureRequest(tenant_id=found.tenant_id, erasure_id=found.erasure_id)
    )
    return answer


async def refused(call: Any) -> grpc.StatusCode:
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await call
    return error.value.code()


def by_table(rows: Any) -> dict[str, int]:
    return {one.table: one.rows for one in rows}


async def test_a_user_is_forgotten_and_everybody_else_is_whole(server: RunningServer, rows: Rows) -> None:
    gone, kept = await fill(server), await fill(server, "u-8")
    await fill(server, "u-7", tenant_id="rival")
    await server.memory.UpdateMessage(
        revision_pb2.UpdateMessageRequest(tenant_id="acme", message_id=gone[3], content="u-7 said another thing")
    )
    rows("update messages set archived_at = now() where id = %s", gone[0])
    rows("insert into embedding_jobs (tenant_id, message_id, run_at) values ('acme', %s, 'infinity')", gone[1])
    rows("insert into reembedding_backlog (tenant_id, message_id, attempts) values ('acme', %s, 9)", gone[2])

    planned = await plan(server)
    assert (planned.erasure.state, planned.erasure.scope, planned.erasure.planned) == ("planned", "user", 5)
    counted = by_table(planned.erasure.planned_rows)
    assert counted == {
        "messages": 5,
        "message_embeddings": 5,
        "message_lexemes": 5,
        "idempotency_keys": 5,
        "embedding_jobs": 1,
        "reembedding_backlog": 1,
        "message_revisions": 1,
        "revision_embeddings": 1,
        "revision_lexemes": 1,
    }
    assert [one.id for one in planned.sample] == gone[:2:-1]
    assert rows("select count(*) from messages") == [(15,)], "a plan changes nothing"
    # What comes after the plan is not meant.
    late = (await server.memory.IngestMessage(message("later", user_id="u-7"))).id

    done = await apply(server, planned)
    assert done.erased == 5
    assert by_table(done.erased_rows) == counted
    for table in TENANT_TABLES:
        if table.message_column is not None:
            where = f"from {table.name} where {table.message_column} = any(%s)"
            assert rows(f"select count(*) {where}", [UUID(id_) for id_ in gone]) == [(0,)], table.name
    left = {str(id_) for (id_,) in rows("select id from messages where tenant_id = 'acme'")}
    assert left == {*kept, late}
    assert rows("select count(*) from messages where tenant_id = 'rival'") == [(5,)]
    assert rows(ADRIFT) == [(0,)]
    hits = (
        await server.memory.SearchMemories(
            memory.SearchMemoriesRequest(
                tenant_id="acme", query="u-7 said", user_id="u-7", include_archived=True, top_k=50
            )
        )
    ).items
    assert [hit.message_id for hit in hits] == [late]

    found = await verify(server, done)
    assert found.clean, found
    assert {check.place for check in found.checks} >= {*counted, "request ids", "word statistics"}
    assert {"backups and dumps", "replicas"} <= {limit.place for limit in found.unreachable}


async def test_the_receipt_tells_what_when_and_by_whom_and_names_nobody(start_server: StartServer, rows: Rows) -> None:
    async with start_server(api_keys="root-key") as server:
        root = [("x-api-key", "root-key")]
        made = await server.key.CreateApiKey(
            key_service_pb2.CreateApiKeyRequest(label="l", role="admin", tenant_ids=["acme"]), metadata=root
        )
        key = [("x-api-key", made.key)]
        ids = [
            (await server.memory.IngestMessage(message(f"said {n}", user_id="u-7"), metadata=root)).id for n in range(3)
        ]
        request = pb.PlanErasureRequest(tenant_id="acme", user_id="u-7")
        planned = await server.erasure.PlanErasure(request, metadata=key)
        one = {"tenant_id": "acme", "erasure_id": planned.erasure.erasure_id}
        early = server.erasure.GetErasureReceipt(pb.GetErasureReceiptRequest(**one), metadata=root)
        assert await refused(early) is grpc.StatusCode.FAILED_PRECONDITION
        await apply(server, planned, metadata=root)
        receipt = await server.erasure.GetErasureReceipt(pb.GetErasureReceiptRequest(**one), metadata=key)
        assert receipt.ids_digest == hashlib.sha256(b"".join(sorted(UUID(id_).bytes for id_ in ids))).hexdigest()
        assert (receipt.planned_by, receipt.applied_by) == (made.api_key.id, "settings")
        assert receipt.erased_at.ToDatetime() <= receipt.erasure.finished_at.ToDatetime()
        assert "u-7" not in str(receipt)
    assert "u-7" not in str(rows("select e::text from erasures e"))


async def test_whole_tenants_go_with_policy_and_keys_and_the_applying_key_gets_a_day(
    start_server: StartServer, rows: Rows
) -> None:
    async with start_server(api_keys="root-key") as server:
        root = [("x-api-key", "root-key")]
        keys = {}
        for label, tenants in {"own": ["acme"], "bot": ["acme"], "both": ["acme", "rival"]}.items():
            request = key_service_pb2.CreateApiKeyRequest(label=label, role="admin", tenant_ids=tenants)
            keys[label] = (await server.key.CreateApiKey(request, metadata=root)).key
        own = [("x-api-key", keys["own"])]
        await server.policy.SetTenantPolicy(
            policy_service_pb2.SetTenantPolicyRequest(
                tenant_id="acme", retention=policy_pb2.RetentionPolicy(max_age_days=1)
            ),
            metadata=own,
        )
        quota = policy_pb2.StorageQuota(max_messages=7)
        await server.policy.SetTenantPolicy(
            policy_service_pb2.SetTenantPolicyRequest(
                tenant_id="acme", quota=quota, retention=policy_pb2.RetentionPolicy(max_age_days=1)
            ),
            metadata=root,
        )
        for tenant in ("acme", "rival"):
            await server.memory.IngestMessage(message("said", tenant_id=tenant), metadata=root)
        rows("insert into tenant_models select 'acme', id from embedding_models where active")
        request = pb.PlanErasureRequest(tenant_id="acme", whole_tenant=True)
        planned = await server.erasure.PlanErasure(request, metadata=own)
        assert (await apply(server, planned, metadata=own)).erased == 1
        kept = "select quota_max_messages, retention_max_age_days from tenant_policies"
        assert rows(kept) == [(7, None)], "how much it may store is not its own to forget"
        for table in ("messages", "tenant_models", "tenant_graphs", "tenant_words"):
            assert rows(f"select count(*) from {table} where tenant_id = 'acme'") == [(0,)], table
        assert rows("select count(*) from messages") == [(1,)]
        held = dict(rows("select label, revoked_at is not null from api_keys"))
        assert held == {"own": False, "bot": True, "both": False}
        assert rows("select expires_at <= now() + interval '1 day' from api_keys where label = 'own'") == [(True,)]


async def test_one_selector_is_needed_and_a_filter_must_say_something(server: RunningServer) -> None:
    for what in (
        {"sample_size": 1},
        {"user_id": "a", "conversation_id": "b"},
        {"filter": "role = user", "whole_tenant": True},
        {"filter": "  "},
        {"filter": "role ="},
    ):
        assert await refused(plan(server, **what)) is grpc.StatusCode.INVALID_ARGUMENT, what
    for what, scope in ((("filter", 'role = "user"'), "filter"), (("conversation_id", "conv-1"), "conversation")):
        await fill(server, "anybody", 2)
        planned = await plan(server, **dict([what]))
        assert (planned.erasure.scope, planned.erasure.planned) == (scope, 2)
        assert (await apply(server, planned)).erased == 2


async def test_applying_again_changes_nothing_and_unknown_or_old_plans_are_refused(
    server: RunningServer, rows: Rows
) -> None:
    await fill(server)
    planned = await plan(server)
    done = await apply(server, planned)
    assert await apply(server, planned) == done
    one = {"tenant_id": "acme", "erasure_id": str(uuid4())}
    assert await refused(server.erasure.ApplyErasure(pb.ApplyErasureRequest(**one))) is grpc.StatusCode.NOT_FOUND
    foreign = pb.GetErasureRequest(tenant_id="rival", erasure_id=done.erasure_id)
    assert await refused(server.erasure.GetErasure(foreign)) is grpc.StatusCode.NOT_FOUND
    old = await plan(server)
    rows("update erasures set expires_at = now() where state = 'planned'")
    one["erasure_id"] = old.erasure.erasure_id
    code = await refused(server.erasure.ApplyErasure(pb.ApplyErasureRequest(**one)))
    assert code in (grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.NOT_FOUND)
    async with asyncio.timeout(20):
        while rows("select count(*) from erasures where state = 'planned'") != [(0,)]:
            await asyncio.sleep(0.05)
    assert rows("select count(*) from erasure_items") == [(0,)]


async def test_what_went_by_itself_since_the_plan_is_erased_from_everywhere_else(
    server: RunningServer, rows: Rows
) -> None:
    ids = await fill(server)
    planned = await plan(server)
    rows("delete from messages where id = %s", ids[0])
    await server.memory.DeleteMessage(memory.DeleteMessageRequest(tenant_id="acme", message_id=ids[1]))
    done = await apply(server, planned)
    assert (done.planned, done.erased) == (5, 3)
    assert rows("select count(*) from idempotency_keys") == [(0,)]
    assert (await verify(server, done)).clean
    assert rows("select count(*) from erased_messages where kind = 'message'") == [(5,)]


async def test_verify_finds_what_was_put_back(server: RunningServer, rows: Rows) -> None:
    ids = await fill(server)
    rows("create table copy as select * from messages where id = %s", ids[0])
    rows("create table keys as select * from idempotency_keys where message_id = %s", ids[1])
    done = await apply(server, await plan(server))
    assert (await verify(server, done)).clean
    rows("insert into messages select * from copy")
    rows("insert into idempotency_keys select * from keys")
    rows(
        "insert into tenant_word_statistics (tenant_id, config, messages, length, length1, length2, counted_at) "
        "values ('acme', 'english', 1, 1, 1, 1, now() - interval '1 day')"
    )
    found = await verify(server, done)
    assert not found.clean
    assert {check.place: check.found for check in found.checks if check.found} == {
        "messages": 1,
        "idempotency_keys": 1,
        "request ids": 1,
        "word statistics": 1,
    }


async def test_words_are_counted_again(server: RunningServer, rows: Rows) -> None:
    await fill(server)
    await fill(server, "u-8", 1)
    config = vocabularies.named(server.settings.search_text_config)
    rows(
        "insert into tenant_word_statistics (tenant_id, config, messages, length, length1, length2) "
        "values ('acme', %s, 6, 6, 6, 6)",
        config,
    )
    rows("insert into tenant_words (tenant_id, config, word, frequency) values ('acme', %s, 'u-7', 5)", config)
    done = await apply(server, await plan(server))
    assert rows("select messages from tenant_word_statistics") == [(1,)]
    assert rows("select count(*) from tenant_words") == [(0,)]
    assert (await verify(server, done)).clean


async def test_deleted_rows_leave_the_tables_and_the_planner_s_samples(server: RunningServer, rows: Rows) -> None:
    await fill(server, count=30)
    await fill(server, "u-8", count=3)
    rows("vacuum (analyze) messages")
    sampled = (
        "select count(*) from pg_stats where tablename = 'messages' and histogram_bounds::text like '%%u-7 said%%'"
    )
    assert rows(sampled) == [(1,)], "samples of what was said are there before"
    done = await apply(server, await plan(server))
    assert rows(sampled) == [(0,)]
    tables = [table.name for table in TENANT_TABLES if table.message_column is not None]
    vacuumed = "select bool_and(last_vacuum > %s) from pg_stat_user_tables where relname = any(%s)"
    assert rows(vacuumed, done.applied_at.ToDatetime(), tables) == [(True,)]
    told: list[str] = []
    with psycopg.connect(server.dsn, autocommit=True) as connection:
        connection.add_notice_handler(lambda notice: told.append(notice.message_primary or ""))
        for table in tables:
            connection.execute(f"vacuum (verbose) {table}".encode())
    assert len(told) >= len(tables)
    assert set(re.findall(r"tuples: (\d+) removed", " ".join(told))) == {"0"}, "nothing was left for another vacuum"


async def test_queries_are_forgotten_by_every_server(server: RunningServer, rows: Rows) -> None:
    # It forgets when it begins to listen, too.
    listening = (
        "select count(*) from pg_stat_activity where datname = current_database() and query = 'listen \"erasures\"'"
    )
    async with asyncio.timeout(10):
        while rows(listening) != [(1,)]:
            await asyncio.sleep(0.02)
    request = memory.SearchMemoriesRequest(tenant_id="acme", query="my secret question")
    await server.memory.SearchMemories(request)
    models = server.application.operations.search._models
    embedder = (await models.of("acme")).embedder
    assert [text for _, text in embedder._cache._vectors] == ["my secret question"]
    await fill(server)
    await apply(server, await plan(server))
    async with asyncio.timeout(10):
        while embedder._cache._vectors:
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("why", ["a statement that fails", "a lock that another holds"])
async def test_one_that_fails_keeps_no_other_from_its_turn_and_is_tried_again(
    start_server: StartServer, rows: Rows, dsn: str, monkeypatch: pytest.MonkeyPatch, why: str
) -> None:
    monkeypatch.setattr(erase, "RETRY_SECONDS", 0.0)
    monkeypatch.setattr(erase, "_LOCK_MILLISECONDS", 200)
    async with start_server() as server:
        await fill(server)
        await fill(server, tenant_id="rival")
        first, second = await plan(server), await plan(server, "rival")
        one = {"tenant_id": "acme", "erasure_id": first.erasure.erasure_id}
        with psycopg.connect(dsn, autocommit=True) as another:
            if why == "a lock that another holds":
                another.execute("select pg_advisory_lock_shared(7207, hashtext('acme'))")
            else:
                rows(
                    "create function broken() returns trigger language plpgsql as $$ begin raise 'no'; end $$;"
                    "create trigger broken before delete on messages for each row when (old.tenant_id = 'acme') "
                    "execute function broken()"
                )
            await server.erasure.ApplyErasure(pb.ApplyErasureRequest(**one))
            assert (await apply(server, second)).erased == 5
            async with asyncio.timeout(20):
                while not (held := await server.erasure.GetErasure(pb.GetErasureRequest(**one))).last_error:
                    await asyncio.sleep(0.05)
            assert (held.state, held.erased) == ("erasing", 0)
            rows("drop trigger if exists broken on messages")
        done = await apply(server, first)
        assert (done.erased, done.last_error) == (5, "")


async def test_one_that_fails_keeps_none_of_its_own_tenant_from_its_turn(
    start_server: StartServer, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(erase, "RETRY_SECONDS", 1.0)
    async with start_server() as server:
        await fill(server)
        await fill(server, "u-8")
        first, second = await plan(server), await plan(server, user_id="u-8")
        rows(
            "create function broken() returns trigger language plpgsql as $$ begin raise 'no'; end $$;"
            "create trigger broken before delete on messages for each row when (old.user_id = 'u-7') "
            "execute function broken()"
        )
        one = {"tenant_id": "acme", "erasure_id": first.erasure.erasure_id}
        await server.erasure.ApplyErasure(pb.ApplyErasureRequest(**one))
        async with asyncio.timeout(20):
            while not (await server.erasure.GetErasure(pb.GetErasureRequest(**one))).last_error:
                await asyncio.sleep(0.05)
        assert (await apply(server, second)).erased == 5
        rows("drop trigger broken on messages")
        assert (await apply(server, first)).erased == 5


async def test_a_tenant_s_plans_do_not_pile_up(server: RunningServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(erasures, "MOST_PLANNED", 11)
    await fill(server)
    oldest, older, newest = [await plan(server) for _ in range(3)]
    one = {"tenant_id": "acme", "erasure_id": oldest.erasure.erasure_id}
    code = await refused(server.erasure.ApplyErasure(pb.ApplyErasureRequest(**one)))
    assert code in (grpc.StatusCode.FAILED_PRECONDITION, grpc.StatusCode.NOT_FOUND), "soon it is gone"
    assert (await apply(server, older)).erased == 5
    assert (await apply(server, newest)).planned == 5


async def test_nobody_waits_for_another_s_long_erasure_or_for_its_vacuums(
    start_server: StartServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    vacuums: list[int] = []
    vacuum = erase.erasure.vacuum

    async def counted(database: Database) -> None:
        vacuums.append(1)
        await vacuum(database)

    async with start_server() as server:
        monkeypatch.setattr(erase, "BATCH", 2)
        monkeypatch.setattr(erase.erasure, "vacuum", counted)
        await fill(server, count=60)
        applied = [await plan(server)]
        for number in range(10):
            await fill(server, f"s-{number}", count=1)
            applied.append(await plan(server, user_id=f"s-{number}"))
        await fill(server, tenant_id="rival", count=1)
        other = await plan(server, "rival")
        for planned in applied:
            one = {"tenant_id": "acme", "erasure_id": planned.erasure.erasure_id}
            await server.erasure.ApplyErasure(pb.ApplyErasureRequest(**one))
        assert (await apply(server, other)).erased == 1
        long = await server.erasure.GetErasure(
            pb.GetErasureRequest(tenant_id="acme", erasure_id=applied[0].erasure.erasure_id)
        )
        assert long.state == "erasing"
        for planned in applied:
            await apply(server, planned)
        assert len(vacuums) < len(applied)


async def test_a_plan_is_of_one_moment_and_retention_and_writers_may_go_on(server: RunningServer, rows: Rows) -> None:
    ids = set(await fill(server, count=20))
    planned = await plan(server)

    async def write() -> list[str]:
        return [(await server.memory.IngestMessage(message(f"more {n}", user_id="u-7"))).id for n in range(30)]

    sweep = server.admin.RunRetention(admin.RunRetentionRequest(tenant_id="acme", actions=["archive"]))
    done, late, _ = await asyncio.gather(apply(server, planned), write(), sweep)
    assert done.erased == 20
    assert {str(id_) for (id_,) in rows("select id from messages")} == {*late}
    assert not ids & {*late}


async def test_over_rest(rest: RunningRest, rows: Rows) -> None:
    await fill(rest.server)
    planned = await rest.http.post("/v1/admin/erasure/plan", json={"tenant_id": "acme", "user_id": "u-7"})
    assert (planned.status_code, planned.json()["erasure"]["planned"]) == (200, 5)
    assert len(planned.json()["sample"]) == 5
    one = {"tenant_id": "acme", "erasure_id": planned.json()["erasure"]["erasure_id"]}
    assert (await rest.http.post("/v1/admin/erasure/verify", json=one)).status_code == 400
    assert (await rest.http.post("/v1/admin/erasure/apply", json=one)).status_code == 200
    async with asyncio.timeout(20):
        while (await rest.http.get("/v1/admin/erasure", params=one)).json()["state"] != "done":
            await asyncio.sleep(0.05)
    receipt = (await rest.http.get("/v1/admin/erasure/receipt", params=one)).json()
    assert (receipt["erasure"]["erased"], receipt["applied_by"]) == (5, "none")
    assert (await rest.http.post("/v1/admin/erasure/verify", json=one)).json()["clean"] is True
    one["erasure_id"] = str(uuid4())
    assert (await rest.http.get("/v1/admin/erasure", params=one)).status_code == 404
    assert rows("select count(*) from messages") == [(0,)]


async def test_a_job_that_died_is_finished_by_the_next(
    start_server: StartServer, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between any two batches, and in the middle of cleaning."""
    guard, steps = Lease.guard, 0

    async def now_and_then(lease: Lease, tx: Any) -> None:
        nonlocal steps
        if lease._name == erase.LEASE:
            steps += 1
            if steps % 3 == 0:
                raise ConnectionError
        await guard(lease, tx)

    monkeypatch.setattr(erase, "BATCH", 2)
    monkeypatch.setattr(erase, "RETRY_SECONDS", 0.0)
    monkeypatch.setattr(Lease, "guard", now_and_then)
    async with start_server() as server:
        ids = await fill(server, count=9)
        done = await apply(server, await plan(server))
        assert done.erased == by_table(done.erased_rows)["messages"] == len(ids)
        assert (await verify(server, done)).clean
    assert steps > 8


async def test_from_the_command_line(server: RunningServer, cli: Cli, rows: Rows) -> None:
    await fill(server)
    await fill(server, "u-8", 2)
    address = ("--address", server.grpc_address)
    planned = await cli("forget", "--tenant", "acme", "--user", "u-7", "--plan", *address)
    assert planned.code == 0, planned.err
    assert "5 messages of acme" in planned.out
    assert "user: u-7 said 4" in planned.out
    unasked = await cli("forget", "--tenant", "acme", "--user", "u-7", *address)
    assert (unasked.code, "--yes" in unasked.err) == (2, True)
    assert rows("select count(*) from messages") == [(7,)]
    (erasure_id,) = re.findall(r"--apply (\S+)", planned.out)
    applied = await cli("forget", "--tenant", "acme", "--apply", erasure_id, "--yes", *address)
    assert (applied.code, "5 of 5 messages erased" in applied.out) == (0, True), applied.err
    assert "Out of reach: backups" in applied.out
    assert "digest of the ids" in (await cli("forget", "--tenant", "acme", "--receipt", erasure_id, *address)).out
    verified = await cli("forget", "--tenant", "acme", "--verify", erasure_id, *address, "--json")
    assert json.loads(verified.out)["clean"] is True
    done = await cli("forget", "--tenant", "acme", "--conversation", "conv-1", "--yes", *address, "--json")
    assert json.loads(done.out)["erasure"]["erased"] == 2
    assert rows("select count(*) from messages") == [(0,)]
    for wrong in ((), ("--user", "a", "--conversation", "b"), ("--apply", erasure_id, "--plan"), ("--plan",)):
        assert (await cli("forget", "--tenant", "acme", *wrong, *address)).code == 2, wrong
