"""Commands of README.md and docs/*.md run as they stand there, page by page, against a server behind Envoy.

curl is told by its own configuration where localhost:8000 is; ``memory-grpc`` by its variables.
"""

from __future__ import annotations

import asyncio
import io
import json
import os
import re
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path

import pytest

from memory_grpc.cli import app
from memory_grpc.commands.failure import said_plainly
from tests.conftest import RunningRest, StartRest
from tests.documented import RUN, Command, all_commands

pytestmark = pytest.mark.skipif(shutil.which("curl") is None, reason="curl not found: install curl")
# The messages that pages name by their ids.
ERASED, SHOWN = "550e8400-e29b-41d4-a716-446655440000", "3a19c0f1-5e92-4609-8e31-796922f1b654"
KEYED = [one for one in all_commands() if one.page == "docs/keys.md" or "key create" in one.text]
# Erasure comes last: other pages show the message that it erases.
OPEN = sorted((one for one in all_commands() if one not in KEYED), key=lambda one: one.page == "docs/erasure.md")
# Anything but success, as the page says.
EXPECTED = {
    '"role": "robot"': 400,
    f"memory-grpc delete --tenant acme {ERASED}": 1,  # the line before it has deleted this message
}
CONVERSATION = [
    {
        "uuid": "c1",
        "name": "Trip",
        "chat_messages": [
            {"uuid": "m1", "sender": "human", "text": "I like Graz", "created_at": "2026-05-01T10:00:00Z"}
        ],
    }
]


def place(folder: Path, rest: RunningRest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder in which the commands find their files and programs, and the service."""
    settings = rest.server.settings
    (folder / ".curlrc").write_text(
        f'connect-to = "localhost:8000:127.0.0.1:{settings.http_port}"\n'
        f'connect-to = "127.0.0.1:8000:127.0.0.1:{settings.http_port}"\n'
        'silent\nnoproxy = "*"\nwrite-out = "\\n%{http_code}"\n'
    )
    (folder / ".venv").mkdir()
    (folder / ".venv/bin").symlink_to(Path(sys.executable).parent)
    (folder / "conversations.json").write_text(json.dumps(CONVERSATION))
    monkeypatch.chdir(folder)
    for name in ("HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME"):
        monkeypatch.setenv(name, str(folder))
    monkeypatch.setenv("MEMORY_GRPC_PORT", str(settings.grpc_port))


async def store(rest: RunningRest) -> None:
    """The two messages, and one of the user whom erasure forgets."""
    said = {"conversation_id": "c", "user_id": "u-7", "role": "user", "content": "I love Python", "importance": 0.5}
    ids = (SHOWN, ERASED, "550e8400-e29b-41d4-a716-446655440001")
    messages = [said | {"id": name, "created_at": "2025-11-01T10:00:00Z", "revision": 1} for name in ids]
    done = await rest.http.post("/v1/admin/import", json={"tenant_id": "acme", "messages": messages})
    assert done.status_code == 200, done.text


@contextmanager
def output() -> Iterator[io.BytesIO]:
    """What a command of this process prints."""
    caught = io.BytesIO()
    text = io.TextIOWrapper(caught, encoding="utf-8", write_through=True)
    with redirect_stdout(text):
        yield caught
    text.detach()  # or it would close what it has written to


def memory_grpc(command: Command) -> int:
    """Runs it as the console script does, without the second that a process takes; the exit code."""
    arguments, file = command.words[1:], None
    if ">" in arguments:
        file = Path(arguments[-1])
        arguments = arguments[:-2]
    with output() as caught, pytest.raises(SystemExit) as ended, said_plainly():
        app(args=arguments, prog_name="memory-grpc")
    if file is not None:
        file.write_bytes(caught.getvalue())
    assert isinstance(ended.value.code, int)
    return ended.value.code


async def shell(text: str) -> tuple[int, str]:
    process = await asyncio.create_subprocess_exec(
        "bash", "-c", text, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT, env=os.environ
    )
    said, _ = await process.communicate()
    assert process.returncode is not None
    return process.returncode, said.decode()


async def run(command: Command, rest: RunningRest) -> None:
    expected = next((code for part, code in EXPECTED.items() if part in command.text), None)
    if re.match(r"\S*memory-grpc ", command.text):
        assert await asyncio.to_thread(memory_grpc, command) == (expected or 0), command
        return
    code, said = await shell(command.text.replace("127.0.0.1:50051", rest.server.grpc_address))
    assert code == 0, (command, said)
    if command.text.startswith("curl "):
        status = int(said.splitlines()[-1])
        assert status == expected if expected else status // 100 == 2, (command, said)


@pytest.mark.asyncio
async def test_commands_run_as_they_stand(
    start_rest: StartRest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with start_rest() as rest:
        place(tmp_path, rest, monkeypatch)
        await store(rest)
        for command in OPEN:
            if any(re.match(pattern, command.text) for pattern in RUN):
                await run(command, rest)


@pytest.mark.asyncio
async def test_commands_that_need_keys_run_as_they_stand(
    start_rest: StartRest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with start_rest(api_keys=["your-key"]) as rest:
        place(tmp_path, rest, monkeypatch)
        monkeypatch.setenv("MEMORY_API_KEYS", "your-key")
        for command in KEYED:
            await run(command, rest)
