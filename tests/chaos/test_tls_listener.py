"""HTTPS and gRPC by TLS on Envoy's port, with certificates made here and renewed while it serves."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path

import grpc
import httpx
import pytest
from cryptography import x509
from grpc_health.v1 import health_pb2, health_pb2_grpc

from memory_grpc.local import envoy_config
from tests.certificates import Authority, Files, put_in_place
from tests.chaos.harness import item, until
from tests.cli import Cli
from tests.conftest import StartRest, settings_for_tests

NAMES = ("localhost", "127.0.0.1")
SEARCH = {"tenant_id": "t", "query": "q"}


def serial(files: Files) -> int:
    return x509.load_pem_x509_certificate(files.cert.read_bytes()).serial_number


def shown(port: int, authority: Authority) -> int:
    """The serial number of the certificate that a new connection is shown; ssl.SSLError when it does not hold."""
    context = ssl.create_default_context(cafile=str(authority.file))
    with (
        socket.create_connection(("127.0.0.1", port), timeout=5) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as connection,
    ):
        certificate = connection.getpeercert(binary_form=True)
    assert certificate is not None
    return x509.load_der_x509_certificate(certificate).serial_number


@pytest.mark.asyncio
async def test_16_https_on_envoys_port_renewed_while_it_serves(start_rest: StartRest, tmp_path: Path, cli: Cli) -> None:
    place = tmp_path / "certificates"
    place.mkdir()
    ours, theirs = Authority(place), Authority(place, "theirs")
    files = ours.issue(*NAMES, file="server")
    with item(16, "TLS on Envoy's port") as result:
        result.tried = 1
        async with start_rest(http_tls_cert_file=files.cert, http_tls_key_file=files.key) as rest:
            port = rest.server.settings.http_port
            context = ssl.create_default_context(cafile=str(ours.file))
            base = f"https://localhost:{port}"
            async with httpx.AsyncClient(base_url=base, verify=context, trust_env=False, timeout=10) as https:
                assert (await https.get("/v1/memory/search", params=SEARCH)).status_code == 200
                with pytest.raises(ssl.SSLError):
                    shown(port, theirs)
                with pytest.raises(httpx.HTTPError):
                    await rest.http.get("/v1/admin/health")  # plaintext
                trusted = grpc.ssl_channel_credentials(ours.file.read_bytes())
                async with grpc.aio.secure_channel(f"localhost:{port}", trusted) as channel:
                    check = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=5)
                    assert check.status == health_pb2.HealthCheckResponse.SERVING
                variables = {"HTTP_TLS_CERT_FILE": files.cert, "HTTP_TLS_KEY_FILE": files.key, "HTTP_PORT": port}
                own = {f"MEMORY_{name}": str(value) for name, value in variables.items()}
                assert (await cli("health", "--rest", **own)).code == 0
                assert (await cli("health", "--rest", "--address", base)).code == 3, "others' certificates are checked"

                assert shown(port, ours) == serial(files)
                put_in_place(ours.issue(*NAMES, file="renewed"), files)
                renewed = serial(files)
                await until(lambda: shown(port, ours) == renewed, 10, "new connections get the new certificate")
                assert (await https.get("/v1/memory/search", params=SEARCH)).status_code == 200, "the old one goes on"

                broken = ours.issue(*NAMES, file="broken")
                broken.cert.write_text("no certificate")
                put_in_place(broken, files)
                again = ours.issue(*NAMES, file="again")
                assert shown(port, ours) == renewed, "what does not fit is left alone"
                put_in_place(again, files)
                await until(lambda: shown(port, ours) == serial(files), 10, "and mended by the next")
        result.held = 1


def test_16_the_configuration_names_the_certificate_in_a_file_of_its_own(tmp_path: Path) -> None:
    files = Authority(tmp_path).issue(*NAMES, file="server")
    settings = settings_for_tests(http_tls_cert_file=files.cert, http_tls_key_file=files.key)
    output = tmp_path / "envoy.yaml"
    written = envoy_config.write(settings, output)
    assert written == [output, tmp_path / "envoy-tls.yaml"]
    assert str(tmp_path / "envoy-tls.yaml") in output.read_text()
    assert str(files.key) in (tmp_path / "envoy-tls.yaml").read_text()
    for path in written:
        assert "PRIVATE KEY" not in path.read_text()
