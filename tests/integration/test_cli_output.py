"""What commands print when it is read by programs, and what they read from standard input."""

from __future__ import annotations

import asyncio
import io
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from memory_grpc.cli import app
from memory_grpc.commands.failure import said_plainly
from tests.cli import Cli, line
from tests.conftest import RunningServer

OF_ACME = ("--tenant", "acme")


@pytest.mark.asyncio
async def test_every_command_prints_json_for_programs(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """In this process: a process of its own for each would take most of the time."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.setenv("MEMORY_GRPC_PORT", server.grpc_address.rpartition(":")[2])

    def ended(*arguments: str) -> int:
        with pytest.raises(SystemExit) as end, said_plainly():
            app(args=[*arguments, "--json"], prog_name="memory-grpc")
        assert isinstance(end.value.code, int)
        return end.value.code

    async def answer(*arguments: str) -> Any:
        code = await asyncio.to_thread(ended, *arguments)
        out, err = capsys.readouterr()
        assert (code, err) == (0, ""), arguments
        return json.loads(out)

    async def imported(*lines: str) -> Any:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO("\n".join(lines).encode())))
        return await answer("import", "-")

    assert (await imported(line("one", user_id="u"), line("two")))["stored"] == 2
    again = await imported(line("one", user_id="u"), line("two"), line("three"))
    assert (again["stored"], again["repeated"]) == (1, 2)

    listed = await answer("list", *OF_ACME)
    first, second, _ = (message["id"] for message in listed["messages"])
    assert (await answer("get", first))["content"] == "one"
    assert (await answer("search", "one", *OF_ACME))["items"]
    assert (await answer("context", "one", *OF_ACME))["messages"]
    assert (await answer("update", first, *OF_ACME, "--content", "new"))["content"] == "new"
    assert len((await answer("revisions", first, *OF_ACME))["revisions"]) == 1
    assert (await answer("conversations", *OF_ACME))["conversations"]
    assert (await answer("users", *OF_ACME))["users"]
    assert int((await answer("stats", *OF_ACME))["live"]) == 3
    assert (await answer("delete", second, *OF_ACME))["erased"] == [second]
    assert (await answer("policy", "show", *OF_ACME))["overrides"] == []
    assert (await answer("policy", "set", *OF_ACME, "--importance-threshold", "1"))["overrides"]
    assert int((await answer("retention", "simulate", *OF_ACME))["archived"]) == 2
    assert int((await answer("retention", "run", *OF_ACME))["archived"]) == 2
    assert int((await answer("retention", "restore", *OF_ACME, "--user", "u"))["restored"]) == 1
    assert int((await answer("forget", *OF_ACME, "--user", "u", "--plan"))["erasure"]["planned"]) == 1
    assert (await answer("forget", *OF_ACME, "--user", "u", "--yes"))["verification"]["clean"]
    assert (await answer("audit", *OF_ACME))["events"]
    assert (await answer("health"))["status"] == "ok"
    assert (await answer("health", "--grpc")) == {"status": "SERVING"}
    made = await answer("key", "create", "--all-tenants", "--role", "admin", "--label", "x")
    monkeypatch.setenv("MEMORY_CLIENT_API_KEY", made["key"])
    assert len((await answer("key", "list"))["api_keys"]) == 1
    assert (await answer("key", "revoke", made["api_key"]["id"]))["revoked_at"]


@pytest.mark.asyncio
async def test_a_list_of_many_ends_well_when_nobody_reads_on(server: RunningServer, cli: Cli) -> None:
    text = "a long message " * 400
    (cli.folder / "history.jsonl").write_text("\n".join(line(f"{number} {text}") for number in range(60)))
    assert (await cli("import", "history.jsonl", "--address", server.grpc_address)).code == 0
    for command in (("list", "--json"), ("export",)):
        process = await cli.start(*command, *OF_ACME, "--address", server.grpc_address)
        assert process.stdout is not None
        assert process.stderr is not None
        await process.stdout.readline()
        process.stdout._transport.close()  # type: ignore[attr-defined]
        said = await process.stderr.read()
        assert (await process.wait(), said) == (0, b""), command
