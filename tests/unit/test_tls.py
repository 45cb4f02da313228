"""Certificates that do not fit stop the start with one sentence that names the variable and shows no key."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography.hazmat.primitives import serialization

from memory_grpc import tls, tls_server
from memory_grpc.errors import StartupError
from memory_grpc.local.envoy import EnvoyProcess
from memory_grpc.local.envoy_config import render, write
from memory_grpc.settings import Settings
from tests.certificates import Authority, Files
from tests.conftest import free_port


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def files(authority: Authority) -> Files:
    return authority.issue("localhost", "127.0.0.1", file="server")


def garbage(path: Path) -> Path:
    path.write_text("-----BEGIN NOTHING-----\nhunter2\n")
    return path


def encrypted(files: Files) -> Path:
    key = serialization.load_pem_private_key(files.key.read_bytes(), None)
    files.key.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"hunter2"),
        )
    )
    return files.key


Wrong = Callable[[Authority, Files, Path], dict[str, object]]
WRONG: dict[str, tuple[Wrong, str]] = {
    "cert alone": (lambda a, f, d: {"tls_cert_file": f.cert}, "MEMORY_TLS_CERT_FILE needs MEMORY_TLS_KEY_FILE"),
    "key alone": (lambda a, f, d: {"tls_key_file": f.key}, "MEMORY_TLS_KEY_FILE needs MEMORY_TLS_CERT_FILE"),
    "CA of clients alone": (
        lambda a, f, d: {"tls_client_ca_file": a.file},
        "MEMORY_TLS_CLIENT_CA_FILE needs MEMORY_TLS_CERT_FILE",
    ),
    "no such cert": (
        lambda a, f, d: {"tls_cert_file": d / "gone", "tls_key_file": f.key},
        "MEMORY_TLS_CERT_FILE: .*gone cannot be read: No such file",
    ),
    "no such key": (
        lambda a, f, d: {"tls_cert_file": f.cert, "tls_key_file": d / "gone"},
        "MEMORY_TLS_KEY_FILE: .*gone cannot be read: No such file",
    ),
    "a directory": (
        lambda a, f, d: {"tls_cert_file": d, "tls_key_file": f.key},
        "MEMORY_TLS_CERT_FILE: .* cannot be read: Is a directory",
    ),
    "no such CA of clients": (
        lambda a, f, d: {"tls_cert_file": f.cert, "tls_key_file": f.key, "tls_client_ca_file": d / "gone"},
        "MEMORY_TLS_CLIENT_CA_FILE: .*gone cannot be read: No such file",
    ),
    "a cert that is none": (
        lambda a, f, d: {"tls_cert_file": garbage(d / "x"), "tls_key_file": f.key},
        "MEMORY_TLS_CERT_FILE: .*x contains no certificate in PEM",
    ),
    "a key that is none": (
        lambda a, f, d: {"tls_cert_file": f.cert, "tls_key_file": garbage(d / "x")},
        "MEMORY_TLS_KEY_FILE: .*x contains no private key in PEM",
    ),
    "a CA that is none": (
        lambda a, f, d: {"tls_cert_file": f.cert, "tls_key_file": f.key, "tls_client_ca_file": garbage(d / "x")},
        "MEMORY_TLS_CLIENT_CA_FILE: .*x contains no certificate in PEM",
    ),
    "files in each other's place": (
        lambda a, f, d: {"tls_cert_file": f.key, "tls_key_file": f.cert},
        "MEMORY_TLS_CERT_FILE: .*server.key contains no certificate in PEM",
    ),
    "the key of another": (
        lambda a, f, d: {"tls_cert_file": f.cert, "tls_key_file": a.issue("other", file="other").key},
        "MEMORY_TLS_CERT_FILE and MEMORY_TLS_KEY_FILE do not belong together",
    ),
    "an encrypted key": (
        lambda a, f, d: {"tls_cert_file": f.cert, "tls_key_file": encrypted(f)},
        "MEMORY_TLS_KEY_FILE: .*server.key is encrypted",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_server_files_that_do_not_fit(name: str, authority: Authority, files: Files, tmp_path: Path) -> None:
    make, sentence = WRONG[name]
    settings = Settings(**make(authority, files, tmp_path))
    with pytest.raises(StartupError, match=f"^{sentence}") as caught:
        tls_server.server_credentials(settings)
    said = str(caught.value)
    assert "\n" not in said
    assert "hunter2" not in said
    assert "BEGIN" not in said
    assert caught.value.__cause__ is None, "no library's words behind it"


def test_client_files_that_do_not_fit(authority: Authority, files: Files, tmp_path: Path) -> None:
    for values, sentence in (
        ({"tls_ca_file": tmp_path / "gone"}, "MEMORY_TLS_CA_FILE: .*gone cannot be read"),
        ({"tls_ca_file": garbage(tmp_path / "x")}, "MEMORY_TLS_CA_FILE: .*x contains no certificate"),
        ({"tls_client_cert_file": files.cert}, "MEMORY_TLS_CLIENT_CERT_FILE needs MEMORY_TLS_CLIENT_KEY_FILE"),
        (
            {"tls_client_cert_file": files.cert, "tls_client_key_file": authority.issue("other", file="other").key},
            "MEMORY_TLS_CLIENT_CERT_FILE and MEMORY_TLS_CLIENT_KEY_FILE do not belong together",
        ),
    ):
        with pytest.raises(StartupError, match=f"^{sentence}"):
            tls.channel_credentials(Settings(**values))


def test_without_files_the_port_speaks_plaintext() -> None:
    assert tls_server.server_credentials(Settings()) is None


def test_files_are_read_again_when_they_change_and_kept_when_the_new_ones_do_not_fit(
    authority: Authority, files: Files
) -> None:
    pair = tls.KeyPair(files.cert, files.key, ("MEMORY_TLS_CERT_FILE", "MEMORY_TLS_KEY_FILE"))
    served = tls_server._ServerFiles(pair, authority.file)
    served.load()
    assert served.changed() is None
    garbage(files.cert)
    assert served.changed() is None, "what does not fit is not taken"
    assert served.changed() is None
    authority.issue("localhost", file="server")
    assert served.changed() is not None
    assert served.changed() is None
    files.key.unlink()
    assert served.changed() is None


def upstream(settings: Settings, directory: Path) -> dict[str, Any]:
    write(settings, directory / "envoy.yaml")
    clusters = yaml.safe_load((directory / "envoy.yaml").read_text())["static_resources"]["clusters"]
    (cluster,) = [cluster for cluster in clusters if cluster["name"] == "memory_grpc"]
    return dict(cluster)


def named_by(source: dict[str, Any]) -> dict[str, Any]:
    """The secret that a configuration names."""
    path = Path(source["sds_config"]["path_config_source"]["path"])
    (secret,) = yaml.safe_load(path.read_text())["resources"]
    assert secret["name"] == source["name"]
    return dict(secret)


def test_envoy_checks_the_servers_certificate_and_shows_its_own(
    authority: Authority, files: Files, tmp_path: Path
) -> None:
    assert "transport_socket" not in upstream(Settings(), tmp_path)
    settings = Settings(
        tls_ca_file=authority.file,
        tls_client_cert_file=files.cert,
        tls_client_key_file=files.key,
        upstream_host="server",
    )
    socket = upstream(settings, tmp_path)["transport_socket"]["typed_config"]
    context = socket["common_tls_context"]
    assert socket["sni"] == "server"
    validation = context["combined_validation_context"]
    assert validation["default_validation_context"]["match_typed_subject_alt_names"] == [
        {"san_type": "DNS", "matcher": {"exact": "server"}}
    ]
    authorities = named_by(validation["validation_context_sds_secret_config"])["validation_context"]
    assert authorities["trusted_ca"] == {"filename": str(authority.file)}
    (source,) = context["tls_certificate_sds_secret_configs"]
    shown = named_by(source)["tls_certificate"]
    assert shown["certificate_chain"] == {"filename": str(files.cert)}
    assert shown["private_key"] == {"filename": str(files.key)}
    for written in tmp_path.glob("envoy*.yaml"):
        assert "PRIVATE KEY" not in written.read_text(), "the key stays in its file"
    named = upstream(Settings(tls_ca_file=authority.file, tls_server_name="memory.internal"), tmp_path)
    assert named["transport_socket"]["typed_config"]["sni"] == "memory.internal"
    by_address = upstream(Settings(tls_ca_file=authority.file), tmp_path)["transport_socket"]["typed_config"]
    assert "sni" not in by_address


def test_envoys_configuration_is_written_where_the_files_are_not(tmp_path: Path) -> None:
    """In a cluster only Envoy's container has them."""
    away = tmp_path / "away"
    names = ("tls_ca_file", "tls_client_cert_file", "tls_client_key_file", "http_tls_cert_file", "http_tls_key_file")
    write(Settings(**{name: away / name for name in names}), tmp_path / "envoy.yaml")
    written = "".join(path.read_text() for path in tmp_path.glob("envoy*.yaml"))
    assert all(str(away / name) in written for name in names)


def test_envoy_is_not_started_with_files_that_do_not_fit(authority: Authority, files: Files, tmp_path: Path) -> None:
    other = authority.issue("other", file="other").key
    pair = {"tls_ca_file": authority.file, "tls_client_cert_file": files.cert}
    for values, sentence in (
        ({"tls_ca_file": tmp_path / "gone"}, "MEMORY_TLS_CA_FILE: .*gone cannot be read"),
        (pair | {"tls_client_key_file": other}, "MEMORY_TLS_CLIENT_CERT_FILE and MEMORY_TLS_CLIENT_KEY_FILE do not"),
        ({"http_tls_cert_file": files.cert, "http_tls_key_file": other}, "MEMORY_HTTP_TLS_CERT_FILE and MEMORY_HTTP"),
    ):
        envoy = EnvoyProcess(Settings(http_port=free_port(), **values), tmp_path / "run")
        with pytest.raises(StartupError, match=f"^{sentence}"):
            envoy.start()
        assert envoy.pid is None
        assert not (tmp_path / "run" / "envoy.yaml").exists()


def test_files_beside_the_configuration_need_a_place(authority: Authority, files: Files) -> None:
    for values, variable in (
        ({"tls_ca_file": authority.file}, "MEMORY_TLS_CA_FILE"),
        ({"http_tls_cert_file": files.cert, "http_tls_key_file": files.key}, "MEMORY_HTTP_TLS_CERT_FILE"),
    ):
        with pytest.raises(StartupError, match=f"^{variable} needs a file beside the configuration: give --output"):
            render(Settings(**values))


def test_envoy_is_not_sent_to_a_server_that_it_cannot_check(files: Files) -> None:
    with pytest.raises(StartupError, match=r"^MEMORY_TLS_CERT_FILE needs MEMORY_TLS_CA_FILE"):
        render(Settings(tls_cert_file=files.cert, tls_key_file=files.key))
