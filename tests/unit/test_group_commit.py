"""Groups: what comes together is done together, and each call gets its own answer."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from memory_grpc import accounts, deadline
from memory_grpc.errors import DeadlineExceeded, InvalidInput, NotFound, StoreUnavailable
from memory_grpc.operations.messages.group_commit import GroupCommit

pytestmark = pytest.mark.asyncio


class Work:
    """Answers with the item itself; remembers the groups, waits for ``go``, and fails as it is told."""

    def __init__(self) -> None:
        self.groups: list[list[str]] = []
        self.go = asyncio.Event()
        self.go.set()
        self.remaining: list[float | None] = []
        self.payers: list[object] = []

    async def __call__(self, items: Sequence[str]) -> list[str | Exception]:
        self.groups.append(list(items))
        self.remaining.append(deadline.remaining())
        self.payers.append(accounts.payer())
        await self.go.wait()
        if "down" in items:
            raise StoreUnavailable
        if "broken" in items:
            raise InvalidInput.of("content", "is broken")
        return [NotFound() if item == "missing" else item for item in items]


async def test_calls_of_one_moment_are_one_group_and_later_ones_the_next() -> None:
    work = Work()
    groups = GroupCommit(work, most=10)
    work.go.clear()
    first = [asyncio.create_task(groups("t", name)) for name in "abc"]
    await asyncio.sleep(0.01)
    second = [asyncio.create_task(groups("t", name)) for name in "de"]
    await asyncio.sleep(0.01)
    work.go.set()
    assert await asyncio.gather(*first, *second) == list("abcde")
    assert work.groups == [["a", "b", "c"], ["d", "e"]]


async def test_the_calls_of_a_large_group_go_on_a_few_at_a_turn() -> None:
    groups = GroupCommit(Work(), most=100)
    turns: list[int] = []
    turn = 0

    async def call(name: int) -> None:
        await groups("t", str(name))
        turns.append(turn)

    calls = [asyncio.create_task(call(number)) for number in range(40)]
    while not all(call.done() for call in calls):
        await asyncio.sleep(0)
        turn += 1
    assert max(turns.count(turn) for turn in turns) <= 4


async def test_a_group_has_a_size() -> None:
    work = Work()
    groups = GroupCommit(work, most=2)
    assert await asyncio.gather(*(groups("t", name) for name in "abcde")) == list("abcde")
    assert work.groups == [["a", "b"], ["c", "d"], ["e"]]


async def test_keys_do_not_wait_for_each_other() -> None:
    work = Work()
    groups = GroupCommit(work, most=10)
    work.go.clear()
    stuck = asyncio.create_task(groups("one", "a"))
    await asyncio.sleep(0.01)
    other = asyncio.create_task(groups("two", "b"))
    await asyncio.sleep(0.01)
    assert work.groups == [["a"], ["b"]]
    work.go.set()
    assert await asyncio.gather(stuck, other) == ["a", "b"]


async def test_an_item_that_cannot_be_done_takes_no_other_with_it() -> None:
    work = Work()
    groups = GroupCommit(work, most=10)
    answers = await asyncio.gather(*(groups("t", name) for name in ("a", "broken", "c")), return_exceptions=True)
    assert isinstance(answers[1], InvalidInput)
    assert [answers[0], answers[2]] == ["a", "c"]
    assert work.groups == [["a", "broken", "c"], ["a"], ["broken"], ["c"]]


async def test_an_answer_may_be_an_error() -> None:
    groups = GroupCommit(Work(), most=10)
    answers = await asyncio.gather(groups("t", "a"), groups("t", "missing"), return_exceptions=True)
    assert answers[0] == "a"
    assert isinstance(answers[1], NotFound)


async def test_a_store_that_is_down_is_tried_once_for_all() -> None:
    work = Work()
    groups = GroupCommit(work, most=10)
    answers = await asyncio.gather(groups("t", "a"), groups("t", "down"), return_exceptions=True)
    assert all(isinstance(answer, StoreUnavailable) for answer in answers)
    assert answers[0] is not answers[1]
    assert len(work.groups) == 1
    assert await groups("t", "again") == "again"


async def test_items_that_conflict_are_done_one_after_the_other() -> None:
    work = Work()
    groups = GroupCommit(work, most=10)
    same = frozenset({"id"})
    calls = [groups("t", "a", same), groups("t", "b", same), groups("t", "c"), groups("t", "d", same)]
    assert await asyncio.gather(*calls) == list("abcd")
    assert work.groups == [["a", "c"], ["b"], ["d"]]


async def test_a_call_that_gave_up_takes_its_waiting_item_along() -> None:
    work = Work()
    groups = GroupCommit(work, most=10)
    work.go.clear()
    first = asyncio.create_task(groups("t", "a"))
    await asyncio.sleep(0.01)
    gone, kept = asyncio.create_task(groups("t", "b")), asyncio.create_task(groups("t", "c"))
    await asyncio.sleep(0.01)
    gone.cancel()
    work.go.set()
    assert await asyncio.gather(first, kept) == ["a", "c"]
    assert work.groups == [["a"], ["c"]]


async def test_a_call_that_gave_up_while_its_group_works_leaves_the_others_alone() -> None:
    work = Work()
    groups = GroupCommit(work, most=10)
    work.go.clear()
    gone, kept = asyncio.create_task(groups("t", "a")), asyncio.create_task(groups("t", "b"))
    await asyncio.sleep(0.01)
    gone.cancel()
    await asyncio.sleep(0.01)
    work.go.set()
    assert await kept == "b"
    assert work.groups == [["a", "b"]]


async def test_work_that_nobody_waits_for_any_more_is_cancelled() -> None:
    ended: list[str] = []

    async def work(items: Sequence[str]) -> list[str | Exception]:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            ended.extend(items)
            raise
        return list(items)

    groups: GroupCommit[str, str] = GroupCommit(work, most=10)
    calls = [asyncio.create_task(groups("t", item)) for item in "ab"]
    await asyncio.sleep(0.01)
    calls[0].cancel()
    await asyncio.sleep(0.01)
    assert ended == []
    calls[1].cancel()
    await asyncio.sleep(0.01)
    assert ended == ["a", "b"]
    groups._work = Work()  # and the next one is served
    assert await asyncio.wait_for(groups("t", "c"), 5) == "c"


async def test_a_group_has_the_time_of_the_call_that_has_most_left() -> None:
    work = Work()
    groups = GroupCommit(work, most=10)

    async def call(name: str, seconds: float | None) -> str:
        if seconds is None:
            return await groups("t", name)
        with deadline.within(seconds):
            return await groups("t", name)

    assert await asyncio.gather(call("a", 5), call("b", 60)) == ["a", "b"]
    assert work.remaining[0] == pytest.approx(60, abs=5)
    assert await asyncio.gather(call("c", 5), call("d", None)) == ["c", "d"]
    assert work.remaining[1] is None
    with pytest.raises(DeadlineExceeded):
        await call("e", -1)


async def test_a_group_is_the_work_of_the_call_that_is_first_in_it() -> None:
    work = Work()
    groups = GroupCommit(work, most=1)

    async def call(payer: str) -> None:
        accounts.enter(payer)
        await groups("t", payer)

    await asyncio.gather(call("one"), call("another"))
    assert (work.groups, work.payers) == ([["one"], ["another"]], ["one", "another"])
