"""A `.env` that means something else than it says is told, with the line and without a value."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from memory_grpc import libpq_environment
from memory_grpc.commands.configuration import load_settings
from memory_grpc.commands.failure import CommandError
from memory_grpc.settings import Settings

SECRET = "hunter2-hunter2-hunter2"


@pytest.fixture
def env_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of a working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(Settings.model_config, "env_file", ".env")
    return tmp_path / ".env"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"MEMORY_API_KEYS='{SECRET}\n", ".env, line 1: MEMORY_API_KEYS cannot be read: a quote is not closed"),
        (f'\n\nMEMORY_API_KEYS="{SECRET}\n', ".env, line 3: MEMORY_API_KEYS cannot be read: a quote is not closed"),
        (
            f"# mine\nMEMORY_API_KEYS: {SECRET}\n",
            ".env, line 2: write MEMORY_API_KEYS=… and not MEMORY_API_KEYS: …",
        ),
        (f"MEMORY_API_KEYS : {SECRET}\n", ".env, line 1: write MEMORY_API_KEYS=… and not MEMORY_API_KEYS: …"),
        ("MEMORY_API_KEYS\n", ".env, line 1: MEMORY_API_KEYS has no =, and so no value"),
        (
            f"OTHER='open\nMEMORY_API_KEYS={SECRET}\nMORE='shut'\n",
            ".env, line 1: a quote is not closed on its line, and takes in the settings after it",
        ),
    ],
)
def test_a_line_that_cannot_be_understood_stops_the_start(env_file: Path, text: str, said: str) -> None:
    env_file.write_text(text)
    with pytest.raises(CommandError) as told:
        load_settings()
    assert str(told.value) == f"The configuration is wrong: {said}."


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_utf_16_is_named(env_file: Path, encoding: str) -> None:
    env_file.write_bytes(f"MEMORY_API_KEYS={SECRET}\r\n".encode(encoding))
    with pytest.raises(CommandError, match=r"\.env is not in UTF-8 \(UTF-16, by its looks\): save it as UTF-8"):
        load_settings()


def test_other_encodings_are_named(env_file: Path) -> None:
    env_file.write_bytes("# mine\nMEMORY_ENVIRONMENT=Büro\n".encode("latin-1"))
    with pytest.raises(CommandError, match=r"\.env, line 2: not in UTF-8"):
        load_settings()


def test_a_byte_order_mark_does_not_count(env_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    env_file.write_text("MEMORY_ENVIRONMENT=Büro\r\nMEMORY_GRPC_PORT=7000\r\n", encoding="utf-8-sig")
    settings = load_settings()
    assert (settings.environment, settings.grpc_port) == ("Büro", 7000)
    assert capsys.readouterr().err == ""


def test_a_misspelt_name_is_warned_of_with_its_line(env_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    env_file.write_text(f"OTHER=1\n\nMEMORY_API_KEY={SECRET}\nexport memory_grpc_port=7000\nMEMORY_CLIENT_API_KEY=k\n")
    assert load_settings().grpc_port == 7000
    assert capsys.readouterr().err == (
        "Warning: no setting reads MEMORY_API_KEY (.env, line 3): look for a misspelling.\n"
    )


def test_lines_of_other_programs_are_theirs(env_file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    env_file.write_text("OTHER: yes\nMEMORY_ENVIRONMENT='a # b'\nOPEN='\n")
    assert load_settings().environment == "a # b"
    assert capsys.readouterr().err == ""


@pytest.fixture
def libpq(monkeypatch: pytest.MonkeyPatch) -> None:
    """Variables of libpq and others, and no more of the kind."""
    for name in [name for name in os.environ if name.startswith("PG")]:
        monkeypatch.delenv(name)
    for name in ("PGOPTIONS", "PGSERVICE", "PGHOSTADDR", "PGCLIENTENCODING", "PGPASSWORD", "PGSSLMODE", "PG_COLOR"):
        monkeypatch.setenv(name, "x")


@pytest.mark.usefixtures("libpq")
def test_what_would_change_a_connection_is_forgotten_and_what_completes_it_stays() -> None:
    assert libpq_environment.forget_changes() == ["PGCLIENTENCODING", "PGHOSTADDR", "PGOPTIONS", "PGSERVICE"]
    assert {name for name in os.environ if name.startswith("PG")} == {"PGPASSWORD", "PGSSLMODE", "PG_COLOR"}


@pytest.mark.usefixtures("libpq")
def test_our_own_postgres_takes_nothing_from_the_environment() -> None:
    libpq_environment.forget_all()
    assert {name for name in os.environ if name.startswith("PG")} == {"PG_COLOR"}
