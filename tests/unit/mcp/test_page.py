"""docs/mcp.md: what is to be copied from it parses, and its command lines are understood."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator
from typing import Any

import pytest
import typer

from memory_grpc.cli import app
from memory_grpc.commands import mcp as command
from tests.unit.test_documents import ROOT, blocks

PAGE = (ROOT / "docs/mcp.md").read_text()
CONFIGURATIONS = [json.loads(block) for block in blocks(PAGE, "json")]


def lines() -> Iterator[list[str]]:
    """The arguments of ``memory-grpc`` wherever the page starts it."""
    for configuration in CONFIGURATIONS:
        for server in (configuration.get("mcpServers") or configuration["servers"]).values():
            if "command" in server:
                assert server["command"] == "memory-grpc"
                assert server["env"].keys() == {"MEMORY_CLIENT_API_KEY"}
                yield server["args"]
    for block in blocks(PAGE, "bash"):
        words = shlex.split(block)
        if "memory-grpc" in words:
            yield words[words.index("memory-grpc") + 1 :]


@pytest.mark.parametrize("line", list(lines()), ids=" ".join)
def test_its_command_lines_are_understood(line: list[str], monkeypatch: pytest.MonkeyPatch):
    started: list[Any] = []
    monkeypatch.setattr(command, "stdio", lambda *given: started.append(given) or 0)
    monkeypatch.setattr(command, "streamable_http", lambda *given, **named: started.append((*given, named)) or 0)
    assert typer.main.get_command(app)(line, standalone_mode=False) == 0
    ((tenant, user, *_),) = started
    assert (tenant, user) in (("acme", "ann"), ("acme", "${USER}"))


def test_there_is_a_configuration_of_each_shape():
    local = [one for one in CONFIGURATIONS if '"command"' in json.dumps(one)]
    remote = [one for one in CONFIGURATIONS if '"url"' in json.dumps(one)]
    assert (len(local), len(remote), len(CONFIGURATIONS)) == (4, 2, 6)
    for one in remote:
        (server,) = (one.get("mcpServers") or one["servers"]).values()
        assert (server["url"], set(server["headers"])) == ("http://127.0.0.1:8765/mcp", {"x-api-key"})
