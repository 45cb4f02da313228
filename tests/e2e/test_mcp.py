"""``memory-grpc mcp`` as assistants start it, called by the SDK's own client: the real service and the real model."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import httpx
import httpx2
import pytest
from mcp import Client, StdioServerParameters
from mcp.client.stdio import stdio_client
from mcp.client.streamable_http import streamable_http_client

from tests.conftest import free_port
from tests.e2e.test_workflow import Up, running

TENANT, KEY = "acme", "the-admin-key-of-the-tests"
Connect = Callable[..., AbstractAsyncContextManager[Client]]


class Served:
    """A running service with keys, and MCP servers in front of it."""

    def __init__(self, up: Up, folder: Path) -> None:
        self.up = up
        self.folder = folder
        self.address = f"127.0.0.1:{up.environment['MEMORY_GRPC_PORT']}"

    def arguments(self, *more: str, user: str = "ann", tenant: str = TENANT) -> list[str]:
        named = ["--tenant", tenant, "--user", user, "--address", self.address]
        return ["-m", "memory_grpc", "mcp", *named, *more]

    def environment(self, key: str | None) -> dict[str, str]:
        passed = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
        return {**passed, "HOME": str(self.folder), **({"MEMORY_CLIENT_API_KEY": key} if key else {})}

    @asynccontextmanager
    async def stdio(self, *more: str, key: str | None = KEY, mode: str = "auto", **whose: str) -> AsyncIterator[Client]:
        parameters = StdioServerParameters(
            command=sys.executable,
            args=self.arguments(*more, **whose),
            env=self.environment(key),
            cwd=self.folder,
        )
        async with Client(stdio_client(parameters), mode=mode) as client:
            yield client

    @contextmanager
    def http_server(self, *more: str, key: str | None = None, **whose: str) -> Iterator[str]:
        """The URL of a server over HTTP; it ends well on SIGTERM."""
        process = subprocess.Popen(
            [sys.executable, *self.arguments("--transport", "http", "--port", "0", *more, **whose)],
            env=self.environment(key),
            cwd=self.folder,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        with process.stdout:
            try:
                said = process.stdout.readline()
                yield said.removeprefix("MCP at ").strip()
            finally:
                process.send_signal(signal.SIGTERM)
                assert process.wait(20) == 0

    @asynccontextmanager
    async def http(self, url: str, headers: dict[str, str] | None = None, mode: str = "auto") -> AsyncIterator[Client]:
        async with (
            httpx2.AsyncClient(headers=headers, trust_env=False, timeout=60) as http,
            Client(streamable_http_client(url, http_client=http), mode=mode) as client,
        ):
            yield client

    def store(self, content: str, user: str, tenant: str = TENANT) -> str:
        body = {"tenant_id": tenant, "user_id": user, "conversation_id": "c", "role": "user", "content": content}
        answer = self.up.http.post("/v1/messages", json=body, headers={"x-api-key": KEY})
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    def key(self, role: str, tenant: str = TENANT) -> str:
        body = {"label": role, "role": role, "tenant_ids": [tenant]}
        answer = self.up.http.post("/v1/admin/api-keys", json=body, headers={"x-api-key": KEY})
        return str(answer.json()["key"])


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("mcp")
    with running(folder, MEMORY_API_KEYS=KEY) as up:
        yield Served(up, folder)


@pytest.fixture(scope="module")
def url(served: Served) -> Iterator[str]:
    """A server for Ann, whose callers bring their own keys."""
    with served.http_server() as url:
        yield url


async def called(client: Client, tool: str, **arguments: Any) -> Any:
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, result.content
    return result.structured_content


async def refused(client: Client, tool: str, **arguments: Any) -> str:
    result = await client.call_tool(tool, arguments)
    assert result.is_error
    (said,) = result.content
    assert said.text.count("\n") == 0 and said.text.endswith(".")
    return str(said.text)


def contents(answer: Any) -> list[str]:
    return [one["content"] for one in answer["memories"]]


@pytest.mark.parametrize(("transport", "mode"), [("stdio", "auto"), ("http", "auto"), ("http", "legacy")])
@pytest.mark.asyncio
async def test_every_tool_works_on_one_memory(served: Served, url: str, transport: str, mode: str):
    via = served.stdio(user="eve", mode=mode) if transport == "stdio" else served.http(url, {"x-api-key": KEY}, mode)
    async with via as client:
        tools = {tool.name for tool in (await client.list_tools()).tools}
        added = await called(
            client,
            "add_memories",
            memories=[
                {"content": "I am allergic to peanuts", "metadata": {"topic": "food"}},
                {"content": "My cat is called Tom", "created_at": "2026-01-05T10:00:00Z", "importance": 1},
                {"content": "I moved to Porto last year", "pinned": True},
            ],
        )
        allergy, cat, porto = (one["id"] for one in added["memories"])
        again = await called(client, "add_memories", memories=[{"content": "I am allergic to peanuts"}])
        assert again["memories"][0]["id"] == allergy

        found = await called(client, "search_memories", query="What must I not eat?", limit=2)
        assert (found["memories"][0]["content"], len(found["memories"])) == ("I am allergic to peanuts", 2)
        food = await called(client, "search_memories", query="anything", filter='metadata.topic = "food"')
        assert contents(food) == ["I am allergic to peanuts"]
        built = await called(client, "get_context", query="Which pet do I have?", max_tokens=60)
        assert "Tom" in built["text"] and cat in built["memory_ids"] and built["total_tokens"] <= 60
        listed = await called(client, "list_memories", page_size=2, newest_first=False)
        rest = await called(
            client, "list_memories", page_size=2, newest_first=False, page_token=listed["next_page_token"]
        )
        assert contents(listed)[0] == "My cat is called Tom"
        assert {one["id"] for page in (listed, rest) for one in page["memories"]} == {allergy, cat, porto}
        assert rest["next_page_token"] is None

        changed = await called(client, "update_memory", memory_id=cat, content="My cat is called Tim", pinned=True)
        assert (changed["content"], changed["pinned"]) == ("My cat is called Tim", True)
        assert await called(client, "get_memory", memory_id=cat) == changed
        results = (await called(client, "search", query="the name of my cat"))["results"]
        assert results[0] == {"id": cat, "title": "My cat is called Tim", "url": f"memory://{cat}"}
        document = await called(client, "fetch", id=cat)
        assert document["text"] == "My cat is called Tim"
        assert document["metadata"]["created_at"] == "2026-01-05T10:00:00Z"

        plan = await called(client, "forget_memories", memory_id=allergy)
        assert (plan["state"], plan["count"], contents({"memories": plan["sample"]})) == (
            "planned",
            1,
            ["I am allergic to peanuts"],
        )
        assert await called(client, "get_memory", memory_id=allergy)
        done = await called(client, "forget_memories", plan_id=plan["plan_id"])
        assert (done["state"], done["forgotten"]) == ("done", 1)
        assert await refused(client, "get_memory", memory_id=allergy) == "There is no memory with that id."
        old = await called(client, "forget_memories", created_before="2026-02-01T00:00:00Z")
        assert [one["id"] for one in old["sample"]] == [cat]
        everything = await called(client, "forget_memories", everything=True)
        assert everything["count"] == 2
        while (gone := await called(client, "forget_memories", plan_id=everything["plan_id"]))["state"] != "done":
            pass
        assert gone["forgotten"] == 2
        assert contents(await called(client, "list_memories", include_archived=True)) == []
    assert tools == {
        *("add_memories", "search_memories", "get_context", "list_memories", "get_memory", "update_memory"),
        *("forget_memories", "search", "fetch"),
    }


@pytest.mark.asyncio
async def test_a_user_is_alone_with_their_memory(served: Served, url: str):
    own = served.store("My sister Lena lives in Oslo", "ann")
    bens = served.store("My sister Pia lives in Lisbon", "ben")
    elsewhere = served.store("My sister Eva lives in Rome", "ann", tenant="other")
    nobodys = served.up.http.post(
        "/v1/messages",
        json={"tenant_id": TENANT, "conversation_id": "c", "role": "user", "content": "My sister lives on Mars"},
        headers={"x-api-key": KEY},
    ).json()["id"]
    async with served.http(url, {"authorization": f"Bearer {KEY}"}) as ann, served.stdio(user="ben") as ben:
        found = await called(ann, "search_memories", query="Where does my sister live?", include_archived=True)
        assert contents(found) == ["My sister Lena lives in Oslo"]
        wide = 'user_id = "ben" OR NOT user_id = "ann"'
        assert contents(await called(ann, "search_memories", query="my sister", filter=wide)) == []
        assert contents(await called(ann, "list_memories", filter=wide)) == []
        built = await called(ann, "get_context", query="my sister", conversation_id="c", filter=wide)
        assert built["text"] == ""
        assert contents(await called(ann, "list_memories")) == ["My sister Lena lives in Oslo"]
        for id_ in (bens, elsewhere, nobodys):
            for tool, arguments in (
                ("get_memory", {"memory_id": id_}),
                ("fetch", {"id": id_}),
                ("update_memory", {"memory_id": id_, "content": "hers"}),
                ("forget_memories", {"memory_id": id_}),
            ):
                assert await refused(ann, tool, **arguments) == "There is no memory with that id."
        quoted = await called(ann, "forget_memories", conversation_id='x" OR user_id = "ben')
        assert quoted["count"] == 0
        conversation = await called(ann, "forget_memories", conversation_id="c")
        assert [one["id"] for one in conversation["sample"]] == [own]
        for which, said in (
            ({"everything": True}, "That plan no longer exists: make a new plan."),
            ({"memory_id": bens}, "There is no memory with that id."),
        ):
            theirs = (await called(ben, "forget_memories", **which))["plan_id"]
            assert await refused(ann, "forget_memories", plan_id=theirs) == said
        assert contents(await called(ben, "list_memories")) == ["My sister Pia lives in Lisbon"]


@pytest.mark.asyncio
async def test_a_key_is_its_callers(served: Served, url: str):
    reader, foreign = served.key("reader"), served.key("writer", "other")
    new = [{"content": "a secret of mine"}]
    async with served.http(url) as nobody:
        assert "needs an API key" in await refused(nobody, "list_memories")
    async with served.http(url, {"x-api-key": "mk_wrong"}) as stranger:
        assert "needs an API key" in await refused(stranger, "search", query="a secret of mine")
    async with served.http(url, {"x-api-key": reader}) as reading:
        await called(reading, "list_memories")
        assert "does not allow" in await refused(reading, "add_memories", memories=new)
    async with served.http(url, {"authorization": f"bearer {served.key('writer')}"}) as writing:
        added = await called(writing, "add_memories", memories=new)
        assert "does not allow" in await refused(writing, "forget_memories", everything=True)
        plan = await called(writing, "forget_memories", memory_id=added["memories"][0]["id"])
        await called(writing, "forget_memories", plan_id=plan["plan_id"])
    async with served.http(url, {"x-api-key": foreign}) as other:
        assert "does not allow" in await refused(other, "list_memories")
    async with served.stdio(key="mk_wrong") as wrong:
        assert "needs an API key" in await refused(wrong, "list_memories")
    file = served.folder / "key"
    file.write_text(f"{reader}\n")
    async with served.stdio("--api-key-file", str(file), key=None) as by_file:
        await called(by_file, "list_memories")


@pytest.mark.asyncio
async def test_a_service_that_is_away_and_arguments_that_are_wrong_are_a_sentence(served: Served):
    async with served.stdio("--address", f"127.0.0.1:{free_port()}") as client:
        assert await refused(client, "search", query="x") == (
            "The memory service does not answer: it is down, or has another address."
        )
        secret = "PIN 4711"
        for tool, arguments in (
            ("get_memory", {"memory_id": secret}),
            ("add_memories", {"memories": [{"content": "x", "role": secret}]}),
            ("add_memories", {"memories": [{"content": "x", "metadata": secret}]}),
            ("add_memories", {"memories": [{"content": "x", "created_at": secret}]}),
            ("search_memories", {"query": "x", "limit": secret}),
            ("search_memories", {"query": "x", "tenant_id": "other"}),
            ("forget_memories", {"plan_id": secret}),
            ("forget_memories", {"everything": True, "memory_id": "0" * 32}),
            ("update_memory", {"memory_id": "0" * 32}),
        ):
            assert "4711" not in await refused(client, tool, **arguments)


def test_a_page_of_another_name_cannot_call(served: Served, url: str):
    body = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    accepts = {"accept": "application/json, text/event-stream"}
    with httpx.Client(trust_env=False) as http:
        assert http.post(url, json=body, headers=accepts).status_code == 200
        assert http.get(url, headers=accepts).status_code == 405  # no stream, which could be kept open
        assert http.post(url, json=body, headers=accepts | {"host": "evil.example:80"}).status_code == 421
        assert http.post(url, json=body, headers=accepts | {"origin": "https://evil.example"}).status_code == 403


@pytest.mark.asyncio
async def test_its_own_key_is_lent_only_with_consent(served: Served):
    with served.http_server("--allow-unauthenticated", key=KEY) as lending:
        async with served.http(lending) as nobody:
            await called(nobody, "list_memories")
        async with served.http(lending, {"x-api-key": "mk_wrong"}) as stranger:
            assert "needs an API key" in await refused(stranger, "list_memories")
    everywhere = ("--host", "0.0.0.0", "--allow-host", "localhost")
    with served.http_server(*everywhere, key=KEY) as keeping:
        async with served.http(re.sub(r"0\.0\.0\.0", "localhost", keeping)) as nobody:
            assert "needs an API key" in await refused(nobody, "list_memories")
