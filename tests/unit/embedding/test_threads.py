from __future__ import annotations

import os
import sys
import threading
import time

import pytest

from memory_grpc.embedding.threads import Worker, Workers


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux gives each thread a niceness of its own")
@pytest.mark.skipif(os.nice(0) > 0, reason="whoever is nice already need not be able to be less so")
def test_the_event_loop_goes_first_then_the_query_thread_then_the_others() -> None:
    niceness: dict[bool, int] = {}

    def life(worker: Worker) -> None:
        niceness[worker.queries_only] = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())

    workers = Workers(1, life, time.monotonic)
    workers.start()
    workers.join()

    own = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    assert own < niceness[True] < niceness[False]
