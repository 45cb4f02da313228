"""Long work in a thread, so that the event loop goes on meanwhile: it serves everybody, and one call's work is not to
hold it for more than 50 ms.

The interpreter's lock goes round among the threads that want it, so that long work of several callers advances together
and the loop waits for a fraction of a millisecond. Of one caller only one piece is at work at a time: it would be no
sooner done in four threads, and the loop would have every fifth turn. Short work stays on the loop: a thread costs a
tenth of a millisecond.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from contextvars import copy_context
from typing import TypeVar
from weakref import WeakKeyDictionary

from memory_grpc import accounts
from memory_grpc.fair_places import FairPlaces

T = TypeVar("T")

INLINE_BYTES = 16 * 1024
"""Work on so many bytes of a request or an answer is short, whatever they hold: 10 ms at most."""

# More would only wait for the interpreter's lock.
_THREADS = 4

_executor = ThreadPoolExecutor(_THREADS, thread_name_prefix="long-work")
_places: WeakKeyDictionary[asyncio.AbstractEventLoop, FairPlaces] = WeakKeyDictionary()


async def in_thread(work: Callable[..., T], *arguments: object) -> T:
    """What ``work`` gives, or raises; callers take turns (``accounts.payer``). Work that has begun is done to its end,
    also when nobody waits any more."""
    loop = asyncio.get_running_loop()
    places = _places.setdefault(loop, FairPlaces(_THREADS, each=lambda caller: 1))
    caller, context = accounts.payer(), copy_context()
    await places.take(caller)
    # The thread, and not whoever waits for it, says when it is free.
    future = _executor.submit(lambda: context.run(work, *arguments))
    future.add_done_callback(lambda _: _free(loop, places, caller))
    return await asyncio.wrap_future(future)


def _free(loop: asyncio.AbstractEventLoop, places: FairPlaces, caller: Hashable) -> None:
    with suppress(RuntimeError):  # the loop has ended
        loop.call_soon_threadsafe(places.give, caller)


async def by_size(size: int, work: Callable[..., T], *arguments: object) -> T:
    """The same, on the loop where the work is on no more than INLINE_BYTES."""
    return work(*arguments) if size <= INLINE_BYTES else await in_thread(work, *arguments)
