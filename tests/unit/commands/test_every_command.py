"""What holds for every command: names, help, usage errors, exit codes, pipes, colours and completion.

A new command takes part by itself; one that uses the service needs a row in ``CALLS``.
"""

from __future__ import annotations

import os
import pty
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent import futures
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
import typer

from memory_grpc.cli import app
from memory_grpc.commands.failure import said_plainly

ID = "550e8400-e29b-41d4-a716-446655440000"
# A call that is right, but for the service's address and what a service that is down is waited for.
CALLS: dict[str, tuple[str, ...]] = {
    "audit": (),
    "context": ("what?", "-t", "acme"),
    "conversations": ("-t", "acme"),
    "delete": (ID, "-t", "acme"),
    "eval": ("locomo.json",),
    "export": ("-t", "acme"),
    "forget": ("-t", "acme", "--user", "u", "--yes"),
    "get": (ID,),
    "health": (),
    "import": ("lines.jsonl",),
    "key create": ("--role", "reader", "--label", "bot", "-t", "acme"),
    "key list": (),
    "key revoke": (ID,),
    "list": ("-t", "acme"),
    "policy set": ("-t", "acme", "--max-age-days", "7"),
    "policy show": ("-t", "acme"),
    "reembed": (),
    "retention restore": ("-t", "acme", "--user", "u"),
    "retention run": ("-t", "acme"),
    "retention simulate": ("-t", "acme"),
    "revisions": (ID, "-t", "acme"),
    "search": ("what?", "-t", "acme"),
    "stats": ("-t", "acme"),
    "update": (ID, "-t", "acme", "--content", "new"),
    "users": ("-t", "acme"),
}
# What these print is something else than an answer: JSON lines, YAML, a protocol, a log.
COLOUR = r"\x1b\[[\d;]*[34]\dm"
OWN_OUTPUT = {"export", "envoy-config", "mcp", "up", "serve"}
WRONG: list[tuple[str, ...]] = [
    ("nonsense",),
    ("search", "what?"),
    ("search", "", "-t", "acme"),
    ("search", "what?", "-t", "acme", "--top-k", "0"),
    ("search", "what?", "-t", "acme", "--importance-min", "2"),
    ("search", "what?", "-t", "acme", "--timeout", "0"),
    ("search", "what?", "-t", "acme", "--api-key", "a\nb"),
    ("search", "what?", "-t", "acme", "--address", "a:b:c"),
    ("context", "what?", "-t", "acme", "--max-tokens", "0"),
    ("list", "-t", ""),
    ("list", "-t", "acme", "--limit", "0"),
    ("delete", "not-an-id", "-t", "acme"),
    ("update", ID, "-t", "acme"),
    ("update", ID, "-t", "acme", "--content", ""),
    ("forget", "-t", "acme", "--user", "u"),  # and nobody is there to be asked
    ("forget", "-t", "acme"),
    ("policy", "set", "-t", "acme", "--max-age-days", "-1"),
    ("policy", "set", "-t", "acme"),
    ("retention", "run", "-t", "acme", "--action", "burn"),
    ("retention", "simulate", "-t", "acme", "--sample", "-1"),
    ("key", "create", "--role", "reader", "--label", "", "-t", "acme"),
    ("key", "revoke", "mk_abcdef_0123456789"),
    ("export", "-t", ""),
    ("import", "no-such-file"),
    ("import", "lines.jsonl", "--role", "tool"),
    ("reembed", "--cut-over", "--cancel"),
    ("reembed", "-t", "acme", "--queries", "empty"),
    ("eval", "-", "--messages", "-"),
    ("health", "--rest", "--address", "127.0.0.1:8000"),
]


def _leaves(command: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    for name, found in command.commands.items():
        where = f"{path} {name}".strip()
        yield from _leaves(found, where) if hasattr(found, "commands") else [(where, found)]


COMMANDS = dict(_leaves(typer.main.get_command(app)))


def options(command: str) -> dict[str, list[str]]:
    """The parameters of a command with what they are called on the line."""
    return {parameter.name: list(parameter.opts) for parameter in COMMANDS[command].params}


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str


Run = Callable[..., Done]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command as the console script does, without a process of its own."""
    monkeypatch.setenv("COLUMNS", "100")

    def command(*arguments: str) -> Done:
        with pytest.raises(SystemExit) as ended, said_plainly():
            app(args=list(arguments), prog_name="memory-grpc")
        assert isinstance(ended.value.code, int)
        return Done(ended.value.code, *capsys.readouterr())

    return command


class Refusing(grpc.GenericRpcHandler):
    """A service that answers every call with UNAUTHENTICATED, and counts them."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def service(self, details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        def refuse(_: Any, context: grpc.ServicerContext) -> bytes:
            self.calls.append(details.method)
            context.abort(grpc.StatusCode.UNAUTHENTICATED, "The API key is missing.")
            raise AssertionError("abort raises")

        return grpc.unary_unary_rpc_method_handler(refuse)


@pytest.fixture
def refusing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Refusing]:
    """Answers where the commands look, in a folder with the files that they read."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    line = '{"tenant_id": "acme", "conversation_id": "c", "role": "user", "content": "hello"}\n'
    (tmp_path / "lines.jsonl").write_text(line)
    (tmp_path / "empty").write_text("\n")
    turn = '{"speaker": "Ann", "dia_id": "D1:1", "text": "hi"}'
    talk = f'{{"session_1_date_time": "1:56 pm on 8 May, 2023", "session_1": [{turn}]}}'
    question = '{"question": "Who?", "answer": "Ann", "evidence": ["D1:1"], "category": 1}'
    (tmp_path / "locomo.json").write_text(f'[{{"sample_id": "c", "conversation": {talk}, "qa": [{question}]}}]')
    handler = Refusing()
    server = grpc.server(futures.ThreadPoolExecutor(2), handlers=(handler,))
    monkeypatch.setenv("MEMORY_GRPC_PORT", str(server.add_insecure_port("127.0.0.1:0")))
    server.start()
    yield handler
    server.stop(None).wait()


def test_every_command_that_uses_the_service_has_a_row() -> None:
    assert {command for command in COMMANDS if "address" in options(command)} - {"mcp"} == CALLS.keys()


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_is_like_the_others(command: str, run: Run) -> None:
    found = options(command)
    assert found.get("tenant", ["--tenant", "-t"]) == ["--tenant", "-t"]
    assert found.get("as_json", ["--json"]) == ["--json"]
    assert ("as_json" in found) != (command in OWN_OUTPUT)
    assert {"timeout", "api_key"} <= found.keys() or command not in CALLS or command == "health"
    shown = run(*command.split(), "--help")
    assert (shown.code, shown.err) == (0, "")
    assert "Example" in shown.out
    assert "Exit codes" in shown.out
    assert "\x1b" not in shown.out


@pytest.mark.parametrize("arguments", WRONG, ids=" ".join)
def test_wrong_usage_is_2_before_any_call(arguments: tuple[str, ...], refusing: Refusing, run: Run) -> None:
    done = run(*arguments)
    assert (done.code, done.out) == (2, ""), done
    assert done.err
    assert "\x1b" not in done.err
    assert refusing.calls == []


@pytest.mark.parametrize("command", sorted(CALLS.keys() - {"health"}))
def test_a_missing_key_is_said_once_with_what_to_set(command: str, refusing: Refusing, run: Run) -> None:
    patience = ("--give-up-after", "0") if "give_up_after" in options(command) else ()
    done = run(*command.split(), *CALLS[command], *patience)
    assert done.code == 1, done
    assert refusing.calls
    said = done.err.splitlines()
    assert len(said) == len(set(said)), done.err
    assert "UNAUTHENTICATED: The API key is missing." in done.err
    assert "Set MEMORY_CLIENT_API_KEY to a key of the service, or give --api-key." in said


def _script(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "memory_grpc", *arguments]


def test_a_reader_may_leave() -> None:
    """Before anything was written, and in the middle of what rich writes."""
    pipe = f"{shlex.join(_script('policy', 'set', '--help'))} | head -1; echo ${{PIPESTATUS[0]}}"
    unread = f"{shlex.join(_script('envoy-config'))} | true; echo ${{PIPESTATUS[0]}}"
    for line in (pipe, unread):
        done = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False)
        assert (done.stdout.splitlines()[-1], done.stderr) == ("0", "")


def test_no_color_is_honoured_at_a_terminal() -> None:
    assert re.search(COLOUR, _at_a_terminal("nonsense"))
    assert not re.search(COLOUR, _at_a_terminal("nonsense", NO_COLOR="1"))


def _at_a_terminal(*arguments: str, **environment: str) -> str:
    ours, theirs = pty.openpty()
    plain = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "FORCE_COLOR")}
    done = subprocess.Popen(
        _script(*arguments), stdout=theirs, stderr=theirs, env={**plain, "TERM": "xterm-256color", **environment}
    )
    os.close(theirs)
    said = b""
    with suppress(OSError):  # what a terminal says at the end
        while some := os.read(ours, 65536):
            said += some
    os.close(ours)
    assert done.wait() == 2
    return said.decode()


@pytest.mark.parametrize(
    ("line", "offered"),
    [("pol", "policy"), ("policy ", "show"), ("search q --ran", "--ranking"), ("search q --ranking ", "hybrid")],
)
def test_shells_complete(line: str, offered: str) -> None:
    words = f"memory-grpc {line}"
    asked = {"_MEMORY_GRPC_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
    done = subprocess.run(_script(), capture_output=True, text=True, env={**os.environ, **asked}, check=False)
    assert offered in done.stdout.split()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_a_script_of_the_shell(shell: str) -> None:
    asked = {"_MEMORY_GRPC_COMPLETE": f"source_{shell}"}
    done = subprocess.run(_script(), capture_output=True, text=True, env={**os.environ, **asked}, check=False)
    assert "_MEMORY_GRPC_COMPLETE=complete_" in done.stdout
    assert done.returncode == 0


def test_a_disk_that_is_full_is_a_sentence() -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(_script("envoy-config"), stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "No space left" in done.stderr
