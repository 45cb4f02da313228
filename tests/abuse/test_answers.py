"""What answers may take of the server, and what waits in a stream."""

from __future__ import annotations

import asyncio
from pathlib import Path
from uuid import uuid4

import grpc
import pytest
from grpc_status import rpc_status

from memory_grpc.domain.messages import NewMessage
from memory_grpc.operations.messages.inbox import Inbox
from tests.abuse import large_answers
from tests.abuse.instance import search, under_attack


@pytest.mark.asyncio
async def test_an_answer_that_is_too_large_is_refused_before_it_is_read(dsn: str, tmp_path: Path) -> None:
    async with under_attack(dsn, tmp_path) as instance:
        await large_answers.stored(instance)
        resident = instance.resident_mb()
        for _ in range(3):
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await instance.attacker.memory.SearchMemories(search("x", top_k=1000, neighbours=20), timeout=10)
            status = rpc_status.from_call(refused.value)  # type: ignore[arg-type]  # of either kind of call
            assert refused.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
            assert b"ANSWER_TOO_LARGE" in status.details[0].value
            assert "top_k or neighbours" in str(refused.value.details())
        assert instance.resident_mb() < resident + 20, "144 MB were asked for"
        # What fits is answered: 3.6 MB once, and with fewer turns around fewer hits.
        whole = await instance.attacker.memory.SearchMemories(search("x", top_k=1000), timeout=10)
        assert whole.total == large_answers.MESSAGES
        around = await instance.attacker.memory.SearchMemories(search("x", top_k=10, neighbours=20), timeout=10)
        assert all(len(hit.neighbours.before) + len(hit.neighbours.after) >= 20 for hit in around.items)


@pytest.mark.asyncio
async def test_the_inbox_of_a_stream_is_bounded_in_bytes() -> None:
    def message(size: int) -> NewMessage:
        return NewMessage("t", "c", "user", "x", {}, None, None, None, uuid4(), None, size=size)

    inbox = Inbox(100, 1000)
    await inbox.put(message(600))
    await inbox.put(message(600))
    third = asyncio.create_task(inbox.put(message(5000)))
    await asyncio.sleep(0)
    assert not third.done() and inbox.bytes == 1200
    await inbox.get()
    await asyncio.wait_for(third, 5)
    assert inbox.bytes == 5600
    last = asyncio.create_task(inbox.put(None))
    for _ in range(2):
        await inbox.get()
    await asyncio.wait_for(last, 5)
    assert await inbox.get() is None and inbox.is_empty and inbox.bytes == 0
