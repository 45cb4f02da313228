"""``memory-grpc list``, ``conversations`` and ``users`` against a server."""

from __future__ import annotations

import json

import pytest

from memory_grpc.commands import listing
from tests.cli import Cli
from tests.conftest import RunningServer
from tests.integration.test_ingest import message

pytestmark = pytest.mark.asyncio


async def test_what_is_stored_is_shown(server: RunningServer, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(5):
        await server.memory.IngestMessage(message(f"turn {number}", user_id=f"u-{number % 2}"))
    here = ("--tenant", "acme", "--address", server.grpc_address)

    shown = await cli("list", *here, "--user", "u-0", "--newest", "--limit", "2", "--total")
    assert shown.code == 0, shown.err
    assert "Passing: 3 messages." in shown.out
    assert shown.out.index("turn 4") < shown.out.index("turn 2")
    assert "turn 0" not in shown.out
    assert "There are more" in shown.out

    told = json.loads((await cli("list", *here, "--all", "--json")).out)
    assert [m["content"] for m in told["messages"]] == [f"turn {number}" for number in range(5)]
    assert told["has_more"] is False
    (conversation,) = json.loads((await cli("conversations", *here, "--json")).out)["conversations"]
    assert (conversation["message_count"], conversation["user_ids"]) == (5, ["u-0", "u-1"])
    users = await cli("users", *here)
    assert "u-0" in users.out
    assert "u-1" in users.out
    nobody = await cli("users", "--tenant", "nobody", "--address", server.grpc_address)
    assert (nobody.code, nobody.out.strip()) == (0, "No users.")
    wrong = await cli("list", *here, "--filter", "role =")
    assert (wrong.code, "filter" in wrong.err) == (2, True)


async def test_all_pages_are_asked_for(server: RunningServer, monkeypatch: pytest.MonkeyPatch) -> None:
    import asyncio

    from memory_grpc.commands.configuration import Target

    for number in range(5):
        await server.memory.IngestMessage(message(f"turn {number}", conversation_id=f"c-{number}"))
    monkeypatch.setattr(listing, "_PAGE", 2)
    request = listing.pb.ListConversationsRequest(tenant_id="acme")
    target = Target(server.grpc_address, 10.0)
    for most, count, has_more in ((None, 5, False), (3, 3, True), (5, 5, False), (1, 1, True)):
        found = await asyncio.to_thread(listing._pages, "ListConversations", request, "conversations", most, target)
        assert (len(found.rows), found.has_more) == (count, has_more)
        request.page_token = ""
