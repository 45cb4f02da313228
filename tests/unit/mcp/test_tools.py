"""What the tools say of themselves, before any is called."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from mcp.server.mcpserver.exceptions import ToolError

from memory_grpc.commands.client import connection_arguments
from memory_grpc.commands.configuration import Target, target
from memory_grpc.commands.failure import CommandError
from memory_grpc.mcp import http
from memory_grpc.mcp.callers import Caller, Callers, KeyedClient
from memory_grpc.mcp.server import MemoryServer
from memory_grpc.mcp.user_memory import Scope
from memory_grpc.settings import Settings
from tests.unit.test_documents import ROOT

PAGE = (ROOT / "docs/mcp.md").read_text()


async def tools() -> dict[str, Any]:
    server = MemoryServer(Scope("acme", "ann", "mcp"), Callers(KeyedClient("127.0.0.1:1")))
    return {tool.name: tool for tool in await server.list_tools()}


def names(schema: Any) -> set[str]:
    """The names of all properties in a schema, at any depth."""
    if isinstance(schema, list):
        return {name for one in schema for name in names(one)}
    if not isinstance(schema, dict):
        return set()
    own = set(schema["properties"]) if isinstance(schema.get("properties"), dict) else set()
    return own | {name for value in schema.values() for name in names(value)}


@pytest.mark.asyncio
async def test_no_tool_takes_a_tenant_or_a_user_nor_shows_one():
    for tool in (await tools()).values():
        assert not {
            name for name in names(tool.input_schema) | names(tool.output_schema) if re.search("tenant|user", name)
        }
        assert tool.input_schema["additionalProperties"] is False


@pytest.mark.asyncio
async def test_every_tool_says_what_it_is_and_what_it_returns():
    for tool in (await tools()).values():
        assert tool.title and tool.description and tool.output_schema["type"] == "object"
        assert tool.annotations.open_world_hint is False
        assert None not in (tool.annotations.read_only_hint, tool.annotations.idempotent_hint)
        assert not (tool.annotations.read_only_hint and tool.annotations.destructive_hint)


@pytest.mark.asyncio
async def test_limits_stand_in_the_schema():
    found = await tools()
    search = found["search_memories"].input_schema["properties"]
    assert (search["query"]["minLength"], search["query"]["maxLength"]) == (1, 10_000)
    assert (search["limit"]["minimum"], search["limit"]["maximum"]) == (1, 50)
    assert found["get_context"].input_schema["properties"]["max_tokens"]["maximum"] == 32_000
    assert found["add_memories"].input_schema["properties"]["memories"]["maxItems"] == 50
    assert found["add_memories"].input_schema["$defs"]["NewMemory"]["properties"]["content"]["maxLength"] == 100_000


@pytest.mark.asyncio
async def test_the_page_lists_the_tools_and_their_hints():
    listed = dict(re.findall(r"^\| `(\w+)` \| .* \| (.*) \|$", PAGE, re.MULTILINE))
    found = await tools()
    assert listed.keys() == found.keys()
    for name, tool in found.items():
        hints = tool.annotations
        assert ("reads" in listed[name], "destructive" in listed[name]) == (
            hints.read_only_hint,
            hints.destructive_hint,
        )


def key_of(callers: Callers, **headers: str) -> str | None:
    return callers.of({name.replace("_", "-"): value for name, value in headers.items()}, None).key


def test_a_caller_over_http_has_its_own_key_and_the_servers_only_if_it_is_lent():
    client = KeyedClient("127.0.0.1:1")
    keeping = Callers(client, "own", by_header=True)
    assert key_of(keeping) is key_of(keeping, authorization="Basic YTpi") is key_of(keeping, x_api_key=" ") is None
    assert key_of(keeping, x_api_key="mine", authorization="Bearer other") == "mine"
    assert key_of(keeping, authorization="BEARER mine ") == "mine"
    lending = Callers(client, "own", by_header=True, lent=True)
    assert (key_of(lending), key_of(lending, x_api_key="mine")) == ("own", "mine")
    assert Callers(client, "own").of({"x-api-key": "mine"}, "192.0.2.1") == Caller("own")
    assert "own" not in repr(keeping)


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:DB8::1", "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1"),
        ("fe80::1%\x01\n", "fe80::1"),
        ("fe80::1%\xe9", "fe80::1"),
        ("192.0.2.1%1", "192.0.2.1"),
        ("unknown", None),
        ("", None),
        (None, None),
    ],
)
def test_what_a_proxy_wrote_is_sent_on_only_as_an_address(host: str | None, address: str | None):
    assert Callers(KeyedClient("127.0.0.1:1"), by_header=True).of({}, host).address == address


@pytest.mark.parametrize("trusted", ["*", "127.0.0.1, *", "0.0.0.0/0", "::/0"])
def test_a_caller_does_not_choose_its_address(trusted: str, monkeypatch: pytest.MonkeyPatch):
    server = MemoryServer(Scope("acme", "ann", "mcp"), Callers(KeyedClient("127.0.0.1:1"), by_header=True))
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", trusted)
    with pytest.raises(CommandError, match=r"^FORWARDED_ALLOW_IPS: "):
        http.configuration(server, "127.0.0.1", ())
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "127.0.0.1, 192.0.2.0/24")
    http.configuration(server, "127.0.0.1", ())


@pytest.mark.asyncio
async def test_what_a_caller_names_is_not_repeated():
    server = MemoryServer(Scope("acme", "ann", "mcp"), Callers(KeyedClient("127.0.0.1:1")))
    with pytest.raises(ToolError) as refused:
        await server.call_tool("search_memories", {"query": "q", "PIN 4711\nx": 1})
    assert "4711" not in str(refused.value)


def test_keys_of_callers_do_not_go_to_another_machine_in_clear():
    elsewhere = Target("memory.internal:50051", 5.0, None, Settings(_env_file=None))
    connection_arguments(elsewhere)
    with pytest.raises(CommandError):
        connection_arguments(elsewhere, with_others_keys=True)


def test_a_model_has_no_key_of_the_deployment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("MEMORY_CLIENT_API_KEY", raising=False)
    monkeypatch.setenv("MEMORY_API_KEYS", "a-key-of-the-deployment")
    assert target(None, None, 5.0).api_key == "a-key-of-the-deployment"
    assert target(None, None, 5.0, with_deployments_key=False).api_key is None
