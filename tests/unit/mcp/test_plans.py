"""Whose a plan to forget is: its caller's, also after the caller's token was renewed."""

from __future__ import annotations

import base64
from collections.abc import Iterator

import pytest
from mcp.server.mcpserver.exceptions import ToolError

from memory_grpc.mcp.callers import Caller, KeyedClient
from memory_grpc.mcp.forgetting import ForgettingTool
from memory_grpc.mcp.user_memory import Scope, UserMemory
from memory_layer.v1 import erasure_service_pb2 as erasure
from memory_layer.v1 import memory_service_pb2, message_pb2
from tests import tokens
from tests.unit.client.flaky import Flaky, flaky_server

ID = "550e8400-e29b-41d4-a716-446655440000"
MINE = tokens.token(jti="1")
RENEWED = tokens.token(jti="2")
HERS = tokens.token(sub="eve")
OTHERS = {
    "another subject": HERS,
    "another issuer": tokens.token(iss="https://other.example"),
    "a key": "mk_9f86d081884c_secret",
    "no key": None,
    "no token": "a.b.c",
    "nesting": f"a.{base64.urlsafe_b64encode(b'[' * 3000).decode().rstrip('=')}.c",
}
ANN = Scope("acme", "ann", "mcp")


@pytest.fixture
def service() -> Iterator[Flaky]:
    message = message_pb2.Message(id=ID, user_id="ann", etag="1")
    message.created_at.GetCurrentTime()
    answers = {
        "PlanErasureRequest": erasure.PlanErasureResponse(
            erasure=erasure.Erasure(erasure_id=ID, state="planned", planned=2)
        ),
        "ApplyErasureRequest": erasure.Erasure(erasure_id=ID, state="done", planned=2, erased=2),
        "GetMessageRequest": message,
        "DeleteMessageRequest": memory_service_pb2.DeleteMessageResponse(message_id=ID),
    }
    with flaky_server() as server:
        server.answer = lambda request: answers[request.DESCRIPTOR.name]
        yield server


class Server:
    """The tool of an MCP server, called with one key or another."""

    def __init__(self, service: Flaky, own_key: str | None, scope: Scope = ANN) -> None:
        self._client = KeyedClient(service.address)
        self._own_key, self._scope = own_key, scope

    async def forget(self, key: str | None, **arguments: object) -> tuple[str, str]:
        tool = ForgettingTool(lambda: UserMemory(self._scope, self._client.of(Caller(key)), key, self._own_key))
        done = await tool.forget_memories(**arguments)  # type: ignore[arg-type]
        return done.plan_id, done.state

    async def close(self) -> None:
        await self._client.close()


def applied(service: Flaky) -> list[str]:
    return [
        name
        for one in service.requests
        if (name := one.DESCRIPTOR.name) in ("ApplyErasureRequest", "DeleteMessageRequest")
    ]


@pytest.mark.asyncio
@pytest.mark.parametrize("which", [{"everything": True}, {"memory_id": ID}], ids=str)
async def test_a_plan_outlives_the_token_that_made_it(service: Flaky, which: dict[str, object]) -> None:
    """And is applied by any server with the same key of its own."""
    one, two = Server(service, "mk_own"), Server(service, "mk_own")
    plan, state = await one.forget(MINE, **which)
    assert state == "planned"
    assert await two.forget(RENEWED, plan_id=plan) == (plan, "done")
    await one.close()
    await two.close()


@pytest.mark.asyncio
@pytest.mark.parametrize("which", [{"everything": True}, {"memory_id": ID}], ids=str)
async def test_nobody_else_applies_it(service: Flaky, which: dict[str, object]) -> None:
    own, other = Server(service, "mk_own"), Server(service, "mk_other")
    plan, _ = await own.forget(MINE, **which)
    for key in OTHERS.values():
        with pytest.raises(ToolError, match="no longer exists"):
            await own.forget(key, plan_id=plan)
    elsewhere = [other, Server(service, "mk_own", Scope("other", "ann", "mcp")), Server(service, None)]
    for server in elsewhere:
        with pytest.raises(ToolError, match="no longer exists"):
            await server.forget(MINE, plan_id=plan)
    assert applied(service) == []
    for server in (own, *elsewhere):
        await server.close()


@pytest.mark.asyncio
async def test_without_a_key_of_the_servers_own_a_plan_belongs_to_the_token(service: Flaky) -> None:
    """A subject is no secret: whoever knows it could make the digest."""
    server = Server(service, None)
    plan, _ = await server.forget(MINE, everything=True)
    with pytest.raises(ToolError, match="no longer exists"):
        await server.forget(RENEWED, plan_id=plan)
    assert await server.forget(MINE, plan_id=plan) == (plan, "done")
    await server.close()
