"""Which batches wait for which."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from memory_grpc.commands.importing.batches import Batch
from memory_grpc.commands.importing.order import Order
from memory_grpc.commands.importing.records import Mark, Record
from memory_layer.v1.memory_service_pb2 import IngestMessageRequest

NOON, LATER = "2026-01-01T12:00:00Z", "2026-01-01T12:01:00Z"


def batch(*messages: tuple[str, str | None], tenant: str = "t") -> Batch:
    """A batch of messages, each of a conversation and a time."""
    records = []
    for conversation, time in messages:
        request = IngestMessageRequest(tenant_id=tenant, conversation_id=conversation)
        if time is not None:
            request.created_at.FromJsonString(time)
        records.append(Record("", Mark(), Mark(), request))
    return Batch(tenant, records)


FIRST = batch(("a", NOON), ("b", LATER))


@pytest.mark.parametrize(
    ("second", "waits"),
    [
        (batch(("c", NOON), ("a", NOON)), True),
        (batch(("a", "2026-01-01T13:00:00+01:00")), True),
        (batch(("a", "2026-01-01T12:00:00.000000900Z")), True),  # the service keeps microseconds
        (batch(("a", "2026-01-01T12:00:00.000001Z")), False),
        (batch(("a", LATER), ("b", NOON)), False),
        (batch(("a", NOON), tenant="u"), False),
        (batch(("a", None)), False),
    ],
)
def test_a_batch_waits_for_one_with_a_moment_of_the_same_conversation(second: Batch, waits: bool) -> None:
    assert overtakes(FIRST, second) is not waits


def test_messages_without_a_time_are_stored_in_the_order_of_their_tenant() -> None:
    assert not overtakes(batch(("a", None)), batch(("b", None), ("b", NOON)))
    assert overtakes(batch(("a", None)), batch(("a", None), tenant="u"))


def overtakes(first: Batch, second: Batch) -> bool:
    """Whether the second may go while the first is under way; once the first is over, it goes in any case."""

    async def work() -> bool:
        order = Order()
        before, after = order.take(first), order.take(second)
        assert await order.come(before)
        coming = asyncio.create_task(order.come(after))
        await settled()
        overtook = coming.done()
        order.end(before, is_complete=True)
        assert await coming
        return overtook

    return asyncio.run(work())


async def settled() -> None:
    """Every task has come as far as it can."""
    for _ in range(5):
        await asyncio.sleep(0)


def run(work: Callable[[Order], Awaitable[None]]) -> None:
    async def main() -> None:
        await work(Order())

    asyncio.run(main())


def test_each_waits_for_the_one_before_it() -> None:
    async def work(order: Order) -> None:
        turns = [order.take(FIRST) for _ in range(3)]
        went = list[int]()

        async def deliver(number: int) -> None:
            assert await order.come(turns[number])
            went.append(number)
            await settled()
            order.end(turns[number], is_complete=True)

        await asyncio.gather(*(deliver(number) for number in (2, 1, 0)))
        assert went == [0, 1, 2]

    run(work)


def test_nothing_comes_after_a_batch_that_was_not_stored_to_its_end() -> None:
    """What is left of it is stored by the next run, which must come first."""

    async def work(order: Order) -> None:
        broken, waiting = order.take(FIRST), order.take(FIRST)
        order.end(broken, is_complete=False)
        assert not await order.come(waiting)
        order.end(waiting, is_complete=False)
        assert not await order.come(order.take(FIRST))
        assert await order.come(order.take(batch(("z", NOON))))

    run(work)
