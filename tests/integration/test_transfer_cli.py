"""``memory-grpc export`` and ``import`` of what it wrote: the same bytes, and the same answers."""

from __future__ import annotations

import asyncio
import json
import random
from typing import Any

import psycopg
import pytest

from memory_layer.v1 import memory_service_pb2 as pb
from memory_layer.v1 import policy_service_pb2 as policy
from tests.cli import Cli, Rows, contents
from tests.conftest import RunningServer, StartServer, free_port
from tests.integration.test_ingest import eventually, message

pytestmark = pytest.mark.asyncio

SAID = [
    "We go to Vienna by night train in May",
    "The cat needs its vaccination on Friday",
    "My sister bakes rye bread every Sunday",
    "The knee still hurts when I climb stairs",
    "Grüße aus Köln 👋",
]


async def fill(server: RunningServer, count: int = 0) -> None:
    said = SAID if not count else [f"turn {number} about {number % 7}" for number in range(count)]
    for text in said:
        request = message(text, user_id="ann")
        request.metadata.update({"b": 1, "a": {"d": [1, 2.5], "c": "x"}})
        await server.memory.IngestMessage(request)


async def export(cli: Cli, server: RunningServer, name: str, *options: str) -> bytes:
    """An export into a file of that name; its bytes."""
    process = await cli.start("export", "--tenant", "acme", "--address", server.grpc_address, *options)
    out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    (cli.folder / name).write_bytes(out)
    return out


async def answers(server: RunningServer) -> list[pb.SearchMemoriesResponse]:
    questions = ("how will we travel to Austria", "which injury is healing", "what does the family eat", "pets")
    found = []
    for question in questions:
        for ranking in ("semantic", "hybrid"):
            request = pb.SearchMemoriesRequest(tenant_id="acme", query=question, ranking=ranking, top_k=5)
            request.as_of.FromJsonString("2999-01-01T00:00:00Z")
            found.append(await server.memory.SearchMemories(request))
    return found


@pytest.mark.parametrize("with_embeddings", [True, False])
async def test_the_real_model_answers_the_same_after_the_move(
    start_server: StartServer, cli: Cli, other_dsn: str, with_embeddings: bool
) -> None:
    options = ["--with-policy", *["--with-embeddings"] * with_embeddings]
    async with start_server(embedding_provider="sentence_transformer") as server:
        await fill(server)
        await server.policy.SetTenantPolicy(
            policy.SetTenantPolicyRequest(tenant_id="acme", retention={"max_age_days": 365})
        )
        before = await export(cli, server, "acme.jsonl", *options)
        expected = await answers(server)
    assert expected[0].items[0].content == SAID[0]
    assert expected[2].items[0].content == SAID[3]

    async with start_server(other_dsn, embedding_provider="sentence_transformer") as server:
        done = await cli("import", "acme.jsonl", "--address", server.grpc_address, "--json")
        assert done.code == 0, done.err
        figures = json.loads(done.out)
        assert figures == {
            "stored": 5,
            "repeated": 0,
            "conflicting": 0,
            "erased": 0,
            "pending": 0 if with_embeddings else 5,
            "ignored_revisions": 0,
        }
        with psycopg.connect(other_dsn) as connection:
            await eventually(
                lambda: connection.execute("select count(*) from embedding_jobs").fetchone() == (0,), seconds=60
            )
        assert await export(cli, server, "again.jsonl", *options) == before
        found = await answers(server)
    if with_embeddings:
        assert [one.SerializeToString(deterministic=True) for one in found] == [
            one.SerializeToString(deterministic=True) for one in expected
        ]
    for one, other in zip(found, expected, strict=True):
        assert [hit.message_id for hit in one.items] == [hit.message_id for hit in other.items]
        # In another batch a text has another vector in the last bits.
        assert [hit.score for hit in one.items] == pytest.approx([hit.score for hit in other.items], abs=1e-3)


async def test_an_export_that_was_cut_off_goes_on(server: RunningServer, cli: Cli, rows: Rows) -> None:
    await fill(server, 30)
    whole = await export(cli, server, "whole.jsonl", "--with-embeddings")
    chance = random.Random(1)
    for cut in [0, len(whole), len(whole) - 1, *(chance.randrange(len(whole)) for _ in range(4))]:
        (cli.folder / "part.jsonl").write_bytes(whole[:cut])
        done = await cli(
            "export",
            "--tenant",
            "acme",
            "--with-embeddings",
            "--continue",
            "part.jsonl",
            "--address",
            server.grpc_address,
        )
        assert done.code == 0, done.err
        assert done.out == ""
        assert (cli.folder / "part.jsonl").read_bytes() == whole
    other = await cli("export", "--tenant", "acme", "--continue", "part.jsonl", "--address", server.grpc_address)
    assert other.code == 1
    assert "part.jsonl is another export" in other.err


async def test_what_is_there_is_not_stored_again_and_a_conflict_is_named(
    server: RunningServer, cli: Cli, rows: Rows
) -> None:
    await fill(server)
    await export(cli, server, "acme.jsonl")
    rows("delete from messages where content like 'We go%%'")
    rows("update messages set content = 'The cat is well' where content like 'The cat%%'")
    done = await cli("import", "acme.jsonl", "--address", server.grpc_address)
    assert done.code == 1
    assert "line 3: another message has this id, and stays as it is" in done.err
    assert "1 stored, 3 repeated (the service had them already), 1 conflicting (not stored), 1 pending" in done.out
    assert "The cat is well" in contents(rows)


async def test_a_policy_that_is_there_stays(server: RunningServer, cli: Cli) -> None:
    own = policy.SetTenantPolicyRequest(tenant_id="acme", retention={"max_age_days": 365}, ranking="hybrid")
    own.score_weights.decay = 0.2
    own.time_zone, own.language = "Europe/Berlin", "de-AT"
    await server.policy.SetTenantPolicy(own)
    before = await server.policy.GetTenantPolicy(policy.GetTenantPolicyRequest(tenant_id="acme"))
    await export(cli, server, "acme.jsonl", "--with-policy")
    to_server = ("--address", server.grpc_address)
    await server.policy.SetTenantPolicy(policy.SetTenantPolicyRequest(tenant_id="acme"))
    assert (await cli("import", "acme.jsonl", *to_server)).code == 0
    restored = await server.policy.GetTenantPolicy(policy.GetTenantPolicyRequest(tenant_id="acme"))
    restored.ClearField("updated_at")
    before.ClearField("updated_at")
    assert restored == before
    await server.policy.SetTenantPolicy(policy.SetTenantPolicyRequest(tenant_id="acme", ranking="semantic"))
    again = await cli("import", "acme.jsonl", *to_server)
    assert "line 2: acme has a policy of its own, which stays." in again.err
    now = await server.policy.GetTenantPolicy(policy.GetTenantPolicyRequest(tenant_id="acme"))
    assert list(now.overrides) == ["ranking"]


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda value: value["message"].update(role="SECRET"), "line 4: message.role: must be one of"),
        (lambda value: value["message"].update(content=["SECRET"]), "line 4: is no record of an export (content)"),
        (lambda value: value["message"].update(SECRET=1), "line 4: is no record of an export"),
        (lambda value: value["message"].pop("created_at"), "line 4: message.created_at: is required"),
        (lambda value: value.clear(), "line 4: is no record of an export"),
    ],
)
async def test_a_file_with_a_bad_line_is_not_stored_at_all(
    server: RunningServer, cli: Cli, rows: Rows, change: Any, fault: str
) -> None:
    await fill(server)
    lines = (await export(cli, server, "acme.jsonl")).decode().splitlines()
    rows("delete from messages")
    value = json.loads(lines[3])
    change(value)
    lines[3] = json.dumps(value)
    (cli.folder / "acme.jsonl").write_text("\n".join(lines))
    for options in (("--address", server.grpc_address), ("--dry-run",)):
        done = await cli("import", "acme.jsonl", *options)
        assert done.code == 1
        assert fault in done.err
        assert "SECRET" not in done.err
    assert contents(rows) == []


async def test_a_dry_run_shows_an_export(server: RunningServer, cli: Cli, rows: Rows) -> None:
    await fill(server)
    await export(cli, server, "acme.jsonl")
    rows("delete from messages")
    done = await cli("import", "acme.jsonl", "--dry-run")
    assert done.code == 0, done.err
    assert done.out.startswith("acme.jsonl is an export: 5 messages of acme.\n")
    assert len(done.out.splitlines()) == 6
    other = await cli("import", "acme.jsonl", "--tenant", "other", "--dry-run")
    assert (other.code, contents(rows)) == (1, [])


async def test_an_export_survives_a_server_that_restarts(start_server: StartServer, cli: Cli, rows: Rows) -> None:
    port = free_port()
    async with start_server(grpc_port=port) as server:
        await fill(server, 20)
        whole = await export(cli, server, "whole.jsonl")
    process = await cli.start("export", "--tenant", "acme", "--address", f"127.0.0.1:{port}")
    assert process.stderr is not None
    async with asyncio.timeout(60):
        assert b"UNAVAILABLE: going on" in await process.stderr.readline()
    async with start_server(grpc_port=port):
        out, err = await process.communicate()
    assert process.returncode == 0, err.decode()
    assert out == whole
