"""Where keys are read from: files and web servers that may be slow, large, broken, somebody else's."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from memory_grpc.access import Grant, Role
from memory_grpc.errors import IdentityUnavailable, StartupError
from memory_grpc.operations.tokens import sources
from memory_grpc.operations.tokens.configured import identity
from memory_grpc.operations.tokens.key_set import MOST_BYTES
from memory_grpc.operations.tokens.published_keys import PublishedKeys
from memory_grpc.operations.tokens.sources import FileSource, IssuerSource, SourceError, UrlSource, is_safe
from tests.bad_answers import ENDLESS, answering, endless, packed, without_names
from tests.chaos.harness import until
from tests.conftest import settings_for_tests
from tests.tokens import AUDIENCE, ISSUER, jwk, key_set, provider, token


def test_an_issuer_says_where_its_keys_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    with provider() as here:
        here.publish(jwk())
        assert IssuerSource(here.address).read() == key_set(jwk())
        assert UrlSource(f"{here.address}/keys").read() == key_set(jwk())
        assert here.asked == ["/.well-known/openid-configuration", "/keys", "/keys"]


@pytest.mark.parametrize(
    "about",
    [
        {"issuer": "https://another.example", "jwks_uri": "{here}/keys"},
        {"issuer": "{here}/", "jwks_uri": "{here}/keys"},
        {"jwks_uri": "{here}/keys"},
        {"issuer": "{here}"},
        {"issuer": "{here}", "jwks_uri": 7},
        {"issuer": "{here}", "jwks_uri": "http://keys.example/keys"},
        {"issuer": "{here}", "jwks_uri": "file:///etc/passwd"},
        ["issuer"],
    ],
)
def test_a_discovery_document_that_is_not_the_issuer_s_is_not_believed(about: Any) -> None:
    with provider() as here:
        here.publish(jwk())
        text = json.dumps(about).replace("{here}", here.address)
        here.answers["/.well-known/openid-configuration"] = (200, text.encode())
        with pytest.raises(SourceError):
            IssuerSource(here.address).read()
        assert here.asked == ["/.well-known/openid-configuration"]


@pytest.mark.parametrize(
    "here",
    [
        "http://127.0.0.1:9464/metrics",
        "https://127.0.0.2/keys",
        "https://127.1/keys",
        "https://0.0.0.0/keys",
        "https://localhost./keys",
        "https://[::ffff:127.0.0.1]/keys",
    ],
)
def test_an_issuer_elsewhere_does_not_have_this_machine_asked(here: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def get(url: str) -> Any:
        asked.append(url)
        return {"issuer": "https://login.example", "jwks_uri": here}

    monkeypatch.setattr(sources, "get", get)
    with pytest.raises(SourceError, match="no https address"):
        IssuerSource("https://login.example").read()
    assert asked == ["https://login.example/.well-known/openid-configuration"]


@pytest.mark.parametrize("kind", ENDLESS)
def test_an_answer_that_goes_on_and_on_is_given_up(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sources, "SECONDS", 0.3)
    with answering(endless(kind), 0.05) as url:
        began = time.monotonic()
        with pytest.raises(SourceError, match=r"^too slow$"):
            UrlSource(url).read()
        assert time.monotonic() - began < 2


def test_a_name_server_that_hangs_is_not_waited_for_at_the_end_either() -> None:
    done = without_names(
        "from memory_grpc.operations.tokens import sources\n"
        "sources.SECONDS = 0.3\n"
        "sources.get('https://login.example/keys')"
    )
    assert done.stderr.endswith("SourceError: too slow\n")


def test_nothing_packed_is_unpacked() -> None:
    answer = packed(json.dumps(key_set(jwk())).encode(), layers=2)
    with answering([answer]) as url, pytest.raises(SourceError, match=r"^not JSON$"):
        UrlSource(url).read()


def test_a_pipe_in_the_place_of_a_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "keys.json")
    read = threading.Event()

    def reading() -> None:
        with pytest.raises(SourceError, match="a pipe"):
            FileSource(tmp_path / "keys.json").read()
        read.set()

    threading.Thread(target=reading, daemon=True).start()
    assert read.wait(5)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("name", "value"),
    [("ALL_PROXY", "socks5://127.0.0.1:1"), ("HTTPS_PROXY", "odd://user:canary@127.0.0.1"), ("SSL_CERT_FILE", "/none")],
)
async def test_odd_surroundings_do_not_stop_the_start(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SourceError) as failed:
        await asyncio.to_thread(UrlSource("https://login.invalid/keys").read)
    assert "may be wrong" in str(failed.value) and "canary" not in str(failed.value)
    await PublishedKeys(UrlSource("https://login.invalid/keys"), ["RS256"], time.monotonic).begin()


@pytest.mark.parametrize("status", [200, 404, 500])
def test_an_answer_that_is_cut_off_leaves_nothing_behind(status: int) -> None:
    program = "import sys; from memory_grpc.operations.tokens import sources; sources.get(sys.argv[1])"
    with answering([b"HTTP/1.1 %d Some\r\n\r\n" % status, b" " * (MOST_BYTES + 70_000)]) as url:
        done = subprocess.run([sys.executable, "-c", program, url], capture_output=True, text=True, check=False)
    assert done.stderr.splitlines()[-1].startswith("memory_grpc.operations.tokens.sources.SourceError: ")
    assert "Task was destroyed" not in done.stderr


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (404, b"{}", "status 404"),
        (500, b"canary", "status 500"),
        (302, b"/elsewhere", "status 302"),
        (200, b"canary", "not JSON"),
        (200, b"\xff", "not JSON"),
        (200, b"[" * 100_000, "not JSON"),
        (200, b" " * (MOST_BYTES + 1), "too large"),
        (404, b" " * (MOST_BYTES + 1), "status 404"),
        (500, b" " * (MOST_BYTES + 1), "status 500"),
    ],
)
def test_what_is_no_key_set_is_told_by_its_kind(status: int, body: bytes, said: str) -> None:
    with provider() as here:
        here.publish(jwk())
        here.answers["/elsewhere"] = here.answers["/keys"]
        here.answers["/keys"] = (status, body)
        with pytest.raises(SourceError, match=f"^{said}$"):
            UrlSource(f"{here.address}/keys").read()
        assert here.asked == ["/keys"]


def test_a_file_is_read_as_it_is_now(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    with pytest.raises(SourceError, match="No such file"):
        FileSource(file).read()
    file.write_text(json.dumps(key_set(jwk())))
    source = FileSource(file)
    assert source.read() == key_set(jwk())
    file.write_text(json.dumps(key_set()))
    assert source.read() == key_set()
    file.write_bytes(b" " * (MOST_BYTES + 1))
    with pytest.raises(SourceError, match="too large"):
        source.read()


@pytest.mark.parametrize(
    ("url", "safe"),
    [
        ("https://login.example/realm", True),
        ("http://127.0.0.1:8080/keys", True),
        ("http://[::1]/keys", True),
        ("http://localhost/keys", True),
        ("http://login.example", False),
        ("http://localhost.example", False),
        ("ftp://login.example", False),
        ("login.example", False),
        ("https://", False),
    ],
)
def test_nobody_in_between_answers_for_an_issuer(url: str, safe: bool) -> None:
    assert is_safe(url) is safe


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"jwt_issuer": "https://login.example"}, "Set MEMORY_JWT_AUDIENCE"),
        ({"jwt_issuer": "http://login.example", "jwt_audience": "a"}, "MEMORY_JWT_ISSUER must be an https URL"),
        ({"jwt_jwks_url": "login.example", "jwt_audience": "a"}, "MEMORY_JWT_JWKS_URL must be an https URL"),
        (
            {"jwt_jwks_file": "/nowhere/keys", "jwt_audience": "a"},
            "MEMORY_JWT_JWKS_FILE: /nowhere/keys: .*No such file",
        ),
        (
            {"jwt_jwks_file": "/nowhere/keys", "jwt_jwks_url": "https://a.example", "jwt_audience": "a"},
            "MEMORY_JWT_JWKS_FILE or MEMORY_JWT_JWKS_URL, not both",
        ),
    ],
)
def test_settings_that_could_never_work_stop_the_start(settings: dict[str, str], said: str) -> None:
    with pytest.raises(StartupError, match=said):
        identity(settings_for_tests(**settings))


def test_without_settings_no_token_is_believed() -> None:
    assert identity(settings_for_tests(jwt_audience="a")) is None
    # An issuer that is a name, where its keys are said to be elsewhere.
    named = settings_for_tests(jwt_issuer="login", jwt_jwks_url="https://a.example/keys", jwt_audience="a")
    assert identity(named) is not None


@pytest.mark.asyncio
async def test_settings_say_which_claims_hold_the_role_and_the_tenants(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    file.write_text(json.dumps(key_set(jwk())))
    settings = settings_for_tests(
        jwt_issuer=ISSUER,
        jwt_jwks_file=file,
        jwt_audience=AUDIENCE,
        jwt_role_claim="https://login.example/role",
        jwt_tenants_claim="organisations",
    )
    found = identity(settings)
    assert found is not None
    await found.keys.refresh()
    # The default claims, which the settings do not name, grant nothing.
    said = {"https://login.example/role": "writer", "organisations": ["rival"], "memory_role": "admin"}
    assert found.tokens.find(token(**said)) == Grant(Role.WRITER, frozenset({"rival"}), actor="jwt:ann")
    assert found.tokens.find(token()) is None


@pytest.mark.parametrize("algorithm", ["HS256", "none", "RS384", "PS256", ""])
def test_no_other_algorithm_can_be_allowed(algorithm: str) -> None:
    with pytest.raises(ValueError):
        settings_for_tests(jwt_algorithms=algorithm)


@pytest.mark.asyncio
async def test_a_provider_that_hangs_holds_nobody_up() -> None:
    with provider() as here:
        here.publish(jwk())
        here.may_answer.clear()
        keys = PublishedKeys(UrlSource(f"{here.address}/keys"), ["RS256"], time.monotonic)
        refreshing = asyncio.create_task(keys.refresh())
        await until(lambda: here.asked)
        for _ in range(20):
            await asyncio.sleep(0)
            with pytest.raises(IdentityUnavailable):
                keys.find("RS256-0")
        assert not refreshing.done()
        here.may_answer.set()
        await refreshing
        assert keys.find("RS256-0")
