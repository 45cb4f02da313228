"""Configuration: the documented variables and defaults, secrets that never print, and .env.example kept equal."""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pytest
from pydantic import BaseModel, SecretStr, ValidationError
from pydantic_settings import BaseSettings

from memory_grpc.commands.configuration import load_settings, target
from memory_grpc.commands.failure import CommandError
from memory_grpc.settings import Settings, unknown_variables
from tests.unit.test_empty_settings import MEANS

EXAMPLE = Path(__file__).parents[2] / ".env.example"
WIDTH = 116
# What sounds secret and is an address, or the name of a key of metadata.
NO_SECRETS = {
    "openai_base_url",
    "rerank_url",
    "user_id_metadata_key",
    "context_tokenizer",
    "embedding_tokenizer",
    "embedding_max_tokens",
    "jwt_jwks_url",
}

GOOD = "sixteen-letters!"
REMEDY = {"a key is empty": ": give it a value, or leave the variable out"}

# The guide's configuration section, by hand.
DOCUMENTED: list[tuple[str, str, object]] = [
    ("DATABASE_URL", "database_url", None),
    ("API_KEYS", "api_keys", []),
    ("ALLOWED_ORIGINS", "allowed_origins", []),
    ("GLOBAL_RATE_LIMIT", "global_rate_limit", "200/minute"),
    ("REQUEST_TIMEOUT_SECONDS", "request_timeout_seconds", 15),
    ("EMBEDDING_PROVIDER", "embedding_provider", "sentence_transformer"),
    ("EMBEDDING_MODEL_NAME", "embedding_model_name", "sentence-transformers/all-MiniLM-L6-v2"),
    ("EMBEDDING_DIMENSIONS", "embedding_dimensions", 384),
    ("RETENTION_MAX_AGE_DAYS", "retention_max_age_days", 30),
    ("RETENTION_SCHEDULE_SECONDS", "retention_schedule_seconds", 3600),
    ("RETENTION_IMPORTANCE_THRESHOLD", "retention_importance_threshold", 0.35),
    ("RETENTION_DELETE_AFTER_DAYS", "retention_delete_after_days", 90),
    ("LOG_LEVEL", "log_level", "INFO"),
    ("ENVIRONMENT", "environment", "local"),
]
# What the guide shows set, and what it means.
GIVEN: list[tuple[str, str, str, object]] = [
    ("GLOBAL_RATE_LIMIT", "50/second", "global_rate_limit", "50/second"),
    ("REQUEST_TIMEOUT_SECONDS", "2.5", "request_timeout_seconds", 2.5),
    ("EMBEDDING_PROVIDER", "hashing", "embedding_provider", "hashing"),
    ("EMBEDDING_MODEL_NAME", "/models/mine", "embedding_model_name", "/models/mine"),
    ("EMBEDDING_DIMENSIONS", "768", "embedding_dimensions", 768),
    ("RETENTION_MAX_AGE_DAYS", "7.5", "retention_max_age_days", 7.5),
    ("RETENTION_SCHEDULE_SECONDS", "0", "retention_schedule_seconds", 0),
    ("RETENTION_IMPORTANCE_THRESHOLD", "0", "retention_importance_threshold", 0),
    ("RETENTION_DELETE_AFTER_DAYS", "0", "retention_delete_after_days", 0),
    ("LOG_LEVEL", "DEBUG", "log_level", "DEBUG"),
    ("ENVIRONMENT", "production", "environment", "production"),
    (
        "ALLOWED_ORIGINS",
        "https://a.example,https://b.example",
        "allowed_origins",
        ["https://a.example", "https://b.example"],
    ),
]


@pytest.mark.parametrize(("variable", "field", "default"), DOCUMENTED)
def test_a_documented_variable_has_its_documented_default(variable: str, field: str, default: object) -> None:
    assert f"MEMORY_{variable}" == f"MEMORY_{field.upper()}"
    assert getattr(Settings(), field) == default


@pytest.mark.parametrize(("variable", "value", "field", "expected"), GIVEN)
def test_a_documented_variable_is_read(
    variable: str, value: str, field: str, expected: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"MEMORY_{variable}", value)
    assert getattr(Settings(), field) == expected


def test_the_default_ports_are_the_documented_ones() -> None:
    settings = Settings()
    assert (settings.http_port, settings.grpc_port, settings.metrics_port) == (8000, 50051, 9464)
    assert settings.host == settings.http_host == "127.0.0.1", "local runs bind loopback"


@pytest.mark.parametrize(
    ("url", "conninfo"),
    [
        ("postgresql+asyncpg://user:pass@host/db", "postgresql://user:pass@host/db"),
        ("postgresql+psycopg://user:pass@host/db", "postgresql://user:pass@host/db"),
        ("postgres+asyncpg://user:pass@host/db", "postgres://user:pass@host/db"),
        ("postgresql://user:pass@host/db", "postgresql://user:pass@host/db"),
        ("postgresql://user:a+b://c@host/db?x=1+2", "postgresql://user:a+b://c@host/db?x=1+2"),
        ("postgresql+asyncpg://user:a+b@host/db", "postgresql://user:a+b@host/db"),
        ("  postgresql://host/db \n", "postgresql://host/db"),
        ("host=localhost dbname=memory", "host=localhost dbname=memory"),
        ("host=localhost password=a+b dbname=memory", "host=localhost password=a+b dbname=memory"),
        ("host=localhost password=a+b://c dbname=memory", "host=localhost password=a+b://c dbname=memory"),
        ("", None),
        ("   ", None),
    ],
)
def test_every_spelling_of_the_dsn_becomes_one_that_psycopg_reads(
    url: str, conninfo: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEMORY_DATABASE_URL", url)
    assert Settings().conninfo == conninfo


def test_an_unset_dsn_means_the_embedded_postgres() -> None:
    assert Settings().conninfo is None


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("", []),
        (",", []),
        ("a", ["a"]),
        ("a,b,c", ["a", "b", "c"]),
        (" a , b ,, c ", ["a", "b", "c"]),
        ('["a","b"]', ["a", "b"]),
        (' [ "a" , " b ", "" ]\n', ["a", "b"]),
        ("[]", []),
        ("[::1],[::2]", ["[::1]", "[::2]"]),
        ("[1,2]", ["[1", "2]"]),
    ],
)
def test_lists_are_separated_by_commas_or_are_json(
    text: str, parts: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["ALLOWED_ORIGINS", "TRUSTED_PROXIES"]
    names += ["ALLOWED_HOSTS", "JWT_AUDIENCE"] if parts else []  # which are not to be empty: see test_empty_settings.py
    for name in names:
        monkeypatch.setenv(f"MEMORY_{name}", text)
    settings = Settings()
    for name in names:
        assert getattr(settings, name.lower()) == parts


@pytest.mark.parametrize("name", ["API_KEYS", "OPENAI_API_KEY"])
@pytest.mark.parametrize("text", ["", " ", "\n"])
def test_a_key_that_is_set_and_empty_stops_the_start(name: str, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"MEMORY_{name}", text)
    with pytest.raises(CommandError, match=f"MEMORY_{name}: (a key|it) is empty"):
        load_settings()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (",", "a key is empty"),
        ("[]", "a key is empty"),
        ('[""]', "a key is empty"),
        (f'["{GOOD}", " "]', "a key is empty"),
        (f"{GOOD},", "a key is empty"),
        (f"{GOOD}, ,{GOOD}", "a key is empty"),
        ("[]", "a key is empty"),
        ('[""]', "a key is empty"),
        (f'["{GOOD}", " "]', "a key is empty"),
        ("key", "each key needs at least 4 characters"),
        (f"{GOOD},x", "each key needs at least 4 characters"),
        (f"{GOOD}\nhunter2", "a key contains characters that a header cannot carry"),
        (f"{GOOD}ü", "a key contains characters that a header cannot carry"),
    ],
)
def test_keys_that_are_empty_short_or_unfit_stop_the_start(
    text: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEMORY_API_KEYS", text)
    with pytest.raises(CommandError) as wrong:
        load_settings()
    assert str(wrong.value) == f"The configuration is wrong: MEMORY_API_KEYS: {said}{REMEDY.get(said, '')}."


def test_blanks_and_newlines_around_keys_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEMORY_API_KEYS", f" {GOOD}, {GOOD}2\n")
    assert [key.get_secret_value() for key in Settings().api_keys] == [GOOD, f"{GOOD}2"]


def test_newlines_behind_keys_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEMORY_API_KEYS", "first\n")
    monkeypatch.setenv("MEMORY_OPENAI_API_KEY", "second\r\n")
    monkeypatch.setenv("MEMORY_CLIENT_API_KEY", "third\n")
    settings = Settings()
    assert [key.get_secret_value() for key in settings.api_keys] == ["first"]
    assert settings.openai_api_key is not None
    assert settings.openai_api_key.get_secret_value() == "second"
    assert target(None, None, 1.0).api_key == "third"


LINKS = {
    "MEMORY_GRPC_PORT": "tcp://10.96.0.12:50051",
    "MEMORY_GRPC_SERVICE_HOST": "10.96.0.12",
    "MEMORY_GRPC_SERVICE_PORT": "50051",
    "MEMORY_GRPC_SERVICE_PORT_REST": "8000",
    "MEMORY_GRPC_PORT_50051_TCP": "tcp://10.96.0.12:50051",
    "MEMORY_GRPC_PORT_50051_TCP_ADDR": "10.96.0.12",
    "MEMORY_PORT": "tcp://10.96.0.13:80",
    "MEMORY_SERVICE_HOST": "10.96.0.13",
}


def test_service_links_of_kubernetes_are_no_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in LINKS.items():
        monkeypatch.setenv(name, value)
    assert load_settings().grpc_port == 50051
    assert capsys.readouterr().err == (
        "Warning: MEMORY_GRPC_PORT: set by Kubernetes for a service of that name, and not read.\n"
    )
    (tmp_path / ".env").write_text("MEMORY_GRPC_PORT=7000\n")
    assert Settings(_env_file=tmp_path / ".env").grpc_port == 7000
    monkeypatch.setenv("MEMORY_GRPC_PORT", "http://10.96.0.12")
    with pytest.raises(CommandError, match="MEMORY_GRPC_PORT"):
        load_settings()


def test_secrets_are_never_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEMORY_DATABASE_URL", "postgresql://memory:hunter2@db/memory")
    monkeypatch.setenv("MEMORY_API_KEYS", "hunter2-key-of-two,hunter2-other-of-two")
    monkeypatch.setenv("MEMORY_OPENAI_API_KEY", "hunter2-openai")
    settings = Settings()
    shown = [repr(settings), str(settings), settings.model_dump_json(), repr(settings.model_dump()), f"{settings}"]
    assert not [text for text in shown if "hunter2" in text]
    assert settings.conninfo == "postgresql://memory:hunter2@db/memory"
    assert [key.get_secret_value() for key in settings.api_keys] == ["hunter2-key-of-two", "hunter2-other-of-two"]
    assert settings.openai_api_key is not None
    assert settings.openai_api_key.get_secret_value() == "hunter2-openai"


def test_whatever_sounds_secret_is_kept_as_one() -> None:
    for name, field in Settings.model_fields.items():
        if re.search(r"(_url$|_keys?$|password|token|secret)", name) and name not in NO_SECRETS:
            assert "SecretStr" in str(field.annotation), name


def test_a_wrong_setting_is_named_without_the_secrets_beside_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEMORY_DATABASE_URL", "postgresql://memory:hunter2@db/memory")
    monkeypatch.setenv("MEMORY_API_KEYS", "hunter2-key-of-one")
    monkeypatch.setenv("MEMORY_GRPC_PORT", "many")
    with pytest.raises(ValidationError) as caught:
        Settings()
    assert "grpc_port" in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GRPC_PORT", "-1"),
        ("GRPC_PORT", "65536"),
        ("MAX_REQUEST_BYTES", "600000000"),
        ("REQUEST_TIMEOUT_SECONDS", "0"),
        ("REQUEST_TIMEOUT_SECONDS", "nan"),
        ("REQUEST_TIMEOUT_SECONDS", "inf"),
        ("LOG_LEVEL", "LOUD"),
        ("LOG_LEVEL", "info"),
        ("EMBEDDING_PROVIDER", "oracle"),
        ("EMBEDDING_DIMENSIONS", "0"),
        ("RETENTION_IMPORTANCE_THRESHOLD", "1.1"),
        ("RETENTION_MAX_AGE_DAYS", "0"),
        ("RETENTION_SCHEDULE_SECONDS", "-1"),
        ("SCORE_DECAY_WEIGHT", "-0.1"),
        ("DATABASE_POOL_MAX_SIZE", "0"),
        # A consent names what it accepts, and no more than can be accepted.
        ("ACCEPT_DATA_LOSS_WITH", "yes"),
        ("ACCEPT_DATA_LOSS_WITH", "fsync"),
        ("ACCEPT_DATA_LOSS_WITH", "FSYNC=OFF"),
        ("ACCEPT_DATA_LOSS_WITH", "fsync=off;full_page_writes=off"),
        ("ACCEPT_DATA_LOSS_WITH", "fsync=off,wal_level=minimal"),
    ],
)
def test_a_value_out_of_bounds_stops_the_start(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"MEMORY_{name}", value)
    with pytest.raises(ValidationError, match=name.lower()):
        Settings()


def test_settings_are_read_once_and_stay() -> None:
    settings = Settings()
    with pytest.raises(ValidationError):
        settings.grpc_port = 1  # type: ignore[misc]


def test_a_variable_that_nobody_reads_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEMORY_REQUEST_TIMEOUT", "1")
    monkeypatch.setenv("MEMORY_API_KEY", "hunter2")
    monkeypatch.setenv("MEMORY_API_KEYS", "hunter2")
    monkeypatch.setenv("MEMORYS", "1")
    assert unknown_variables() == ["MEMORY_API_KEY", "MEMORY_REQUEST_TIMEOUT"]


def test_without_any_variable_none_is_unknown() -> None:
    assert unknown_variables() == []


def test_the_env_file_is_read_and_the_environment_goes_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_text("MEMORY_GRPC_PORT=1234\nMEMORY_HTTP_PORT=1235\nOTHER=1\n")
    monkeypatch.setenv("MEMORY_HTTP_PORT", "1236")
    settings = Settings(_env_file=tmp_path / ".env")
    assert (settings.grpc_port, settings.http_port) == (1234, 1236)


HEADER = """\
# Every variable of the service, with its default. Copy this file to .env, and uncomment what you change:
# environment variables override .env, and .env overrides the defaults.
"""


def sections() -> Iterator[tuple[str, list[str]]]:
    """The sections of Settings: each group's docstring, and its fields in order."""
    for group in reversed(Settings.__bases__):
        if issubclass(group, BaseModel) and not issubclass(group, BaseSettings):
            yield str(inspect.getdoc(group)).removesuffix("."), list(group.model_fields)


def spelling(default: Any) -> str:
    """A default as the environment spells it."""
    if default is None:
        return ""
    if isinstance(default, list):
        return ",".join(spelling(part) for part in default)
    return f"{default:.15g}" if isinstance(default, float) else str(default)


def expected_example() -> str:
    """What .env.example must be."""
    lines = [HEADER]
    for title, fields in sections():
        lines.append(f"\n# ---- {title} ----\n")
        for name in fields:
            field = Settings.model_fields[name]
            choices = get_args(field.annotation) if get_origin(field.annotation) is Literal else ()
            text = field.description or ""
            if choices:
                text += f" One of: {', '.join(choices)}."
            lines += [f"# {line}\n" for line in textwrap.wrap(text, WIDTH)]
            lines.append(f"# MEMORY_{name.upper()}={spelling(field.get_default())}\n")
    return "".join(lines)


def test_the_example_lists_every_variable_with_its_description_and_default() -> None:
    expected = expected_example()
    assert EXAMPLE.read_text(encoding="utf-8") == expected, f".env.example should be:\n{expected}"


def test_every_setting_stands_in_a_section_and_is_described() -> None:
    assert [name for _, fields in sections() for name in fields] == list(Settings.model_fields)
    for name, field in Settings.model_fields.items():
        assert (field.description or "").strip(), name


def test_the_example_as_it_is_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(EXAMPLE.read_text(encoding="utf-8"))
    assert Settings(_env_file=tmp_path / ".env") == Settings()


def test_the_example_uncommented_is_the_defaults(tmp_path: Path) -> None:
    text = re.sub(r"^# (MEMORY_[A-Z_]+=)", r"\1", EXAMPLE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    variables = re.findall(r"^(MEMORY_[A-Z_]+)=", text, re.MULTILINE)
    assert variables == [f"MEMORY_{name.upper()}" for name in Settings.model_fields]
    for name in set(Settings.model_fields) - set(MEANS):  # set and empty, these stop the start
        text = re.sub(f"^MEMORY_{name.upper()}=$", "", text, flags=re.MULTILINE)
    (tmp_path / ".env").write_text(text)
    uncommented, defaults = Settings(_env_file=tmp_path / ".env"), Settings()
    for name in Settings.model_fields:
        given, default = getattr(uncommented, name), getattr(defaults, name)
        # An empty DSN is none: what it means is asked below.
        assert given == default or (default is None and given == SecretStr("")), name
    assert uncommented.conninfo is None


def test_the_example_names_every_documented_variable() -> None:
    text = EXAMPLE.read_text(encoding="utf-8")
    assert not [variable for variable, _, _ in DOCUMENTED if f"# MEMORY_{variable}=" not in text]


@pytest.mark.parametrize("section", ["score", "importance"])
def test_weights_that_are_all_zero_are_refused_in_a_sentence(section: str, monkeypatch: pytest.MonkeyPatch) -> None:
    names = [f"MEMORY_{name.upper()}" for name in Settings.model_fields if re.fullmatch(f"{section}_.*_weight", name)]
    assert len(names) == 3
    for name in names[:2]:
        monkeypatch.setenv(name, "0")
    Settings()
    monkeypatch.setenv(names[2], "0")
    with pytest.raises(CommandError) as wrong:
        load_settings()
    assert str(wrong.value) == f"The configuration is wrong: {', '.join(names)} must not all be 0."
