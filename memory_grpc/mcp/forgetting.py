"""The tool that forgets: the first call only plans and shows, the second one does it.

Nothing is kept here between the two. A plan's id holds the id of the erasure, or of the one message, and a digest of
whose plan it is: nobody applies another caller's plan, and any server of the same configuration applies this one.
"""

from __future__ import annotations

import asyncio
import hmac
import json
from contextlib import suppress
from typing import Annotated, Any

from mcp.server.mcpserver.exceptions import ToolError
from pydantic import Field

from memory_grpc.client import FailedPrecondition, NotFound, types
from memory_grpc.mcp import arguments as a
from memory_grpc.mcp.failures import answered
from memory_grpc.mcp.plans import plan_id as id_of
from memory_grpc.mcp.shapes import Forgetting, Memory
from memory_grpc.mcp.user_memory import CurrentMemory, UserMemory

_MANY, _ONE = "e", "m"
_POLL_SECONDS, _POLLS = 0.2, 25
_NO_PLAN = "That plan no longer exists: make a new plan."
PlanId = Annotated[
    str | None,
    Field(description="Of a plan, to forget what it named.", pattern=r"^[em]\.[0-9a-f-]{36}\.[0-9a-f]{32}$"),
]
Everything = Annotated[bool, Field(description="All that is remembered of the user.")]


class ForgettingTool:
    """Its method is the tool; the docstring is what the model reads."""

    def __init__(self, current: CurrentMemory) -> None:
        self._current = current

    async def forget_memories(
        self,
        plan_id: PlanId = None,
        memory_id: Annotated[a.MemoryId | None, Field(description="Forget this one.")] = None,
        conversation_id: a.Conversation = None,
        created_after: a.After = None,
        created_before: a.Before = None,
        everything: Everything = False,
    ) -> Forgetting:
        """Forget memories for good, in two steps. First say which: one `memory_id`, or a conversation, a time or
        `everything`. That only plans, and returns a count and a sample: show them to the user. Then call again with the
        `plan_id` alone to erase exactly those."""
        memory = self._current()
        some = {"conversation_id": conversation_id, "created_after": created_after, "created_before": created_before}
        some = {name: value for name, value in some.items() if value is not None}
        if sum((plan_id is not None, memory_id is not None, everything, bool(some))) != 1:
            raise ToolError("Give plan_id, or memory_id, or everything, or some of conversation_id and the times.")
        if plan_id is not None:
            kind, id_, digest = plan_id.split(".")
            return await (_apply_one if kind == _ONE else _apply_many)(memory, id_, digest)
        if memory_id is not None:
            message = await memory.message(memory_id)
            plan = id_of(memory, _ONE, message.id, message.etag)
            return Forgetting(plan_id=plan, state="planned", count=1, forgotten=0, sample=[Memory.of(message)])
        return await _plan_many(memory, some)


async def _plan_many(memory: UserMemory, some: dict[str, Any]) -> Forgetting:
    which: dict[str, Any] = (
        {"filter": _filter(memory.scope.user_id, **some)} if some else {"user_id": memory.scope.user_id}
    )
    planned = await answered(memory.client.plan_erasure(tenant_id=memory.scope.tenant_id, **which))
    return Forgetting(
        plan_id=id_of(memory, _MANY, planned.erasure.erasure_id),
        state=planned.erasure.state,
        count=planned.erasure.planned,
        forgotten=0,
        sample=[Memory.of(one) for one in planned.sample],
    )


async def _apply_many(memory: UserMemory, erasure_id: str, digest: str) -> Forgetting:
    plan = id_of(memory, _MANY, erasure_id)
    _check(plan, digest)
    one: dict[str, Any] = {"erasure_id": erasure_id, "tenant_id": memory.scope.tenant_id}
    work = await answered(_of_plan(memory.client.apply_erasure(**one)))
    for _ in range(_POLLS):
        if work.state == "done":
            break
        await asyncio.sleep(_POLL_SECONDS)
        work = await answered(memory.client.get_erasure(**one))
    return Forgetting(plan_id=plan, state=work.state, count=work.planned, forgotten=work.erased, sample=[])


async def _apply_one(memory: UserMemory, message_id: str, digest: str) -> Forgetting:
    message = await memory.message(message_id)
    plan = id_of(memory, _ONE, message_id, message.etag)
    _check(plan, digest)
    await answered(_gone(memory.client.delete_message(message_id=message_id, tenant_id=memory.scope.tenant_id)))
    return Forgetting(plan_id=plan, state="done", count=1, forgotten=1, sample=[])


async def _gone(deletion: Any) -> None:
    """Waits for it; a message that is gone already was deleted by an attempt whose answer was lost."""
    with suppress(NotFound):
        await deletion


async def _of_plan(call: Any) -> types.Erasure:
    try:
        work: types.Erasure = await call
    except (NotFound, FailedPrecondition):  # older than an hour
        raise ToolError(_NO_PLAN) from None
    return work


def _check(plan: str, digest: str) -> None:
    if not hmac.compare_digest(plan.rpartition(".")[2], digest):
        raise ToolError(_NO_PLAN)


def _filter(
    user_id: str, conversation_id: str | None = None, created_after: Any = None, created_before: Any = None
) -> str:
    """Texts are quoted as JSON quotes them, so that none of them can say more than itself."""
    terms = [f"user_id = {json.dumps(user_id)}"]
    if conversation_id is not None:
        terms.append(f"conversation_id = {json.dumps(conversation_id)}")
    if created_after is not None:
        terms.append(f'created_at >= "{created_after.isoformat()}"')
    if created_before is not None:
        terms.append(f'created_at < "{created_before.isoformat()}"')
    return " AND ".join(terms)
