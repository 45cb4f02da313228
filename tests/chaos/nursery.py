"""Processes that are there in milliseconds, to be killed: forked from one that has everything imported.

A server takes seconds to start, and a thousand rounds of it take hours. What is to survive a kill is the work itself: a
fork of this process does it over connections of its own, and SIGKILL leaves of it what it leaves of a server.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil

from tests.chaos import workers

ROOT = Path(__file__).parents[2]


class Nursery:
    """The process to fork from; ``log`` is where it and all others write."""

    def __init__(self, process: subprocess.Popen[str], log: Path) -> None:
        self._process = process
        self._log = log
        self._children: list[psutil.Process] = []

    def fork(self, work: str, **arguments: object) -> psutil.Process:
        """A process that does one of ``workers``, and then ends."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([work, arguments]) + "\n")
        self._process.stdin.flush()
        said = self._process.stdout.readline()
        assert said, self._log.read_text(errors="replace")[-2000:]
        child = psutil.Process(int(said))
        self._children = [one for one in self._children if one.is_running()] + [child]
        return child

    @property
    def written(self) -> int:
        """How long the log is, in bytes."""
        return self._log.stat().st_size

    def said(self, since: int) -> str:
        """What they have written behind so many bytes: tracebacks of what failed."""
        return self._log.read_bytes()[since:].decode(errors="replace")

    def end_all(self) -> None:
        """SIGKILL for whatever is left, the nursery last."""
        for child in self._children:
            with suppress(psutil.NoSuchProcess):
                child.kill()
        self._process.kill()
        self._process.communicate()


def is_over(child: psutil.Process) -> bool:
    """Whether a process has ended. Until the next is forked its id is nobody else's."""
    with suppress(psutil.NoSuchProcess):
        return child.status() == psutil.STATUS_ZOMBIE
    return True


@contextmanager
def nursery(log: Path) -> Iterator[Nursery]:
    """One that is ready to fork."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MEMORY_")}
    path = os.pathsep.join(part for part in (str(ROOT), os.environ.get("PYTHONPATH")) if part)
    with log.open("ab") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.chaos.nursery"],
            env=clean | {"PYTHONPATH": path},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=out,
            text=True,
        )
    found = Nursery(process, log)
    try:
        yield found
    finally:
        found.end_all()


def main() -> None:
    """Forks for each line of standard input, and says the new process's id. Who ended is waited for before the next."""
    assert threading.active_count() == 1, "a fork takes one thread along"
    assert "grpc" not in sys.modules, "it does not survive a fork"
    gc.collect()
    gc.freeze()  # a collection in a fork would write on, and so copy, every page that it shares
    for line in sys.stdin:
        work, arguments = json.loads(line)
        with suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG) != (0, 0):
                pass
        pid = os.fork()
        if pid == 0:
            _do(work, arguments)
        print(pid, flush=True)


def _do(work: str, arguments: dict[str, object]) -> None:
    code = 1
    try:
        os.dup2(2, 1)  # standard output is how the parent answers
        asyncio.run(_telling(getattr(workers, work)(**arguments)))
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


async def _telling(work: Coroutine[Any, Any, None]) -> None:
    """Does it, and says by a signal where it stands."""
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, _tell)
    await work


def _tell() -> None:
    for task in asyncio.all_tasks():
        task.print_stack()


if __name__ == "__main__":
    main()
