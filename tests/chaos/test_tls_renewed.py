"""Certificates and CAs of Envoy's way to the server, renewed while both serve."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.certificates import Authority, put_in_place
from tests.chaos.harness import Proxy, item, until
from tests.conftest import StartServer, envoy_running, free_port, settings_for_tests

NAME = "memory.internal"
MESSAGE = {"tenant_id": "t", "conversation_id": "c", "role": "user", "content": "over mTLS"}


class Way:
    """REST calls through Envoy, each over the connection to the server that there is, or over a new one."""

    def __init__(self, http: httpx.AsyncClient, proxy: Proxy) -> None:
        self._http = http
        self._proxy = proxy

    async def call(self) -> int:
        """The status of a call."""
        return (await self._http.post("/v1/messages", json=MESSAGE)).status_code

    async def newly(self) -> int:
        """The status of a call after every connection was cut."""
        self._proxy.cut()
        await asyncio.sleep(0.1)  # Envoy has seen its end
        return await self.call()

    async def becomes(self, status: int, what: str) -> None:
        """Waits until new connections get ``status``: the answer to all of three calls in a row."""

        async def holds() -> bool:
            return all([await self.newly() == status for _ in range(3)])

        await until(holds, 15, what)


@asynccontextmanager
async def through_envoy(start_server: StartServer, directory: Path, **tls: Any) -> AsyncIterator[Way]:
    """A server, and an Envoy whose connections to it can be cut."""
    async with start_server(**tls, metrics_port=free_port()) as server, Proxy(server.application.grpc_port) as proxy:
        port = int(proxy.address.rpartition(":")[2])
        settings = settings_for_tests(
            **tls, grpc_port=port, http_port=free_port(), metrics_port=server.settings.metrics_port
        )
        async with envoy_running(settings, directory / "envoy") as (_, http):
            yield Way(http, proxy)


@pytest.mark.asyncio
async def test_16_the_servers_ca_and_envoys_certificate_are_renewed(start_server: StartServer, tmp_path: Path) -> None:
    place, aside = tmp_path / "certificates", tmp_path / "aside"
    place.mkdir()
    aside.mkdir()
    servers, clients = Authority(place, "servers"), Authority(place, "clients")
    server, envoys = servers.issue(NAME, file="server"), clients.issue("envoy", file="envoy")
    others = {"servers": Authority(aside, "servers"), "clients": Authority(aside, "clients")}
    tls = {
        "tls_cert_file": server.cert,
        "tls_key_file": server.key,
        "tls_client_ca_file": clients.file,
        "tls_ca_file": servers.file,
        "tls_client_cert_file": envoys.cert,
        "tls_client_key_file": envoys.key,
        "tls_server_name": NAME,
    }
    with item(16, "the way to the server, renewed while it serves") as result:
        result.tried = 6
        async with through_envoy(start_server, tmp_path, **tls) as way:
            assert await way.newly() == 202

            # Both CAs have leaked: two new ones, and certificates of theirs. Never a restart.
            put_in_place(others["servers"].issue(NAME, file="server"), server)
            others["servers"].file.replace(servers.file)
            assert await way.call() == 202, "the connection that there is goes on"
            await way.becomes(202, "the server's new CA is believed")
            result.held += 1
            others["clients"].file.replace(clients.file)
            await way.becomes(503, "the server wants certificates of the new CA")
            result.held += 1
            put_in_place(others["clients"].issue("envoy", file="envoy"), envoys)
            await way.becomes(202, "Envoy shows its new one")
            result.held += 1

            # What the old CA signed is refused.
            put_in_place(Authority(aside, "leaked").issue(NAME, file="leaked"), server)
            await way.becomes(503, "a certificate of another CA")
            put_in_place(others["servers"].issue(NAME, file="server"), server)
            await way.becomes(202, "and mended")
            result.held += 1

            believed = servers.file.read_bytes()

            def change_ca(content: bytes) -> None:
                (aside / "changed.pem").write_bytes(content)
                (aside / "changed.pem").replace(servers.file)

            def change_pair(authority: Authority, *, broken: bool = False) -> None:
                pair = authority.issue("envoy", file="changed")
                if broken:
                    pair.cert.write_text("no certificate")
                put_in_place(pair, envoys)

            async def taken(status: int, what: str) -> None:
                await asyncio.sleep(0.5)  # where nothing is to change, Envoy has had the time to
                await way.becomes(status, what)

            change_ca(b"no certificate")
            await taken(202, "a CA that does not fit is left alone")
            change_ca(clients.file.read_bytes())
            await taken(503, "the next that does is taken")
            change_ca(believed)
            await taken(202, "and mended")
            result.held += 1
            change_pair(others["clients"], broken=True)
            await taken(202, "nor is a certificate that does not fit")
            change_pair(Authority(aside, "x"))
            await taken(503, "the next that does is taken")
            change_pair(others["clients"])
            await taken(202, "and mended")
            result.held += 1


@pytest.mark.asyncio
@pytest.mark.parametrize("mode", [0o755, 0o711], ids=oct)
async def test_16_certificates_that_everybody_may_read_are_watched_all_the_same(mode: int) -> None:
    """Started by root, Envoy is another user, which keeps no right of root's where files are open to all."""
    with tempfile.TemporaryDirectory() as name:
        place = Path(name) / "certificates"
        place.mkdir()
        ours = Authority(place)
        settings = settings_for_tests(http_port=free_port(), tls_ca_file=ours.file)
        for directory in (Path(name), place):
            directory.chmod(mode)
        async with envoy_running(settings, Path(name) / "envoy"):
            pass
