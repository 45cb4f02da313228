"""Long work in a thread, so that the event loop goes on meanwhile: it serves everybody, and one call's work is not to
hold it for more than 50 ms.

The interpreter's lock goes round among the threads that want it, so that long work of several calls advances together
and the loop waits for a fraction of a millisecond. Short work stays on the loop: a thread costs a tenth of a
millisecond.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import TypeVar

T = TypeVar("T")

INLINE_BYTES = 16 * 1024
"""Work on so many bytes of a request or an answer is short, whatever they hold: 10 ms at most."""

# More would only wait for the interpreter's lock.
_THREADS = 4

_executor = ThreadPoolExecutor(_THREADS, thread_name_prefix="long-work")


async def in_thread(work: Callable[..., T], *arguments: object) -> T:
    """What ``work`` gives, or raises. Work that has begun is done to its end, also when nobody waits any more."""
    context = copy_context()
    return await asyncio.get_running_loop().run_in_executor(_executor, lambda: context.run(work, *arguments))


async def by_size(size: int, work: Callable[..., T], *arguments: object) -> T:
    """The same, on the loop where the work is on no more than INLINE_BYTES."""
    return work(*arguments) if size <= INLINE_BYTES else await in_thread(work, *arguments)
