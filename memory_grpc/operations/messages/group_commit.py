"""Groups: what concurrent calls ask for at about the same time is done together, and each gets its own answer.

::

    call ──▶ waiting: a b c d ──▶ work([a, b, c, d]) ──▶ answers
                        ▲ what comes meanwhile makes the next group

A transaction costs many times what one more row in it costs. A call that finds nobody at work begins at once, so a lone
caller waits for nothing; the more callers there are, the larger the groups become by themselves.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections import deque
from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from memory_grpc import accounts, at_work, deadline
from memory_grpc.errors import DeadlineExceeded, Unavailable
from memory_grpc.observability import tracing

Item = TypeVar("Item")
Answer = TypeVar("Answer")

# Calls that go on in one turn of the event loop. grpc.aio takes one new call a turn: while it is full of the answers of
# a large group, nobody is let in, and nobody refused.
_AT_ONCE = 4

# What is everybody's trouble: trying each item alone would only add to it.
_SHARED = (Unavailable, DeadlineExceeded)


@dataclass(frozen=True, slots=True)
class _Waiting(Generic[Item, Answer]):
    item: Item
    conflicts: frozenset[Hashable]
    seconds: float | None
    future: asyncio.Future[Answer]
    step: Any
    """Of its call's trace, that waits."""
    payer: Hashable
    """Whose call it is."""


class GroupCommit(Generic[Item, Answer]):
    """``work`` done for groups of items of one key, one group of a key at a time; keys do not wait for each other.

    ``work`` takes up to ``most`` items and gives an answer or an error for each, in order. When it raises, nothing was
    done: each item is then tried alone, so that one that cannot be done does not take the others with it; unless what
    it raised is Unavailable or DeadlineExceeded, which all of them get.
    """

    def __init__(
        self,
        work: Callable[[Sequence[Item]], Awaitable[Sequence[Answer | Exception]]],
        *,
        most: int,
        name: str = "group",
    ) -> None:
        """``name`` is what traces call it."""
        self._work = work
        self._name = name
        self._most = most
        self._waiting: dict[Hashable, deque[_Waiting[Item, Answer]]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def __call__(self, key: Hashable, item: Item, conflicts: frozenset[Hashable] = frozenset()) -> Answer:
        """The answer for an item. Items that share one of their ``conflicts`` are never in the same group.

        A group lasts at most as long as the call in it with most time left. A call that gives up before its group is at
        work takes its item along; later, the item is done all the same, unless all calls of the group have given up.
        """
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        waiting = self._waiting.get(key)
        if waiting is None:
            waiting = self._waiting[key] = deque()
            # In a context of its own: a group has neither the deadline nor the log fields of the call that began it.
            task = asyncio.create_task(self._run(key, waiting), context=contextvars.Context())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        with tracing.span("group"):
            waiting.append(_Waiting(item, conflicts, deadline.remaining(), future, tracing.here(), accounts.payer()))
            # The group works for all of its calls, the more the better: none of them is at work itself.
            async with at_work.paused():
                return await future

    async def _run(self, key: Hashable, waiting: deque[_Waiting[Item, Answer]]) -> None:
        """Works until nothing waits. A task begins after the calls of one wake-up have all queued their items."""
        try:
            while group := self._next(waiting):
                accounts.enter(group[0].payer)  # long work in threads is of a tenant's callers, who take turns
                await self._do(group)
        finally:
            del self._waiting[key]

    def _next(self, waiting: deque[_Waiting[Item, Answer]]) -> list[_Waiting[Item, Answer]]:
        group: list[_Waiting[Item, Answer]] = []
        taken: set[Hashable] = set()
        later: list[_Waiting[Item, Answer]] = []
        while waiting and len(group) < self._most:
            one = waiting.popleft()
            if one.future.done():  # its call gave up
                continue
            if taken.isdisjoint(one.conflicts):
                group.append(one)
                taken |= one.conflicts
            else:
                later.append(one)
        waiting.extendleft(reversed(later))
        return group

    async def _do(self, group: Sequence[_Waiting[Item, Answer]]) -> None:
        answers: Sequence[Answer | Exception]
        try:
            with tracing.shared(self._name, [one.step for one in group], calls=len(group)):
                answers = await self._bounded(group)
        except Exception as error:
            if len(group) > 1 and not isinstance(error, _SHARED):
                for one in group:
                    await self._do([one])
                return
            answers = [error if len(group) == 1 else _fresh(error) for _ in group]
        wanted = [(one, answer) for one, answer in zip(group, answers, strict=True) if not one.future.done()]
        for place, (one, answer) in enumerate(wanted):
            if place and place % _AT_ONCE == 0:
                await asyncio.sleep(0)
            if one.future.done():
                continue
            if isinstance(answer, Exception):
                one.future.set_exception(answer)
            else:
                one.future.set_result(answer)

    async def _bounded(self, group: Sequence[_Waiting[Item, Answer]]) -> Sequence[Answer | Exception]:
        limits = [one.seconds for one in group if one.seconds is not None]
        if len(limits) < len(group):
            return await self._while_wanted(group)
        with deadline.within(max(limits)):
            return await self._while_wanted(group)

    async def _while_wanted(self, group: Sequence[_Waiting[Item, Answer]]) -> Sequence[Answer | Exception]:
        """Does the work; cancels it, in Postgres too, once every call of the group has given up."""
        work = asyncio.ensure_future(self._work([one.item for one in group]))

        def look(_: asyncio.Future[Answer]) -> None:
            if all(one.future.done() for one in group):
                work.cancel()

        for one in group:
            one.future.add_done_callback(look)
        try:
            return await work
        except asyncio.CancelledError:
            if not all(one.future.done() for one in group):
                work.cancel()
                raise
            return [DeadlineExceeded() for _ in group]  # nobody reads them
        finally:
            for one in group:
                one.future.remove_done_callback(look)


def _fresh(error: Exception) -> Exception:
    """One error each: the same instance raised in several tasks would tangle their tracebacks."""
    return type(error)(str(error)) if isinstance(error, _SHARED) else error
