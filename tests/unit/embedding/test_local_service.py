"""An embedding service on this machine is called past the proxies of the environment."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx
import pytest

from memory_grpc.embedding import create_provider
from memory_grpc.embedding.local_service import past_proxies
from memory_grpc.settings import Settings


class Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        count = len(json.loads(self.rfile.read(int(self.headers["content-length"])))["input"])
        body = json.dumps({"data": [{"index": place, "embedding": [1.0, 0.0, 0.0]} for place in range(count)]}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def port() -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("HTTP_PROXY", "http://127.0.0.1:9"),
        ("ALL_PROXY", "http://127.0.0.1:9"),
        ("ALL_PROXY", "socks5://127.0.0.1:9"),
        ("NO_PROXY", "[::1]"),
        ("SSL_CERT_FILE", "/nonexistent.pem"),
    ],
)
def test_it_answers_whatever_proxy_is_set(
    port: int, variable: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv(variable, value)
    settings = Settings(
        _env_file=None,
        embedding_provider="openai",
        openai_base_url=f"http://localhost:{port}/v1",
        openai_max_retries=0,
        embedding_dimensions=3,
    )
    provider = create_provider(settings)
    try:
        assert provider.encode(provider.windows("hello")).tolist() == [[1.0, 0.0, 0.0]]
    finally:
        provider.close()


@pytest.mark.parametrize("url", ["http://10.0.0.1/v1", "https://api.openai.com/v1"])
def test_other_machines_are_called_through_them(url: str) -> None:
    assert past_proxies(httpx.URL(url)) is None


def test_a_certificate_that_is_not_there_is_left_to_the_client(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", "/nonexistent.pem")
    assert past_proxies(httpx.URL("https://[::1]:8443/v1")) is None
