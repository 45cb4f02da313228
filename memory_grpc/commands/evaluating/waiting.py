"""Waits for embeddings: a message without one is not found, and what is measured then is not the ranking."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from memory_grpc.commands import output, pending
from memory_grpc.commands.evaluating.caller import Caller
from memory_grpc.commands.failure import CommandError
from memory_layer.v1 import memory_service_pb2 as pb

_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.2, 2.0
_LINE_EVERY_SECONDS = 10.0


async def answers(
    requests: Sequence[pb.SearchMemoriesRequest], caller: Caller, patience_seconds: float
) -> list[pb.SearchMemoriesResponse]:
    """The answers to searches, each asked again until nothing that it may find is without an embedding.

    Raises CommandError when a message has failed, as it would wait for ever, and when the number of those that wait has
    not fallen for ``patience_seconds``.
    """
    found: list[pb.SearchMemoriesResponse | None] = [None] * len(requests)
    pause, least, fell_at = _FIRST_PAUSE_SECONDS, 0, time.monotonic()
    with _Show() as show:
        while True:
            left: Counter[str] = Counter()
            for index, request in enumerate(requests):
                if found[index] is None:
                    response = await caller.memory("SearchMemories", request)
                    found[index] = None if response.pending else response
                    left[request.tenant_id] += response.pending
            if not left.total():
                return [response for response in found if response is not None]
            await _check_none_failed([r for r, answer in zip(requests, found, strict=True) if not answer], left, caller)
            if not least or left.total() < least:
                least, fell_at = left.total(), time.monotonic()
            elif time.monotonic() - fell_at >= patience_seconds:
                raise CommandError(
                    f"{_sentence(left)}, and their number has not fallen for {patience_seconds:g} s: see whether the "
                    "server's embedding model works, or wait longer with --give-up-after."
                )
            show.left(left.total())
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)


async def _check_none_failed(requests: Sequence[pb.SearchMemoriesRequest], left: Counter[str], caller: Caller) -> None:
    failed: Counter[str] = Counter()
    for request in requests:
        count = pb.SearchMemoriesRequest()
        count.CopyFrom(request)
        count.top_k, count.filter = 1, pending.FAILED
        failed[request.tenant_id] += (await caller.memory("SearchMemories", count)).pending
    if failed.total():
        raise CommandError(
            f"{_sentence(left)}. The model refused {_by_tenant(failed)}, which have failed and are never found: try "
            "them again with POST /v1/admin/embeddings/retry, or evaluate with another --tenant-prefix."
        )


def _sentence(left: Counter[str]) -> str:
    return f"Without an embedding: {output.counted(left.total(), 'message')} ({_by_tenant(left)})"


def _by_tenant(counts: Counter[str]) -> str:
    """``10 of conv-1, 2 of conv-2``."""
    return ", ".join(f"{count:,} of {tenant_id}" for tenant_id, count in counts.items() if count)


class _Show:
    """A bar on a terminal, a line now and then elsewhere; nothing where there is nothing to wait for."""

    def __init__(self) -> None:
        self._console = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
        self._bar = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
            console=self._console,
            disable=not self._console.is_terminal,
        )
        self._most = 0
        self._last_line = float("-inf")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self._bar.stop()

    def left(self, count: int) -> None:
        """So many messages still wait."""
        if self._console.is_terminal:
            if not self._bar.task_ids:
                self._bar.add_task("embeddings")
                self._bar.start()
            self._most = max(self._most, count)
            self._bar.update(self._bar.task_ids[0], total=self._most, completed=self._most - count)
        elif time.monotonic() - self._last_line >= _LINE_EVERY_SECONDS:
            self._last_line = time.monotonic()
            self._console.print(f"Waiting for an embedding: {output.counted(count, 'message')}.")
