"""Exports of other programs into a real server: whole, once, and not at all where something in them is wrong."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from tests import exports
from tests.cli import Cli, Rows, contents, line, write
from tests.conftest import RunningServer

pytestmark = pytest.mark.asyncio


def file_of(cli: Cli, kind: str) -> str:
    """An export of that kind; its name."""
    if kind == "slack":
        return exports.slack(cli.folder / "slack").name
    values = {
        "chatgpt": exports.chatgpt(),
        "claude": exports.claude(),
        "openai": exports.OPENAI,
        "sharegpt": exports.SHAREGPT,
        "langchain": exports.LANGCHAIN,
        "discord": exports.DISCORD,
        "mem0": exports.MEM0,
        "whatsapp": exports.WHATSAPP,
    }
    return exports.write(cli.folder / f"{kind}.export", values[kind]).name


COUNTS = {
    "chatgpt": 3,
    "claude": 3,
    "openai": 4,
    "sharegpt": 5,
    "langchain": 3,
    "slack": 4,
    "discord": 2,
    "mem0": 2,
    "whatsapp": 4,
}
OPTIONS = ("--tenant", "acme", "--role", "tool=assistant")


@pytest.mark.parametrize("kind", COUNTS)
async def test_an_export_goes_in_whole_and_once(server: RunningServer, cli: Cli, rows: Rows, kind: str) -> None:
    file = file_of(cli, kind)
    command = ("import", file, *OPTIONS, "--address", server.grpc_address, "--json", "--batch-size", "2")
    tried = await cli("import", file, *OPTIONS, "--dry-run", "--json")
    assert tried.code == 0, tried.err
    found = json.loads(tried.out)
    assert (found["format"], found["messages"], found["invalid"]) == (kind, COUNTS[kind], 0)
    assert len(found["examples"]) == min(5, COUNTS[kind])
    assert contents(rows) == []

    first = await cli(*command)
    assert first.code == 0, first.err
    assert json.loads(first.out)["stored"] == COUNTS[kind]
    assert f"{file} is " in first.err
    assert {source for (source,) in rows("select metadata ->> 'source' from messages")} == {kind}
    stored = [tuple(row) for row in rows("select conversation_id, content from messages order by created_at, id")]
    assert (await cli(*command)).code == 0
    assert json.loads((await cli(*command, "--restart")).out)["repeated"] == COUNTS[kind]
    assert [
        tuple(row) for row in rows("select conversation_id, content from messages order by created_at, id")
    ] == stored


async def test_a_later_export_brings_only_what_is_new(server: RunningServer, cli: Cli, rows: Rows) -> None:
    to_server = ("--tenant", "acme", "--address", server.grpc_address, "--json")
    await cli("import", exports.write(cli.folder / "conversations.json", exports.chatgpt()).name, *to_server)
    grown = exports.chatgpt()
    grown[0]["mapping"]["more"] = exports.node("more", "thanks", "assistant", "You are welcome", at=exports.START + 90)
    grown[0] |= {"current_node": "more"}
    newer = [grown[0] | {"conversation_id": "c-2"}, *grown]
    later = await cli("import", exports.write(cli.folder / "later.json", newer).name, *to_server)
    assert later.code == 0, later.err
    assert (json.loads(later.out)["stored"], json.loads(later.out)["repeated"]) == (5, 3)


def broken(kind: str) -> tuple[Any, str]:
    """An export with something wrong at its end, and what it is named as."""
    if kind == "whatsapp":
        return exports.WHATSAPP + "[15/13/24, 09:00:00] Ann: SECRET\n", "line 8: has a time that does not exist"
    if kind == "chatgpt":
        value = exports.chatgpt()
        value[0]["mapping"]["thanks"]["message"]["create_time"] = "SECRET"
        return value, "[0].mapping.thanks.message: create_time: must be seconds since 1970"
    claude = exports.claude()
    if kind == "claude":
        claude[0]["chat_messages"][2] |= {"sender": "SECRET "}
        return claude, "[0].chat_messages[2]: role: ? is no role of the service"
    if kind == "offset":
        claude[0]["chat_messages"][2] |= {"created_at": "2024-05-01T10:00:00+99:99"}
        return claude, "[0].chat_messages[2]: created_at: must be an RFC 3339 time"
    if kind == "long":
        claude[0]["chat_messages"][2] |= {"text": "SECRET" * 20_000}
        return claude, "[0].chat_messages[2]: content: must have at most 100000 characters"
    return json.dumps(claude)[:-2], "line 1 column"


@pytest.mark.parametrize("kind", ["chatgpt", "claude", "whatsapp", "offset", "long", "cut off"])
async def test_where_something_is_wrong_nothing_is_stored(
    server: RunningServer, cli: Cli, rows: Rows, kind: str
) -> None:
    value, place = broken(kind)
    file = exports.write(cli.folder / "export", value).name
    for options in (("--address", server.grpc_address), ("--dry-run",)):
        done = await cli("import", file, "--tenant", "acme", *options)
        assert done.code == 1
        assert place in done.err
        assert "SECRET" not in done.out + done.err
    assert contents(rows) == []


async def test_what_is_wrong_can_be_left_out(server: RunningServer, cli: Cli, rows: Rows) -> None:
    file = exports.write(cli.folder / "export", broken("offset")[0]).name
    done = await cli("import", file, "--tenant", "acme", "--address", server.grpc_address, "--json", "--skip-invalid")
    assert done.code == 0, done.err
    assert (json.loads(done.out)["stored"], json.loads(done.out)["invalid"]) == (2, 1)


async def test_a_list_of_ingest_requests_is_stored_whole_or_not_at_all(
    server: RunningServer, cli: Cli, rows: Rows
) -> None:
    to_server = ("--address", server.grpc_address)
    bad = await cli(
        "import", write(cli, f"[{line('one')}, {line('two', created_at='2026-11-14T20:30:00+99:99')}]"), *to_server
    )
    assert (bad.code, contents(rows)) == (1, [])
    assert "[1]: created_at: must be an RFC 3339 time" in bad.err
    good = await cli("import", write(cli, f"[{line('one')}, {line('two')}]"), *to_server)
    assert (good.code, contents(rows)) == (0, ["one", "two"]), good.err


async def test_lines_of_utf_16_are_stored(server: RunningServer, cli: Cli, rows: Rows) -> None:
    exports.write(cli.folder / "history.jsonl", "\n".join(map(line, ("one", "two"))), "utf-16")
    done = await cli("import", "history.jsonl", "--address", server.grpc_address)
    assert (done.code, contents(rows)) == (0, ["one", "two"]), done.err


async def test_keep_sets_a_policy_that_archives_nothing(server: RunningServer, cli: Cli, rows: Rows) -> None:
    to_server = ("--address", server.grpc_address)
    await cli("policy", "set", "--tenant", "acme", "--delete-after-days", "7", *to_server)
    file = exports.write(cli.folder / "conversations.json", exports.chatgpt()).name
    warned = await cli("import", file, "--tenant", "other", *to_server)
    assert "older than the retention policy allows (30 days)" in warned.err
    kept = await cli("import", file, "--tenant", "acme", "--keep", *to_server)
    assert kept.code == 0, kept.err
    assert "retention policy" not in kept.err
    policy = json.loads((await cli("policy", "show", "--tenant", "acme", *to_server, "--json")).out)
    assert policy["retention"] == {"max_age_days": 36500.0, "importance_threshold": 0.0, "delete_after_days": 7.0}
    for tenant, archived in (("acme", 0), ("other", 3)):
        await cli("retention", "run", "--tenant", tenant, "--action", "archive", *to_server)
        assert rows("select count(*) from messages where tenant_id = %s and archived_at is not null", tenant) == [
            (archived,)
        ]


async def test_a_line_that_came_live_before_is_known_for_good(server: RunningServer, cli: Cli, rows: Rows) -> None:
    from memory_layer.v1 import memory_service_pb2 as pb

    own = "7b0b6f0e-6c8e-4c62-9a53-0d4cb0b1a4f1"
    live = pb.IngestMessageRequest(tenant_id="acme", conversation_id="c", role="user", content="one", request_id=own)
    live.created_at.FromDatetime(datetime(2026, 1, 1, tzinfo=UTC))
    await server.memory.IngestMessage(live)
    file = write(cli, line("one", request_id=own, created_at="2026-01-01T00:00:00Z"))
    done = await cli("import", file, "--address", server.grpc_address, "--json")
    assert json.loads(done.out)["repeated"] == 1, done.err
    assert rows("select kept from idempotency_keys") == [(True,)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--format", "nonsense"), "give one of auto, jsonl"),
        (("--role", "tool=wizard"), "give a role of the file and one of user"),
        (("--dates", "ydm"), "give one of dmy, mdy, ymd"),
        (("--timezone", "Mars/Phobos"), "give a time zone"),
    ],
)
async def test_options_that_mean_nothing_are_usage_errors(cli: Cli, options: tuple[str, ...], message: str) -> None:
    done = await cli("import", write(cli, line("one")), "--dry-run", *options)
    assert done.code == 2
    assert message in " ".join(done.err.replace("│", " ").split())
