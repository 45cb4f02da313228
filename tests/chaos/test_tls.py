"""TLS and mTLS to the server with certificates made here: who fits comes in, everybody else is refused."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import grpc
import pytest

from memory_layer.v1 import admin_service_pb2 as admin
from memory_layer.v1.admin_service_pb2_grpc import AdminServiceStub
from tests.certificates import Authority, Files
from tests.chaos.harness import Result, item
from tests.conftest import StartRest, StartServer

NAMES = ("localhost", "127.0.0.1")
Credentials = grpc.ChannelCredentials | None


def trusting(authority: Authority | None, files: Files | None = None) -> grpc.ChannelCredentials:
    """A client that believes an authority and shows a certificate."""
    return grpc.ssl_channel_credentials(
        authority.file.read_bytes() if authority else None,
        files.key.read_bytes() if files else None,
        files.cert.read_bytes() if files else None,
    )


async def answer(address: str, credentials: Credentials, name: str | None = None) -> str:
    """What a call over a new connection gets: «ok», or the code."""
    options: list[tuple[str, Any]] = [("grpc.use_local_subchannel_pool", 1), ("grpc.enable_retries", 0)]
    options += [("grpc.ssl_target_name_override", name)] if name else []
    channel = (
        grpc.aio.insecure_channel(address, options=options)
        if credentials is None
        else grpc.aio.secure_channel(address, credentials, options=options)
    )
    async with channel:
        try:
            return str((await AdminServiceStub(channel).GetHealth(admin.GetHealthRequest(), timeout=10)).status)
        except grpc.aio.AioRpcError as error:
            return error.code().name


async def check(
    result: Result, address: str, cases: dict[str, tuple[Credentials, str]], names: dict[str, str] | None = None
) -> None:
    """Every case gets what it should, and one that fits still comes in after each."""
    wrong = []
    for case, (credentials, right) in cases.items():
        result.tried += 1
        got = await answer(address, credentials, (names or {}).get(case))
        if got == right:
            result.held += 1
        else:
            wrong.append(f"{case}: {got}, not {right}")
    assert not wrong


@pytest.mark.asyncio
async def test_16_tls_to_the_server(start_server: StartServer, tmp_path: Path) -> None:
    ours, theirs = Authority(tmp_path), Authority(tmp_path, "theirs")
    files = ours.issue(*NAMES, file="server")
    with item(16, "TLS to the server") as result:
        async with start_server(tls_cert_file=files.cert, tls_key_file=files.key) as server:
            await check(
                result,
                server.grpc_address,
                {
                    "a client that knows the CA": (trusting(ours), "ok"),
                    "by another name of the certificate": (trusting(ours), "ok"),
                    "plaintext": (None, "UNAVAILABLE"),
                    "a client of another CA": (trusting(theirs), "UNAVAILABLE"),
                    "a client of public CAs": (trusting(None), "UNAVAILABLE"),
                    "a name that the certificate does not bear": (trusting(ours), "UNAVAILABLE"),
                    "a certificate that nobody asked for": (
                        trusting(ours, theirs.issue("client", file="unasked")),
                        "ok",
                    ),
                    "after all that": (trusting(ours), "ok"),
                },
                {
                    "by another name of the certificate": "localhost",
                    "a name that the certificate does not bear": "memory.example",
                },
            )


def greeted(port: int, version: ssl.TLSVersion) -> str:
    """What a client that speaks one version of TLS gets: that version, or a refusal, by an alert or without."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = context.maximum_version = version
    try:
        with socket.create_connection(("127.0.0.1", port), 10) as raw, context.wrap_socket(raw) as connection:
            return str(connection.version())
    except ConnectionResetError:
        return "refused"
    except ssl.SSLError as error:  # any other reason is the client's own: it has sent nothing
        by_server = error.reason in ("TLSV1_ALERT_PROTOCOL_VERSION", "UNEXPECTED_EOF_WHILE_READING")
        return "refused" if by_server else str(error.reason)


VERSIONS = {
    ssl.TLSVersion.TLSv1_1: "refused",
    ssl.TLSVersion.TLSv1_2: "TLSv1.2",
    ssl.TLSVersion.TLSv1_3: "TLSv1.3",
}


@pytest.mark.asyncio
async def test_16_the_least_version_of_tls(start_rest: StartRest, tmp_path: Path) -> None:
    ours = Authority(tmp_path)
    files = ours.issue(*NAMES, file="server")
    own = {"tls_cert_file": files.cert, "tls_key_file": files.key, "tls_ca_file": ours.file}
    listener = {"http_tls_cert_file": files.cert, "http_tls_key_file": files.key}
    with item(16, "versions of TLS") as result:
        async with start_rest(**own, **listener) as rest:
            for port in (rest.server.application.grpc_port, rest.server.settings.http_port):
                for version, right in VERSIONS.items():
                    result.tried += 1
                    assert await asyncio.to_thread(greeted, port, version) == right
                    result.held += 1


@pytest.mark.asyncio
async def test_16_an_expired_certificate_of_the_server(start_server: StartServer, tmp_path: Path) -> None:
    ours = Authority(tmp_path)
    files = ours.issue(*NAMES, file="server", expired=True)
    with item(16, "an expired server certificate, renewed") as result:
        async with start_server(tls_cert_file=files.cert, tls_key_file=files.key) as server:
            await check(result, server.grpc_address, {"expired": (trusting(ours), "UNAVAILABLE")})
            ours.issue(*NAMES, file="server")
            await check(result, server.grpc_address, {"renewed, without a restart": (trusting(ours), "ok")})


@pytest.mark.asyncio
async def test_16_mtls_to_the_server(start_server: StartServer, tmp_path: Path) -> None:
    ours, clients = Authority(tmp_path), Authority(tmp_path, "clients")
    files = ours.issue(*NAMES, file="server")
    client = clients.issue("client", file="client")
    with item(16, "mTLS to the server") as result:
        async with start_server(
            tls_cert_file=files.cert, tls_key_file=files.key, tls_client_ca_file=clients.file
        ) as server:
            await check(
                result,
                server.grpc_address,
                {
                    "a client with a certificate": (trusting(ours, client), "ok"),
                    "a client without one": (trusting(ours), "UNAVAILABLE"),
                    "plaintext": (None, "UNAVAILABLE"),
                    "a certificate of another CA": (
                        trusting(ours, Authority(tmp_path, "x").issue("client", file="x1")),
                        "UNAVAILABLE",
                    ),
                    "one of the server's CA": (trusting(ours, ours.issue("client", file="own")), "UNAVAILABLE"),
                    "an expired one": (
                        trusting(ours, clients.issue("client", file="late", expired=True)),
                        "UNAVAILABLE",
                    ),
                    "after all that": (trusting(ours, client), "ok"),
                },
            )


@pytest.mark.asyncio
async def test_16_certificates_change_while_it_serves(start_server: StartServer, tmp_path: Path) -> None:
    ours = Authority(tmp_path)
    files = ours.issue(*NAMES, file="server")
    with item(16, "certificates replaced while it serves") as result:
        async with start_server(tls_cert_file=files.cert, tls_key_file=files.key) as server:
            old = trusting(ours)
            async with grpc.aio.secure_channel(server.grpc_address, old) as channel:
                stub = AdminServiceStub(channel)
                assert (await stub.GetHealth(admin.GetHealthRequest(), timeout=10)).status == "ok"
                # Another CA, as when the old one has leaked.
                next_ca = Authority(tmp_path, "next")
                next_ca.issue(*NAMES, file="server")
                await check(
                    result,
                    server.grpc_address,
                    {
                        "new connections get the new certificate": (trusting(next_ca), "ok"),
                        "which the old CA did not sign": (old, "UNAVAILABLE"),
                    },
                )
                files.key.write_text("nonsense")
                await check(
                    result,
                    server.grpc_address,
                    {"files that do not fit are not taken": (trusting(next_ca), "ok")},
                )
                assert (await stub.GetHealth(admin.GetHealthRequest(), timeout=10)).status == "ok", (
                    "the connection lives"
                )


@pytest.mark.asyncio
@pytest.mark.parametrize("mutual", [False, True], ids=["TLS", "mTLS"])
async def test_16_rest_through_envoy_over_tls(mutual: bool, start_rest: StartRest, tmp_path: Path) -> None:
    ours, clients = Authority(tmp_path), Authority(tmp_path, "clients")
    files = ours.issue("memory.internal", file="server")
    shown = clients.issue("envoy", file="envoy")
    changes: dict[str, Any] = {
        "tls_cert_file": files.cert,
        "tls_key_file": files.key,
        "tls_ca_file": ours.file,
        "tls_server_name": "memory.internal",
    }
    if mutual:
        changes |= {
            "tls_client_ca_file": clients.file,
            "tls_client_cert_file": shown.cert,
            "tls_client_key_file": shown.key,
        }
    with item(16, f"REST through Envoy over {'mTLS' if mutual else 'TLS'}") as result:
        result.tried = 3
        async with start_rest(**changes) as rest:
            body = {"tenant_id": "t", "conversation_id": "c", "role": "user", "content": "over TLS"}
            created = await rest.http.post("/v1/messages", json=body)
            assert created.status_code == 202, created.text
            found = await rest.http.get("/v1/memory/search", params={"tenant_id": "t", "query": "over TLS"})
            assert [hit["content"] for hit in found.json()["items"]] == ["over TLS"]
            result.held += 1
            assert (await rest.http.get("/metrics")).status_code == 200, "the HTTP side is plain"
            result.held += 1
            # The way really is TLS: nobody else comes in by plaintext.
            assert await answer(rest.server.grpc_address, None) == "UNAVAILABLE"
            result.held += 1


@pytest.mark.asyncio
async def test_16_envoy_refuses_a_server_that_it_cannot_check(start_rest: StartRest, tmp_path: Path) -> None:
    ours, clients = Authority(tmp_path), Authority(tmp_path, "clients")
    files = ours.issue("memory.internal", file="server")
    late = ours.issue("memory.internal", file="late", expired=True)
    shown = clients.issue("envoy", file="envoy")
    base: dict[str, Any] = {
        "tls_cert_file": files.cert,
        "tls_key_file": files.key,
        "tls_ca_file": ours.file,
        "tls_server_name": "memory.internal",
    }
    cases: dict[str, dict[str, Any]] = {
        "another CA": {"tls_ca_file": clients.file},
        "another name": {"tls_server_name": "other.internal"},
        "an address that the certificate does not bear": {"tls_server_name": "127.0.0.1"},
        "expired": {"tls_cert_file": late.cert, "tls_key_file": late.key},
        "no certificate for mTLS": {"tls_client_ca_file": clients.file},
        "a certificate of another CA for mTLS": {
            "tls_client_ca_file": ours.file,
            "tls_client_cert_file": shown.cert,
            "tls_client_key_file": shown.key,
        },
    }
    with item(16, "Envoy and a server that does not fit") as result:
        for case, changes in cases.items():
            result.tried += 1
            async with start_rest(**(base | changes)) as rest:
                refused = await rest.http.get("/v1/admin/health")
                assert refused.status_code == 503, case
                assert refused.json()["details"][0]["reason"] == "NOT_SERVING", case
                assert "TLS" not in refused.text, "what is wrong inside is nobody's business outside"
            result.held += 1


async def command(*arguments: str, **variables: object) -> tuple[int, str]:
    """Runs a command of the service's; its exit code and what it said."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MEMORY_")}
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-m", "memory_grpc", *arguments],
        env=clean | {f"MEMORY_{name}": str(value) for name, value in variables.items()},
        capture_output=True,
        text=True,
        timeout=60,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.asyncio
async def test_16_commands_and_probes_speak_mtls(start_server: StartServer, tmp_path: Path) -> None:
    """A probe by command, as an exec probe runs it in the server's container, finds its way by the same settings."""
    ours = Authority(tmp_path)
    files, client = ours.issue(*NAMES, file="server"), ours.issue("probe", file="probe")
    settings = {"tls_cert_file": files.cert, "tls_key_file": files.key, "tls_client_ca_file": ours.file}
    with item(16, "commands and probes over mTLS") as result:
        async with start_server(**settings) as server:
            variables: dict[str, object] = {
                "GRPC_PORT": server.application.grpc_port,
                "TLS_CERT_FILE": files.cert,
                "TLS_KEY_FILE": files.key,
                "TLS_CLIENT_CA_FILE": ours.file,
                "TLS_CA_FILE": ours.file,
                "TLS_CLIENT_CERT_FILE": client.cert,
                "TLS_CLIENT_KEY_FILE": client.key,
            }
            without = {name: value for name, value in variables.items() if "CLIENT_CERT" not in name}
            without = {name: value for name, value in without.items() if "CLIENT_KEY" not in name}
            plain = f"http://{server.grpc_address}"
            for arguments, given, code, words in (
                (("health", "--grpc"), variables, 0, "SERVING"),
                (("search", "--tenant", "t", "anything"), variables, 0, ""),
                (("health", "--grpc"), without, 3, "answers by TLS"),
                (("health", "--grpc", "--address", plain), variables, 3, "No server answers"),
                (("health", "--grpc"), variables | {"TLS_SERVER_NAME": "other"}, 3, "answers by TLS"),
            ):
                result.tried += 1
                got, said = await command(*arguments, **given)
                assert (got, words in said) == (code, True), f"{arguments} {got} {said}"
                assert "Traceback" not in said
                result.held += 1


@pytest.mark.asyncio
async def test_16_a_server_with_files_that_do_not_fit_does_not_start(dsn: str, tmp_path: Path) -> None:
    ours = Authority(tmp_path)
    files, other = ours.issue(*NAMES, file="server"), ours.issue(*NAMES, file="other")
    with item(16, "start with files that do not fit") as result:
        result.tried = 1
        code, said = await command(
            "serve",
            DATABASE_URL=dsn,
            EMBEDDING_PROVIDER="hashing",
            GRPC_PORT=0,
            METRICS_PORT=0,
            TLS_CERT_FILE=files.cert,
            TLS_KEY_FILE=other.key,
        )
        assert code == 1
        assert said.startswith("MEMORY_TLS_CERT_FILE and MEMORY_TLS_KEY_FILE do not belong together")
        assert len(said.strip().splitlines()) == 1, said
        result.held = 1
