"""Options, help, and configuration that is wrong."""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from memory_grpc.cli import app, main
from memory_grpc.commands import output
from memory_grpc.commands.configuration import load_settings, target
from memory_grpc.commands.extras import needed
from memory_grpc.commands.failure import UNHEALTHY, CommandError, said_plainly
from memory_grpc.commands.health import rest_report
from memory_grpc.commands.options import moment
from memory_grpc.settings import Settings
from tests.bad_answers import ENDLESS, answering, endless, without_names
from tests.conftest import free_port

COMMANDS = ["up", "serve", "migrate", "envoy-config", "health", "import", "search", "policy show"]
COMMANDS += ["retention run", "retention simulate", "retention restore"]


@pytest.mark.parametrize("command", [*COMMANDS, "policy set"])
def test_every_command_explains_itself(command: str) -> None:
    result = CliRunner(env={"COLUMNS": "200"}).invoke(app, [*command.split(), "--help"])
    assert result.exit_code == 0
    assert "Example" in result.output
    assert "Exit codes" in result.output


@pytest.mark.parametrize("kind", ENDLESS)
def test_a_health_check_does_not_wait_for_an_answer_that_goes_on_and_on(kind: str) -> None:
    with answering(endless(kind), 0.05) as url:
        began = time.monotonic()
        with pytest.raises(CommandError, match="No service answers"):
            rest_report(url, 0.3, as_json=False)
        assert time.monotonic() - began < 2


def test_a_health_check_does_not_wait_for_a_name_server_that_hangs() -> None:
    done = without_names(
        "from memory_grpc.commands.health import rest_report\nrest_report('http://model.example', 0.3, as_json=False)"
    )
    assert "No service answers" in done.stderr


def test_no_pipe_is_waited_for(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe")
    started = [sys.executable, "-m", "memory_grpc", "serve"]
    files = [name for name, field in Settings.model_fields.items() if "Path | None" in str(field.annotation)]
    assert "jwt_jwks_file" in files and "tls_key_file" in files and len(files) > 9
    for name in files:
        variable = f"MEMORY_{name.upper()}"
        with pytest.raises(CommandError, match=f"{variable}: .* a pipe"), monkeypatch.context() as here:
            here.setenv(variable, "pipe")
            load_settings()
    Path("pipe").rename(".env")
    done = subprocess.run(started, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 1 and ".env is a pipe" in done.stderr


def test_help_imports_nothing_heavy() -> None:
    code = "import sys, memory_grpc.cli; print(sorted({'grpc', 'torch', 'psycopg', 'pydantic'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_wrong_usage_is_2() -> None:
    assert CliRunner().invoke(app, ["retention", "restore", "--tenant", "t"]).exit_code == 2
    for arguments in (
        ["search"],
        ["import", "nowhere.jsonl"],
        ["policy", "set", "--tenant", "t"],
        ["health", "--grpc", "--rest"],
    ):
        assert CliRunner().invoke(app, arguments).exit_code == 2
    search = ["search", "x", "-t", "t", "--address", "127.0.0.1:1"]
    for arguments in (["--as-of", "soon"], ["--metadata", "key"], ["--metadata", "=v"], ["--ranking", "best"]):
        assert CliRunner().invoke(app, [*search, *arguments]).exit_code == 2
    for arguments in (["--role", "robot"], ["--created-after", "soon"], ["--created-before", "soon"]):
        assert CliRunner().invoke(app, [*search, *arguments]).exit_code == 2
    for arguments in (["policy", "set", "--tenant", "t", "--ranking", "best"],):
        assert CliRunner().invoke(app, arguments).exit_code == 2


def test_wrong_settings_are_named_without_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEMORY_GRPC_PORT", "many")
    monkeypatch.setenv("MEMORY_LOG_LEVEL", "LOUD")
    monkeypatch.setenv("MEMORY_DATABASE_URL", "postgresql://u:hunter2@h/d")
    with pytest.raises(CommandError) as caught:
        load_settings()
    assert "MEMORY_GRPC_PORT" in str(caught.value)
    assert "MEMORY_LOG_LEVEL" in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_unknown_variables_are_warned_of(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("MEMORY_RATE_LIMIT", "1")
    monkeypatch.setenv("MEMORY_CLIENT_API_KEY", "k")
    load_settings()
    said = capsys.readouterr().err
    assert "MEMORY_RATE_LIMIT" in said
    assert "MEMORY_CLIENT_API_KEY" not in said


def test_a_probe_sends_no_key_and_needs_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEMORY_API_KEYS", "the-key-of-an-admin")
    monkeypatch.setenv("MEMORY_CLIENT_API_KEY", "")
    probe = ["health", "--grpc", "--address", f"127.0.0.1:{free_port()}", "--timeout", "1"]
    monkeypatch.setattr(sys, "argv", ["memory-grpc", *probe])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == UNHEALTHY


def test_where_the_service_is_and_with_which_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEMORY_GRPC_PORT", "7")
    monkeypatch.setenv("MEMORY_HOST", "0.0.0.0")
    assert target(None, None, 1).address == "127.0.0.1:7"
    assert target("there:8", None, 1).address == "there:8"
    assert target(None, None, 1).api_key is None
    monkeypatch.setenv("MEMORY_API_KEYS", "the-first-of-two-keys, the-second-of-two-keys")
    assert target(None, None, 1).api_key == "the-first-of-two-keys"
    monkeypatch.setenv("MEMORY_CLIENT_API_KEY", "mine")
    assert target(None, None, 1).api_key == "mine"
    assert target(None, "given", 1).api_key == "given"
    assert "given" not in repr(target(None, "given", 1))
    with pytest.raises(CommandError):
        target(None, "a\nb", 1)


def test_moments() -> None:
    assert moment("2023-10-23T09:55:14Z") == datetime(2023, 10, 23, 9, 55, 14, tzinfo=UTC)
    assert moment("2023-10-23") == datetime(2023, 10, 23, tzinfo=UTC)
    with pytest.raises(typer.BadParameter):
        moment("soon")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (RuntimeError("postgresql://u:hunter2@h"), "a bug: RuntimeError at test_cli.py"),
        (CommandError("Plainly.", 3), "Plainly."),
        (PermissionError(13, "Permission denied", "/x"), "/x: Permission denied."),
    ],
)
def test_failures_are_sentences(error: Exception, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended, said_plainly():
        raise error
    assert ended.value.code == (3 if isinstance(error, CommandError) else 1)
    assert said in capsys.readouterr().err


def test_a_library_that_is_missing_is_said_with_what_installs_it() -> None:
    with pytest.raises(CommandError) as caught, needed("server"):
        importlib.import_module("no_such_library.part")
    assert "(no_such_library is missing): pip install 'memory-grpc[server]'." in str(caught.value)
    assert caught.value.exit_code == 1


def test_a_module_of_our_own_that_is_missing_is_a_fault_and_nothing_to_install() -> None:
    with pytest.raises(ModuleNotFoundError), needed("server"):
        importlib.import_module("memory_grpc.no_such_module")


def test_text_is_shortened_to_one_harmless_line() -> None:
    assert output.shortened("a\n b\x1b[31m c", 80) == "a b [31m c"
    assert output.shortened("abcdef", 4) == "abc…"


def test_module_runs(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "memory_grpc", "--version"], capture_output=True, text=True, cwd=tmp_path, check=True
    )
    assert done.stdout.strip().count(".") == 2
