"""A host that is none is refused by the name of its variable, and not called a port that is taken."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from memory_grpc.addresses import is_host
from memory_grpc.commands.configuration import load_settings
from memory_grpc.commands.failure import CommandError
from memory_grpc.errors import StartupError
from memory_grpc.local import envoy_config
from memory_grpc.settings import Settings
from tests.conftest import free_port

ADDRESSES = ["127.0.0.1", "0.0.0.0", "::1", "::", "fe80::1%lo", "::ffff:10.0.0.1"]
NAMES = ["localhost", "server", "my_host.internal.", "xn--bro-hoa.example", "1.2.3.4.example", "a" * 63]
NEITHER = [
    *("127.1", "2130706433", "0x7f000001", "1.2.3", "256.1.1.1", "server.1", "127.0.0.1:80", "localhost:80", "1::2::3"),
    *(
        "http://localhost",
        "a b",
        "a..b",
        ".",
        "-a",
        "a-",
        "büro",
        "a" * 64,
        ".".join(["a" * 60] * 5),
        "ann:hunter2@host",
    ),
]
VARIABLES = ["MEMORY_HOST", "MEMORY_HTTP_HOST", "MEMORY_UPSTREAM_HOST"]


@pytest.mark.parametrize("text", [*ADDRESSES, *NAMES])
def test_addresses_and_names(text: str) -> None:
    assert is_host(text)


@pytest.mark.parametrize("text", ["", *NEITHER])
def test_what_is_neither(text: str) -> None:
    assert not is_host(text)


@pytest.mark.parametrize("variable", VARIABLES)
@pytest.mark.parametrize("text", NEITHER)
def test_what_is_neither_stops_the_start(variable: str, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, text)
    with pytest.raises(CommandError) as wrong:
        load_settings()
    assert str(wrong.value).startswith(f"The configuration is wrong: {variable}: ")
    assert "an IP address" in str(wrong.value)
    assert "hunter2" not in str(wrong.value)


@pytest.mark.parametrize("variable", VARIABLES)
@pytest.mark.parametrize("text", [*ADDRESSES, "[::1]", " 127.0.0.1\n"])
def test_addresses_are_taken(variable: str, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(variable, text)
    assert getattr(load_settings(), variable.removeprefix("MEMORY_").lower()) == text.strip(" \n[]")


@pytest.mark.parametrize("variable", [*VARIABLES, "MEMORY_GRPC_PORT", "MEMORY_TIME_ZONE", "MEMORY_LOG_LEVEL"])
@pytest.mark.parametrize(
    "text",
    [
        "host=db user=memory password=hunter2",
        "a hunter2",
        "postgresql://db/memory?password=hunter2",
        "//hunter2",
        "hunter2+",
        "-" + "hunter2" * 6,
    ],
)
def test_a_secret_in_the_wrong_variable_is_not_printed(
    variable: str, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, text)
    with pytest.raises(CommandError, match=rf"^The configuration is wrong: {variable}: ") as wrong:
        load_settings()
    assert "hunter2" not in str(wrong.value)


def test_envoy_listens_on_no_names(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(StartupError, match=r"^MEMORY_ENVOY_STATS_PORT needs an IP address in MEMORY_HOST"):
        envoy_config.render(Settings(host="localhost", envoy_stats_port=9901))
    monkeypatch.setenv("MEMORY_HTTP_HOST", "localhost")
    with pytest.raises(CommandError) as wrong:
        load_settings()
    assert str(wrong.value) == (
        "The configuration is wrong: MEMORY_HTTP_HOST: not an IP address, and Envoy listens on no names "
        "(it is 'localhost')."
    )


def serve(folder: Path, **variables: object) -> str:
    """What a server says that cannot listen; its database is never reached."""
    ports = {"GRPC_PORT": free_port(), "METRICS_PORT": free_port(), "DATABASE_URL": "host=127.0.0.1 port=1 user=nobody"}
    done = subprocess.run(
        [sys.executable, "-m", "memory_grpc", "serve"],
        env={f"MEMORY_{name}": str(value) for name, value in (ports | variables).items()}
        | {"PYTHONPATH": ":".join(sys.path)},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    return done.stderr


@pytest.mark.parametrize(
    ("host", "said"),
    [
        ("", "MEMORY_HOST: it is empty"),
        ("127.1", "MEMORY_HOST: neither an IP address nor a host name (it is '127.1')"),
        ("host.invalid", "MEMORY_HOST: host.invalid is no name that this machine can resolve"),
        ("192.0.2.1", "MEMORY_HOST: 192.0.2.1 is no address of this machine to listen on"),
    ],
)
def test_a_server_names_the_host(host: str, said: str, tmp_path: Path) -> None:
    sentence = serve(tmp_path, HOST=host)
    assert said in sentence
    assert "taken" not in sentence
    assert "PORT" not in sentence
    assert sentence.count("\n") == 1


@pytest.mark.parametrize("name", ["GRPC_PORT", "METRICS_PORT"])
def test_a_taken_port_is_still_called_so(name: str, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        sentence = serve(tmp_path, **{name: port})
    assert sentence == (
        f"Port {port} on 127.0.0.1 is already taken: stop what listens there, or set MEMORY_{name} to a free port.\n"
    )
