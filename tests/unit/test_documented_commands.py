"""Every command that a page shows is run, covered by a named test, or read here."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections import defaultdict
from pathlib import Path

import pytest
import typer

from memory_grpc.cli import app
from memory_grpc.settings import Settings
from tests.documented import COVERED, READ, ROOT, RUN, Command, all_commands, commands_of
from tools.evaluation.__main__ import app as experiment
from tools.evaluation.relevance import app as relevance

COMMANDS = all_commands()
# What make tells the makes that it runs: it would make itself heard in what another prints.
OF_MAKE = ("MAKELEVEL", "MAKEFLAGS", "MFLAGS")
ID = "550e8400-e29b-41d4-a716-446655440000"
# Reads the arguments of scripts as the scripts do, and goes no further.
READER = """
import argparse, json, runpy, sys, traceback
from pathlib import Path
class Read(BaseException): pass
parse = argparse.ArgumentParser.parse_args
def read(self, *given):
    parse(self, *given)
    raise Read
argparse.ArgumentParser.parse_args = read
for script, *arguments in json.loads(sys.argv[1]):
    sys.argv[:] = [script, *arguments]
    sys.path[0] = str(Path(script).parent)
    try:
        runpy.run_path(script, run_name="__main__")
    except Read:
        continue
    except SystemExit:
        sys.exit(f"{script} does not take {arguments}")
    sys.exit(f"{script} reads no arguments")
"""


def by(pattern: str) -> list[Command]:
    return [command for command in COMMANDS if re.match(pattern, command.text)]


def test_commands_are_found_as_a_shell_finds_them() -> None:
    text = "make run   # comment\nMEMORY_A=1 curl x -d '{\n  \"a\": 1}' \\\n  y\n# only a comment\nlast > file\n"
    found = [Command("page", one) for one in commands_of(text)]
    assert [one.words[0] for one in found] == ["make", "curl", "last"]
    assert found[1].environment == {"MEMORY_A": "1"}
    assert found[1].words[-1] == "y"


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: f"{command.page}: {command.text[:60]}")
def test_every_command_has_what_shows_that_it_works(command: Command) -> None:
    assert any(re.match(pattern, command.text) for pattern in (*RUN, *COVERED, *READ)), command


def test_no_row_is_left_over() -> None:
    assert [pattern for pattern in (*RUN, *COVERED, *READ) if not by(pattern)] == []


def test_the_tests_that_cover_commands_exist() -> None:
    for named in COVERED.values():
        path, _, function = named.partition("::")
        assert f"def {function}(" in (ROOT / path).read_text(), named


@pytest.mark.parametrize(
    "command", by(r"(?:\w+=\S+ )*(\.venv/bin/)?memory-grpc (?!--)"), ids=lambda command: command.text[:80]
)
def test_the_command_line_takes_its_arguments(
    command: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    words = [ID if word == "ID" else word for word in command.words[1:]]
    touch(words)
    words = words[: words.index(">")] if ">" in words else words
    read(typer.main.get_command(app).make_context("memory-grpc", words))


def touch(words: list[str]) -> None:
    """Files that the words may name, in this folder."""
    for word in words:
        if re.fullmatch(r"[\w-]+\.jsonl?", word):
            Path(word).touch()


def read(context: typer.Context) -> None:
    """Goes down to the subcommand, which reads its arguments when its context is made."""
    command = context.command
    words = [*context._protected_args, *context.args]
    if hasattr(command, "resolve_command"):
        name, found, rest = command.resolve_command(context, words)
        read(found.make_context(name, rest, parent=context))
    else:
        assert words == []


def test_tests_that_are_run_by_hand_are_there() -> None:
    commands = by(r"MEMORY_TEST_CITUS=\S+ \.venv/bin/python -m pytest ")
    assert commands
    for command in commands:
        (path,) = [word for word in command.words if word.startswith("tests/")]
        assert (ROOT / path).exists(), command


def test_make_and_the_scripts_take_their_arguments(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    calls: list[list[str]] = []
    for command in [*by(r"(?:\w+=\S+ )*make "), *by(r"\.venv/bin/python ")]:
        words = command.words
        if words[0] == "make":
            shown = subprocess.run(
                ["make", "--no-print-directory", "-n", "-o", ".venv/.installed", *words[1:]],
                cwd=ROOT,
                env={name: value for name, value in os.environ.items() if name not in OF_MAKE},
                capture_output=True,
                text=True,
                check=False,
            )
            assert shown.returncode == 0, (command, shown.stderr)
            words = shlex.split(shown.stdout.splitlines()[-1])
        assert words[0] in ("exec", ".venv/bin/python"), command
        if words[1] == "bench/evaluate.py":
            touch(words)
            asked = [word for word in words[2:] if word != "--relevance"]
            script = experiment if asked == words[2:] else relevance
            read(typer.main.get_command(script).make_context("eval", asked))
        elif words[0] != "exec":
            calls.append(words[1:])
    done = subprocess.run(
        [sys.executable, "-c", READER, json.dumps(calls)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        env=os.environ,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_the_extras_that_pip_is_given_exist() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for command in by("pip install "):
        found = re.fullmatch(r"(?:\.|memory-grpc)(?:\[([\w,]+)\])?", command.words[-1])
        assert found, command
        assert set((found[1] or "").split(",")) - {""} <= set(extras), command


def test_the_settings_that_are_shown_are_valid(monkeypatch: pytest.MonkeyPatch) -> None:
    pages: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for command in COMMANDS:
        pages[command.page] |= {
            name: value
            for name, value in command.environment.items()
            if name.startswith("MEMORY_") and not name.startswith("MEMORY_TEST_")  # the tests' own
        }
    known = {f"MEMORY_{name.upper()}" for name in Settings.model_fields}
    for page, variables in pages.items():
        assert set(variables) <= known, page
        with monkeypatch.context() as patch:
            for name, value in variables.items():
                patch.setenv(name, value)
            Settings()
