"""Inference threads, and what becomes of one that a model never gives back.

A thread cannot be ended from outside. One whose batch is overdue is given up: its callers are told that the model is
down, and a fresh thread takes its place. A model that keeps hanging would eat threads without end, so each place is
filled again once only; when no thread is left that could serve a kind of call, calls of that kind are refused at once
instead of waiting for ever. A thread that comes back after all resumes its place, or ends if another has it.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from memory_grpc import cpus

from .calls import Item

# The event loop has to stay quick while models compute: it goes first, then the query that somebody waits for, and
# everything else shares what is left. Linux gives each thread a niceness of its own.
NICENESS = 10
QUERY_NICENESS = 2


@dataclass(eq=False)
class Worker:
    """One inference thread. Fields are guarded by the lock of ``Workers``."""

    name: str
    queries_only: bool
    items: list[Item] = field(default_factory=list)
    since: float = 0.0
    lost: bool = False
    replaced: bool = False
    thread: threading.Thread | None = None


class Workers:
    """``count`` threads for everything and one more for queries, each running ``life``; times by ``clock``."""

    def __init__(self, count: int, life: Callable[[Worker], None], clock: Callable[[], float]) -> None:
        self._life = life
        self._clock = clock
        self._lock = threading.Lock()
        self._spare = count + 1
        self._all: list[Worker] = []
        self._count = count

    def start(self) -> None:
        """Starts the threads."""
        for index in range(self._count + 1):
            self._spawn(Worker(f"embedding-{index}", index == self._count))

    def busy(self, worker: Worker, items: list[Item]) -> None:
        """A batch goes into the model."""
        with self._lock:
            worker.items, worker.since = items, self._clock()

    def idle(self, worker: Worker) -> tuple[bool, bool]:
        """The model gave the thread back: whether it was given up meanwhile, and whether another has its place."""
        with self._lock:
            was_lost = worker.lost
            worker.items, worker.lost = [], False
            if worker.replaced:
                self._all.remove(worker)
                self._spare += 1
            return was_lost, worker.replaced

    def overdue(self, seconds: float) -> list[list[Item]]:
        """Batches that have been in the model for longer, each told once; their threads are given up and replaced."""
        batches: list[list[Item]] = []
        fresh: list[Worker] = []
        with self._lock:
            now = self._clock()
            for worker in self._all:
                if worker.lost or not worker.items or now - worker.since <= seconds:
                    continue
                worker.lost = True
                batches.append(worker.items)
                if self._spare:
                    self._spare -= 1
                    worker.replaced = True
                    fresh.append(Worker(f"{worker.name}+", worker.queries_only))
        for worker in fresh:
            self._spawn(worker)
        return batches

    def serving(self) -> tuple[bool, bool]:
        """Whether a thread is left for queries, and for ingest."""
        with self._lock:
            left = [worker for worker in self._all if not worker.lost]
        return bool(left), any(not worker.queries_only for worker in left)

    def join(self) -> None:
        """Returns when every thread that was not given up has ended; a lost one ends with the process."""
        while True:
            with self._lock:
                waiting = [w.thread for w in self._all if not w.lost and w.thread is not None and w.thread.is_alive()]
            if not waiting:
                return
            waiting[0].join(0.1)  # and look again: it may be given up meanwhile

    def _spawn(self, worker: Worker) -> None:
        worker.thread = threading.Thread(target=self._run, args=(worker,), name=worker.name, daemon=True)
        with self._lock:
            self._all.append(worker)
        worker.thread.start()

    def _run(self, worker: Worker) -> None:
        if sys.platform == "linux":
            with suppress(OSError):
                niceness = QUERY_NICENESS if worker.queries_only else NICENESS
                os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), niceness)
        self._life(worker)


def default_workers() -> int:
    """Inference threads when the setting is 0: as many as there are CPUs this process may run on.

    Not one fewer: a message costs the model far more than it costs the server and the store, which wake up ahead of
    threads that compute all the time. Measured on two cores, two threads embed half as much again as one, and a
    query's p95 under a full import is the same multiple of its idle p95.
    """
    return cpus.available()
