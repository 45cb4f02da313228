"""``memory-grpc`` as a process of its own, and files for it to import."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Rows = Callable[..., list[tuple[Any, ...]]]


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str


@contextmanager
def _sigint_as_at_a_terminal() -> Iterator[None]:
    """Processes started inside are ended by SIGINT, however these tests themselves were started.

    A shell without job control (a script, CI) starts ``pytest &`` with SIGINT ignored. That is inherited, and a program
    is right to respect it, but here Ctrl-C is meant for the command.
    """
    before = signal.getsignal(signal.SIGINT)
    if before is not signal.SIG_IGN:
        yield
        return
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


class Cli:
    """Runs ``memory-grpc`` in a folder of the test's own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {"PATH": os.environ["PATH"], "HOME": str(folder), "XDG_STATE_HOME": str(folder / "state")}
        if "PYTHONPATH" in os.environ:  # the package that is tested, where it is not the installed one
            self.environment["PYTHONPATH"] = os.environ["PYTHONPATH"]

    async def start(self, *arguments: str, stdin: int | None = None, **environment: str) -> asyncio.subprocess.Process:
        with _sigint_as_at_a_terminal():
            return await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "memory_grpc",
                *arguments,
                cwd=self.folder,
                env=self.environment | environment,
                stdin=stdin,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
            )

    @asynccontextmanager
    async def tools(self, address: str) -> AsyncIterator[str]:
        """The URL of ``memory-grpc mcp`` over HTTP for Ann of acme, before the service at that address."""
        options = ("--tenant", "acme", "--user", "ann", "--transport", "http", "--port", "0")
        process = await self.start("mcp", *options, "--address", address)
        assert process.stdout is not None
        try:
            yield (await process.stdout.readline()).decode().removeprefix("MCP at ").strip()
        finally:
            process.terminate()
            await process.communicate()

    async def __call__(self, *arguments: str, **environment: str) -> Done:
        process = await self.start(*arguments, **environment)
        out, err = await process.communicate()
        assert process.returncode is not None
        done = Done(process.returncode, out.decode(), err.decode())
        assert "Traceback" not in done.err
        return done


def line(content: str, tenant: str = "acme", **fields: Any) -> str:
    return json.dumps({"tenant_id": tenant, "conversation_id": "c", "role": "user", "content": content, **fields})


def write(cli: Cli, *lines: str) -> str:
    (cli.folder / "history.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return "history.jsonl"


def contents(rows: Rows) -> list[str]:
    return sorted(row[0] for row in rows("select content from messages"))
