"""The command line as a process of its own, against a server that runs."""

from __future__ import annotations

import asyncio
import json
import random
import signal
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.cli import Cli, Rows, contents, line, write
from tests.conftest import RunningServer, StartServer, free_port


@pytest.mark.asyncio
async def test_import_stores_each_line_and_a_second_run_none(server: RunningServer, cli: Cli, rows: Rows) -> None:
    said = [f"message {n}" for n in range(30)]
    file = write(cli, *(line(text, f"tenant-{n % 3}") for n, text in enumerate(said)))
    to_server = ("--address", server.grpc_address, "--json")

    first = await cli("import", file, "--batch-size", "4", *to_server)
    assert first.code == 0, first.err
    assert json.loads(first.out)["stored"] == 30
    assert contents(rows) == sorted(said)

    again = json.loads((await cli("import", file, *to_server)).out)
    assert (again["stored"], again["repeated"], again["skipped"]) == (0, 0, 30)
    restarted = json.loads((await cli("import", file, "--restart", *to_server)).out)
    assert (restarted["stored"], restarted["repeated"], restarted["skipped"]) == (0, 30, 0)
    assert contents(rows) == sorted(said)


@pytest.mark.asyncio
async def test_appended_lines_are_imported_and_an_edited_file_is_refused(
    server: RunningServer, cli: Cli, rows: Rows
) -> None:
    to_server = ("--address", server.grpc_address, "--json")
    await cli("import", write(cli, line("one"), line("two")), *to_server)
    grown = json.loads((await cli("import", write(cli, line("one"), line("two"), line("three")), *to_server)).out)
    assert (grown["stored"], grown["skipped"]) == (1, 2)

    edited = await cli("import", write(cli, line("ONE"), line("two"), line("three")), *to_server)
    assert edited.code == 1
    assert "--restart" in edited.err
    assert contents(rows) == ["one", "three", "two"]


@pytest.mark.asyncio
async def test_an_import_that_is_killed_goes_on_and_stores_each_line_once(
    server: RunningServer, cli: Cli, rows: Rows
) -> None:
    """The worst moment: a batch is stored, and the import dies before it hears of it."""
    said = [f"message {n:03}" for n in range(100)]
    file = write(cli, *(line(text, created_at=f"2026-01-01T00:00:{n % 60:02}Z") for n, text in enumerate(said)))
    operations = server.application.operations
    ingest, stored, calls = operations.ingest, asyncio.Event(), 0

    async def stores_the_fifth_and_never_answers(messages: Any) -> Any:
        nonlocal calls
        calls += 1
        result = await ingest(messages)
        if calls == 5:
            stored.set()
            await asyncio.Event().wait()
        return result

    object.__setattr__(operations, "ingest", stores_the_fifth_and_never_answers)
    options = ("--batch-size", "10", "--in-flight", "1", "--address", server.grpc_address, "--json")
    process = await cli.start("import", file, *options)
    await stored.wait()
    process.send_signal(signal.SIGKILL)
    await process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert len(contents(rows)) == 50

    done = await cli("import", file, *options)
    assert done.code == 0, done.err
    figures = json.loads(done.out)
    assert (figures["skipped"], figures["repeated"], figures["stored"]) == (40, 10, 50)
    assert contents(rows) == said


@pytest.mark.asyncio
async def test_an_import_of_many_lines_is_killed_anywhere_and_stores_each_line_once(
    server: RunningServer, cli: Cli, rows: Rows
) -> None:
    """Lines of three tenants in turns, so that batches finish out of their order in the file."""
    count, chance = 2000, random.Random(7)
    said = [f"message {n:04}" for n in range(count)]
    file = write(
        cli, *(line(text, f"tenant-{n // 37 % 3}", conversation_id=f"c{n // 20}") for n, text in enumerate(said))
    )
    options = ("--batch-size", "50", "--address", server.grpc_address, "--json")

    def stored() -> int:
        return int(rows("select count(*) from messages")[0][0])

    for place in sorted(chance.sample(range(50, count - 200), 4)):
        process = await cli.start("import", file, *options)
        async with asyncio.timeout(60):
            while process.returncode is None and stored() < place:
                await asyncio.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        await process.communicate()
        assert process.returncode == -signal.SIGKILL
        assert place <= stored() < count

    done = await cli("import", file, *options)
    assert done.code == 0, done.err
    figures = json.loads(done.out)
    assert figures["stored"] + figures["repeated"] + figures["skipped"] == count
    assert contents(rows) == said
    assert rows("select count(*), count(distinct message_id) from message_lexemes") == [(count, count)]


@pytest.mark.asyncio
async def test_ctrl_c_ends_an_import_with_a_sentence(server: RunningServer, cli: Cli) -> None:
    called = asyncio.Event()

    async def never_answers(messages: Any) -> Any:
        called.set()
        await asyncio.Event().wait()

    object.__setattr__(server.application.operations, "ingest", never_answers)
    process = await cli.start("import", write(cli, line("one")), "--address", server.grpc_address)
    await called.wait()
    process.send_signal(signal.SIGINT)
    _, said = await process.communicate()
    assert process.returncode == 130
    assert said.decode().startswith("Interrupted.")
    assert b"Traceback" not in said


@pytest.mark.asyncio
async def test_ctrl_c_reaches_a_command_of_tests_that_ignore_it(server: RunningServer, cli: Cli) -> None:
    """As ``pytest &`` in a script does."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        await test_ctrl_c_ends_an_import_with_a_sentence(server, cli)
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


@pytest.mark.asyncio
async def test_a_bad_line_stops_the_import_after_what_stands_before_it(
    server: RunningServer, cli: Cli, rows: Rows
) -> None:
    file = write(cli, line("one"), line("two"), line("SECRET", role="SECRET"), line("four"))
    done = await cli("import", file, "--address", server.grpc_address)
    assert done.code == 1
    assert "line 3: role: must be one of" in done.err
    assert "SECRET" not in done.err + done.out
    assert contents(rows) == ["one", "two"]

    file = write(cli, line("one"), line("two"), line("three"), line("four"))
    repaired = await cli("import", file, "--address", server.grpc_address)
    assert repaired.code == 0, repaired.err
    assert contents(rows) == ["four", "one", "three", "two"]


@pytest.mark.asyncio
async def test_bad_lines_can_be_skipped_those_of_the_server_too(server: RunningServer, cli: Cli, rows: Rows) -> None:
    file = write(
        cli, line("one"), "nonsense", line("two"), line("late", created_at="2999-01-01T00:00:00Z"), line("three")
    )
    done = await cli("import", file, "--skip-invalid", "--address", server.grpc_address, "--json")
    assert done.code == 0
    figures = json.loads(done.out)
    assert (figures["stored"], figures["invalid"]) == (3, 2)
    assert "line 2: is not JSON" in done.err
    assert "line 4: created_at: is more than a day in the future" in done.err
    assert contents(rows) == ["one", "three", "two"]


@pytest.mark.asyncio
async def test_lines_without_a_time_keep_their_order(server: RunningServer, cli: Cli, rows: Rows) -> None:
    said = [f"message {n:03}" for n in range(60)]
    options = ("--batch-size", "1", "--in-flight", "8", "--address", server.grpc_address)
    done = await cli("import", write(cli, *map(line, said)), *options)
    assert done.code == 0, done.err
    assert [row[0] for row in rows("select content from messages order by created_at")] == said


@pytest.mark.asyncio
async def test_import_honours_retry_after(start_server: StartServer, cli: Cli, rows: Rows) -> None:
    async with start_server(global_rate_limit="2/second") as server:
        said = [f"message {n}" for n in range(6)]
        done = await cli("import", write(cli, *map(line, said)), "--batch-size", "1", "--address", server.grpc_address)
    assert done.code == 0, done.err
    assert "rate limit" in done.err
    assert contents(rows) == said


@pytest.mark.asyncio
async def test_the_progress_of_another_database_is_not_believed(server: RunningServer, cli: Cli, rows: Rows) -> None:
    file = write(cli, line("one"))
    await cli("import", file, "--address", server.grpc_address)
    rows("delete from messages")
    done = await cli("import", file, "--address", server.grpc_address)
    assert done.code == 1
    assert "another database" in done.err


@pytest.mark.asyncio
async def test_locomo_file_then_search(server: RunningServer, cli: Cli) -> None:
    turns = [
        {"speaker": "Ann", "dia_id": "D1:1", "text": "the weather is nice"},
        {"speaker": "Bob", "dia_id": "D1:2", "text": ""},
        {"speaker": "Ann", "dia_id": "D1:3", "text": "Researching adoption agencies"},
    ]
    session = {"session_1_date_time": "1:56 pm on 8 May, 2023", "session_1": turns}
    (cli.folder / "l.json").write_text(json.dumps([{"sample_id": "conv-1", "conversation": session}]))
    imported = await cli("import", "l.json", "--address", server.grpc_address)
    assert imported.code == 0, imported.err
    assert "2 stored" in imported.out
    assert "1 empty" in imported.out
    assert "policy set --tenant conv-1" in imported.err  # 2023 is older than the retention policy allows

    search = ("search", "adoption agencies", "--tenant", "conv-1", "--address", server.grpc_address)
    found = await cli(*search, "--as-of", "2023-05-09T13:56:02Z", "--top-k", "1", "--json")
    [hit] = json.loads(found.out)["items"]
    assert hit["metadata"] == {"dia_id": "D1:3"}
    assert hit["name"] == "Ann"
    assert hit["created_at"] == "2023-05-08T13:56:02Z"
    assert hit["score"] == pytest.approx(0.6 * hit["similarity"] + 0.3 * hit["importance"] + 0.1 * hit["decay"])

    table = (await cli(*search, "--as-of", "2023-05-09T13:56:02Z")).out
    for part in ("D1:3", "Ann", "session_1", "Researching adoption agencies", f"{hit['score']:.4f}", "0.6·similarity"):
        assert part in table
    nothing = await cli("search", "x", "--tenant", "nobody", "--address", server.grpc_address)
    assert (nothing.code, nothing.out) == (0, "Nothing found in the memory of nobody.\n")


@pytest.mark.asyncio
async def test_search_filters_explains_and_shows_the_turns_around_a_hit(server: RunningServer, cli: Cli) -> None:
    at = ("--address", server.grpc_address)
    said = [
        line("breakfast was late", created_at="2026-01-01T10:00:00Z"),
        line("apples and pears", created_at="2026-01-01T10:01:00Z", metadata={"kind": "fruit"}),
        line("apples it is then", created_at="2026-01-01T10:02:00Z", role="assistant"),
    ]
    assert (await cli("import", write(cli, *said), *at)).code == 0
    search = ("search", "apples and pears", "--tenant", "acme", "--as-of", "2026-01-02", *at)

    async def found(*options: str) -> list[str]:
        done = await cli(*search, *options, "--json")
        assert done.code == 0, done.err
        return sorted(hit["content"] for hit in json.loads(done.out)["items"])

    assert await found("--role", "assistant") == ["apples it is then"]
    assert await found("--created-after", "2026-01-01T10:02:00Z") == ["apples it is then"]
    assert await found("--created-before", "2026-01-01T10:01:00Z") == ["breakfast was late"]
    assert await found("--metadata", "kind=fruit", "--ranking", "semantic") == ["apples and pears"]

    explained = await cli(*search, "--top-k", "1", "--neighbours", "1", "--explain")
    assert explained.code == 0, explained.err
    for part in ("  user: breakfast was late", "  assistant: apples it is then", "score = similarity 0.6·"):
        assert part in explained.out
    assert "semantic ranking of 3 candidates, every one scored; weights: similarity 0.6" in explained.out
    assert "as of 2026-01-02T00:00:00Z" in explained.out

    assert (await cli("retention", "run", "--tenant", "acme", "--action", "archive", *at)).code == 0
    assert len(await found()) == 3, "they were not archived then"
    search = ("search", "apples and pears", "--tenant", "acme", *at)
    assert await found() == []
    assert len(await found("--include-archived")) == 3
    assert "archived 20" in (await cli(*search, "--include-archived")).out


@pytest.mark.asyncio
async def test_import_notes_what_the_importance_threshold_would_archive(server: RunningServer, cli: Cli) -> None:
    at = ("--address", server.grpc_address)
    two_days_ago = (datetime.now(UTC) - timedelta(days=2)).isoformat()
    done = await cli("import", write(cli, line("now"), line("then", created_at=two_days_ago)), *at)
    assert done.code == 0, done.err
    assert "messages of acme are less important than the retention policy asks (0.14, below 0.35)" in done.err
    assert done.err.endswith("memory-grpc policy set --tenant acme --importance-threshold 0\n")
    assert (await cli("retention", "run", "-t", "acme", "--dry-run", *at)).out.startswith("acme: 1 would be archived")

    await cli("policy", "set", "--tenant", "acme", "--importance-threshold", "0", *at)
    quiet = await cli("import", "history.jsonl", "--restart", *at)
    assert (quiet.code, quiet.err) == (0, "")
    heeded = line("then", "other", created_at=two_days_ago, importance_override=0.8)
    assert "Note:" not in (await cli("import", write(cli, line("now", "other"), heeded), "--restart", *at)).err


@pytest.mark.asyncio
async def test_policy_sets_the_ranking_and_keeps_it(server: RunningServer, cli: Cli) -> None:
    at = ("--address", server.grpc_address)
    done = await cli("policy", "set", "--tenant", "acme", "--ranking", "hybrid", "--hybrid-lexical-weight", "0.5", *at)
    assert done.code == 0, done.err
    kept = await cli("policy", "set", "--tenant", "acme", "--hybrid-date-weight", "2", "--json", *at)
    policy = json.loads(kept.out)
    assert policy["ranking"] == "hybrid"
    assert (policy["hybrid_weights"]["lexical"], policy["hybrid_weights"]["date"]) == (0.5, 2)
    assert set(policy["overrides"]) == {"ranking", "hybrid_weights.lexical", "hybrid_weights.date"}

    shown = (await cli("policy", "show", "--tenant", "acme", *at)).out
    for part in ("hybrid (the tenant's own)", "0.5 (the tenant's own)", "hybrid_weights.speaker"):
        assert part in shown


@pytest.mark.asyncio
async def test_errors_are_said_with_their_fields(server: RunningServer, cli: Cli) -> None:
    search = ("search", "x", "--tenant", "t", "--address", server.grpc_address)
    done = await cli(*search, "--top-k", "0")
    assert (done.code, done.err) == (2, "Wrong usage:\n  top_k: must be at least 1\n")
    unread = await cli(*search, "--filter", "role =")  # only the service reads it
    assert unread.code == 2
    assert unread.err.startswith("INVALID_ARGUMENT")
    assert "  filter: " in unread.err


@pytest.mark.asyncio
async def test_a_server_that_is_not_there_is_named(cli: Cli) -> None:
    address = f"127.0.0.1:{free_port()}"
    for arguments in (("search", "x", "-t", "t"), ("import", write(cli, line("x"))), ("stats", "-t", "t")):
        done = await cli(*arguments, "--address", address)
        assert done.code == 1
        assert done.err.startswith(f"No server answers at {address}")
    for kind in ((), ("--grpc",)):
        assert (await cli("health", *kind, "--address", address)).code == 3
    assert (await cli("health", "--rest", "--address", f"http://{address}")).code == 3


@pytest.mark.asyncio
async def test_keys(start_server: StartServer, cli: Cli) -> None:
    async with start_server(api_keys=["the-right-key-to-it"]) as server:
        show = ("policy", "show", "--tenant", "t", "--address", server.grpc_address)
        refused = await cli(*show)
        assert refused.code == 1
        assert "UNAUTHENTICATED" in refused.err
        wrong = await cli(*show, MEMORY_CLIENT_API_KEY="wr0ng")
        assert wrong.code == 1
        assert "wr0ng" not in wrong.err
        assert (await cli(*show, MEMORY_CLIENT_API_KEY="the-right-key-to-it")).code == 0
        assert (await cli(*show, MEMORY_API_KEYS="the-right-key-to-it,another-key-beside-it")).code == 0
        assert (await cli(*show, "--api-key", "the-right-key-to-it")).code == 0
        assert (await cli("health", "--grpc", "--address", server.grpc_address)).code == 0


@pytest.mark.asyncio
async def test_health(server: RunningServer, cli: Cli) -> None:
    at = ("--address", server.grpc_address)
    assert (await cli("health", "--grpc", *at)).out == "SERVING\n"
    done = await cli("health", "--json", *at)
    assert done.code == 0
    assert json.loads(done.out)["database"] == "ok"
    assert "uptime_seconds" in (await cli("health", *at)).out

    server.application.server._set_health(2)
    draining = await cli("health", "--grpc", *at)
    assert (draining.code, draining.out) == (3, "NOT_SERVING\n")


@pytest.mark.asyncio
async def test_policy_keeps_what_is_not_set_and_retention_follows_it(server: RunningServer, cli: Cli) -> None:
    at = ("--address", server.grpc_address)
    await cli("import", write(cli, line("old", created_at="2020-01-01T00:00:00Z")), *at)
    dry = await cli("retention", "run", "-t", "acme", "--dry-run", *at)
    assert dry.out == "acme: 1 would be archived, 0 would be deleted.\n"

    await cli("policy", "set", "--tenant", "acme", "--max-age-days", "36500", "--score-decay", "0.25", *at)
    done = await cli("policy", "set", "--tenant", "acme", "--importance-threshold", "0", "--json", *at)
    policy = json.loads(done.out)
    assert policy["retention"]["max_age_days"] == 36500
    assert policy["score_weights"]["decay"] == 0.25
    assert len(policy["overrides"]) == 3
    kept = json.loads((await cli("retention", "run", "--tenant", "acme", "--action", "archive", "--json", *at)).out)
    assert (kept["archived"], kept["dry_run"]) == (0, False)

    assert "the tenant's own" in (await cli("policy", "show", "--tenant", "acme", *at)).out
    assert json.loads((await cli("policy", "set", "--tenant", "acme", "--reset", "--json", *at)).out)["overrides"] == []
    swept = await cli("retention", "run", "--tenant", "acme", *at)
    assert swept.out == "acme: 1 archived, 0 deleted.\n"


@pytest.mark.asyncio
async def test_migrate_says_what_it_applied(empty_dsn: str, cli: Cli) -> None:
    url = _url(empty_dsn)
    first = await cli("migrate", MEMORY_DATABASE_URL=url)
    assert first.code == 0, first.err
    assert "applied 0001_foundation" in first.out
    assert (await cli("migrate", MEMORY_DATABASE_URL=url)).out == "The database is up to date.\n"
    unset = await cli("migrate")
    assert unset.code == 1
    assert unset.err.startswith("MEMORY_DATABASE_URL is not set")


@pytest.mark.asyncio
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_serve_serves_until_a_signal(dsn: str, cli: Cli, number: signal.Signals) -> None:
    port = str(free_port())
    process = await cli.start(
        "serve",
        MEMORY_DATABASE_URL=_url(dsn),
        MEMORY_GRPC_PORT=port,
        MEMORY_METRICS_PORT="0",
        MEMORY_EMBEDDING_PROVIDER="hashing",
    )
    assert process.stderr is not None
    while b"serving" not in (said := await process.stderr.readline()):
        assert said, "ended before it served"
    assert (await cli("health", "--grpc", MEMORY_GRPC_PORT=port)).code == 0
    process.send_signal(number)
    _, rest = await process.communicate()
    assert process.returncode == 0
    assert b"draining" in rest
    assert b"Traceback" not in rest


@pytest.mark.asyncio
async def test_serve_says_what_keeps_it_from_starting(cli: Cli) -> None:
    unset = await cli("serve")
    assert (unset.code, unset.err.count("\n")) == (1, 1)
    url = f"postgresql://someone:hunter2@127.0.0.1:{free_port()}/db"
    quiet = {"MEMORY_GRPC_PORT": "0", "MEMORY_METRICS_PORT": "0", "MEMORY_EMBEDDING_PROVIDER": "hashing"}
    done = await cli("serve", MEMORY_DATABASE_URL=url, MEMORY_RATE="1", **quiet)
    assert done.code == 1
    assert "cannot be reached" in done.err
    assert "MEMORY_RATE" in done.err
    assert "hunter2" not in done.err


@pytest.mark.asyncio
async def test_envoy_config_is_written(cli: Cli) -> None:
    done = await cli("envoy-config", "--output", "envoy.out.yaml", MEMORY_HTTP_PORT="8123")
    assert done.code == 0, done.err
    assert "8123" in (cli.folder / "envoy.out.yaml").read_text()
    assert "8123" in (await cli("envoy-config", MEMORY_HTTP_PORT="8123")).out


def _url(dsn: str) -> str:
    """The conninfo of a fixture as a URL."""
    from urllib.parse import quote

    from psycopg.conninfo import conninfo_to_dict

    parts = conninfo_to_dict(dsn)
    query = "&".join(f"{name}={quote(str(parts[name]), safe='')}" for name in ("host", "port", "user") if name in parts)
    return f"postgresql:///{parts['dbname']}?{query}"
