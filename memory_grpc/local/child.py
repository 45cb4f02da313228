"""Child processes that never outlive their parent.

Each child is started through :mod:`memory_grpc.local.launch`, so the kernel ends it when this process is gone, even by
SIGKILL (Linux; elsewhere the next start deals with what was left). Each has a session of its own, so that Ctrl-C in a
terminal reaches this process only, which then stops the parts in order.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from memory_grpc.local import launch
from memory_grpc.local.account import Account

# What a child gets of the environment: no key, no password, no proxy, and nothing that libpq or Envoy would take as a
# setting.
_PASSED_ON = ("PATH", "LANG", "LANGUAGE", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "LD_LIBRARY_PATH")

# The kernel means the thread that started a child when it says parent. This one lives as long as the process.
_spawner = ThreadPoolExecutor(max_workers=1, thread_name_prefix="spawn")


def spawn(
    command: Sequence[str | Path], *, log: Path, death_signal: signal.Signals, account: Account | None = None
) -> subprocess.Popen[bytes]:
    """Starts ``command`` with its output appended to ``log``; it gets ``death_signal`` when this process is gone.

    As root, ``account`` is the user it runs as. Of the environment it gets a few harmless names. Call it from any
    thread.
    """
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    try:
        environment = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        return _started(command, death_signal, account, output=descriptor, directory="/", environment=environment)
    finally:
        os.close(descriptor)


def spawn_alike(
    command: Sequence[str | Path], *, death_signal: signal.Signals, **variables: str
) -> subprocess.Popen[bytes]:
    """The same with the user, directory, output and environment of this process; ``variables`` are set besides."""
    return _started(command, death_signal, None, output=None, directory=None, environment={**os.environ, **variables})


def _started(
    command: Sequence[str | Path],
    death_signal: signal.Signals,
    account: Account | None,
    *,
    output: int | None,
    directory: str | None,
    environment: Mapping[str, str],
) -> subprocess.Popen[bytes]:
    identity = [str(account.uid), str(account.gid), _numbers(account.capabilities)] if account else ["-", "-", "-"]
    arguments = [sys.executable, "-I", "-S", launch.__file__, str(int(death_signal)), str(os.getpid()), *identity]
    return _spawner.submit(
        subprocess.Popen,
        [*arguments, *map(str, command)],
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        cwd=directory,
        env=environment,
        start_new_session=True,
    ).result()


def end(process: subprocess.Popen[bytes], *steps: tuple[signal.Signals, float]) -> None:
    """Sends each step's signal and waits its seconds, until the process is gone; SIGKILL is the last step of all."""
    for number, seconds in (*steps, (signal.SIGKILL, 10.0)):
        if process.poll() is not None:
            return
        process.send_signal(number)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            continue


def last_words(log: Path, *, offset: int = 0, marks: tuple[str, ...]) -> str:
    """The last line written to ``log`` after ``offset`` bytes that holds one of ``marks``, from the mark on, or ''."""
    try:
        with log.open("rb") as file:
            file.seek(offset)
            lines = file.read()[-65536:].decode(errors="replace").splitlines()
    except OSError:
        return ""
    for line in reversed(lines):
        for mark in marks:
            if mark in line:
                return line[line.index(mark) :].strip()[:400]
    return ""


def _numbers(values: tuple[int, ...]) -> str:
    return ",".join(map(str, values)) or "-"
