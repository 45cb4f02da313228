"""The remote provider against a real HTTP server on loopback that speaks the API, with an embedder behind it."""

import json
import resource
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import numpy as np
import pytest
from pydantic import SecretStr

from memory_grpc.embedding import create_provider
from memory_grpc.embedding.openai_compatible import OpenAICompatibleProvider
from memory_grpc.embedding.provider import EmbeddingProvider
from memory_grpc.embedding.remote_service import retry_after_seconds
from memory_grpc.embedding.resilience import Backoff
from memory_grpc.errors import EmbeddingUnavailable, ProviderDown, StartupError
from memory_grpc.settings import Settings
from tests.bad_answers import ENDLESS, STATUS, answering, endless, packed
from tests.embeddings_server import Server

KEY = "sk-very-secret"
Make = Callable[..., OpenAICompatibleProvider]


class Sleeps(list[float]):
    """Records what would have been slept."""

    def __call__(self, seconds: float) -> None:
        self.append(seconds)


@pytest.fixture
def sleeps() -> Sleeps:
    return Sleeps()


@pytest.fixture
def make(make: Make, server: Server, sleeps: Sleeps) -> Make:
    """The same, with a key, and pauses that are noted."""
    usual: dict[str, Any] = {
        "model": "some-model",
        "api_key": SecretStr(KEY),
        "backoff": Backoff(base_seconds=1, cap_seconds=8),
        "random": lambda: 0.5,
        "sleep": sleeps,
        "clock": lambda: 0.0,
    }
    return lambda **changes: make(**usual | changes)


def encode(provider: EmbeddingProvider, *texts: str) -> Any:
    return provider.encode([window for text in texts for window in provider.windows(text)])


def test_vectors_come_normalised_and_in_the_order_asked(make: Any, server: Server) -> None:
    texts = ["one fish", "two fish", "red fish", "blue fish"]
    vectors = encode(make(), *texts)
    np.testing.assert_allclose(vectors, encode(server.embedder, *texts), atol=1e-6)
    assert vectors.dtype == np.float32


def test_the_request_is_the_documented_one(make: Any, server: Server) -> None:
    encode(make(), "one", "two")
    ((path, headers, body),) = server.requests
    assert path == "/v1/embeddings"
    assert headers["authorization"] == f"Bearer {KEY}" and "api-key" not in headers
    expected = {"model": "some-model", "input": ["one", "two"], "encoding_format": "float", "dimensions": 64}
    assert body == expected


def test_no_key_sends_no_authorization(make: Any, server: Server) -> None:
    encode(make(api_key=None), "one")
    assert "authorization" not in server.requests[0][1]


@pytest.mark.parametrize("status", [408, 429, 500, 503])
def test_passing_failures_are_tried_again_with_growing_jittered_delays(
    make: Any, server: Server, sleeps: Sleeps, status: int
) -> None:
    server.replies = [(status, {}, {})] * 3
    assert encode(make(), "one").shape == (1, 64)
    assert len(server.requests) == 4
    assert sleeps == [0.75, 1.5, 3.0]


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7),
        ({"retry-after-ms": "2500"}, 2.5),
        ({"retry-after": "0"}, 0.75),
        ({"retry-after": "soon"}, 0.75),
    ],
)
def test_retry_after_is_honoured(
    make: Any, server: Server, sleeps: Sleeps, headers: dict[str, str], seconds: float
) -> None:
    server.replies = [(429, headers, {})]
    encode(make(), "one")
    assert sleeps == [seconds]


def test_a_retry_after_date_is_measured_from_the_service_own_clock() -> None:
    dates = {"date": "Tue, 21 Oct 2025 07:28:00 GMT", "retry-after": "Tue, 21 Oct 2025 07:28:09 GMT"}
    assert retry_after_seconds(httpx.Headers(dates)) == 9
    assert retry_after_seconds(httpx.Headers({"retry-after": dates["retry-after"]})) is None


def test_a_very_long_retry_after_is_not_waited_for(make: Any, server: Server, sleeps: Sleeps) -> None:
    server.replies = [(429, {"retry-after": "3600"}, {})]
    with pytest.raises(ProviderDown, match="HTTP 429"):
        encode(make(), "one")
    assert not sleeps


def test_the_last_failure_is_provider_down(make: Any, server: Server, sleeps: Sleeps) -> None:
    server.replies = [(503, {}, {})] * 3
    with pytest.raises(ProviderDown, match="HTTP 503"):
        encode(make(max_retries=2), "one")
    assert len(server.requests) == 3 and len(sleeps) == 2


def test_a_service_that_does_not_answer_in_time_is_down(make: Any, server: Server) -> None:
    server.hold = threading.Event()
    with pytest.raises(ProviderDown, match="too slow"):
        encode(make(max_retries=0, timeout_seconds=0.05), "one")
    server.hold.set()


def test_nobody_listening_is_provider_down(make: Any, sleeps: Sleeps) -> None:
    with pytest.raises(ProviderDown, match="ConnectError"):
        encode(make(base_url="http://127.0.0.1:1/v1", max_retries=1), "one")
    assert sleeps == [0.75]


@pytest.mark.parametrize(("status", "blames_the_service"), [(400, False), (413, False), (401, True), (404, True)])
def test_a_refusal_is_not_tried_again(make: Any, server: Server, status: int, blames_the_service: bool) -> None:
    server.replies = [(status, {}, {"error": f"bad key {KEY} or text"})]
    with pytest.raises(EmbeddingUnavailable, match=f"HTTP {status}") as caught:
        encode(make(), "one")
    assert isinstance(caught.value, ProviderDown) is blames_the_service
    assert len(server.requests) == 1
    assert KEY not in str(caught.value) and "bad" not in str(caught.value)


def test_the_circuit_opens_and_a_trial_closes_it(make: Any, server: Server) -> None:
    now = 0.0
    provider = make(max_retries=0, breaker_threshold=2, breaker_cooldown_seconds=10, clock=lambda: now)
    server.replies = [(500, {}, {})] * 2
    for _ in range(2):
        with pytest.raises(ProviderDown, match="HTTP 500"):
            encode(provider, "one")
    with pytest.raises(ProviderDown, match="calls to it are paused"):
        encode(provider, "one")
    assert len(server.requests) == 2
    now = 10.0
    encode(provider, "one")
    encode(provider, "one")
    assert len(server.requests) == 4


@pytest.mark.parametrize(
    "reply",
    [
        b"<html>",
        b"[]",
        {"data": []},
        {"data": [{"index": 1, "embedding": [1.0] * 64}]},
        {"data": [{"index": 0, "embedding": [1.0] * 63}]},
        {"data": [{"index": 0, "embedding": [0.0] * 64}]},
        {"data": [{"index": 0, "embedding": [float("nan")] + [1.0] * 63}]},
        {"data": [{"index": 0, "embedding": [float("inf")] + [1.0] * 63}]},
        {"data": [{"index": 0, "embedding": ["x"] * 64}]},
        {"data": [{"index": 0, "embedding": ["1.5"] * 64}]},
        {"data": [{"index": 0, "embedding": [True] * 64}]},
        {"data": [{"index": 0, "embedding": "1" * 64}]},
        {"data": [{"index": 0, "embedding": [[1.0]] * 64}]},
        {"data": [{"index": 0, "embedding": [10**400] * 64}]},
        {"data": [{"index": 0, "embedding": None}]},
        {"data": [{"index": 0, "embedding": 1.0}]},
        {"data": None},
    ],
)
def test_unfit_answers_are_refused(make: Any, server: Server, reply: Any) -> None:
    server.replies = [(200, {}, reply)]
    with pytest.raises(EmbeddingUnavailable):
        encode(make(), "one")


@pytest.mark.parametrize("kind", ENDLESS)
def test_an_answer_that_goes_on_and_on_is_given_up(kind: str, make: Any) -> None:
    with answering(endless(kind), 0.05) as url:
        provider = make(base_url=url, max_retries=0, timeout_seconds=0.3)
        began = time.monotonic()
        with pytest.raises(ProviderDown, match="too slow"):
            encode(provider, "one")
        assert time.monotonic() - began < 2


def test_closing_wakes_a_thread_that_waits_for_an_answer(make: Any) -> None:
    with answering(endless("body"), 0.05) as url:
        provider = make(base_url=url, max_retries=9, timeout_seconds=60)
        threading.Timer(0.2, provider.close).start()
        began = time.monotonic()
        with pytest.raises(ProviderDown, match="no longer used"):
            encode(provider, "one")
        assert time.monotonic() - began < 2
    with pytest.raises(ProviderDown, match="no longer used"):
        encode(provider, "one")
    provider.close()


def test_nothing_packed_is_unpacked(make: Any) -> None:
    with answering([packed(b" " * (200 << 20))]) as url, _no_more_than(50), pytest.raises(EmbeddingUnavailable):
        encode(make(base_url=url, max_retries=0), "one")
    sane = json.dumps({"data": [{"index": 0, "embedding": [1.0] * 64}]}).encode()
    with answering([packed(sane)]) as url, pytest.raises(EmbeddingUnavailable, match="cannot be read"):
        encode(make(base_url=url, max_retries=0), "one")


@pytest.mark.parametrize("head", [STATUS + b"content-length: 300000000\r\n\r\n", STATUS + b"\r\n"])
def test_no_more_is_held_of_an_answer_than_its_vectors_take(head: bytes, make: Any) -> None:
    parts = [head, *[b" " * (1 << 20)] * 280]
    with answering(parts) as url, _no_more_than(50), pytest.raises(ProviderDown, match="too large"):
        encode(make(base_url=url, max_retries=0), "one")


@pytest.mark.parametrize("status", [401, 404, 503])
def test_a_failure_is_told_by_its_status_however_much_it_says(status: int, make: Any) -> None:
    parts = [b"HTTP/1.1 %d Some\r\n\r\n" % status, *[b" " * (1 << 20)] * 280]
    with answering(parts) as url, _no_more_than(50), pytest.raises(ProviderDown, match=f"HTTP {status}"):
        encode(make(base_url=url, max_retries=0), "one")


@pytest.mark.parametrize("status", [200, 400])
def test_an_answer_of_nothing_but_parts_is_not_taken_apart(status: int, make: Any, server: Server) -> None:
    texts = [str(number) for number in range(64)]
    server.replies = [(status, {}, b'{"data":[' + b"[]," * 10_000_000 + b"0]}")]
    with _no_more_than(200), pytest.raises(EmbeddingUnavailable):
        encode(make(max_retries=0), *texts)
    assert len(server.requests) == 1


@contextmanager
def _no_more_than(megabytes: int) -> Iterator[None]:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    yield
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < megabytes * 1024


def test_vectors_that_are_written_at_length_are_read(make: Any, server: Server) -> None:
    texts = [str(number) for number in range(64)]
    data = [{"index": at, "embedding": [-1.2345678901234567e-100] * 63 + [1.0]} for at in range(64)]
    server.replies = [(200, {}, json.dumps({"data": data}, indent=4).encode())]
    assert encode(make(), *texts).shape == (64, 64)


@pytest.mark.parametrize("indent", [None, 8])
def test_vectors_of_another_length_are_no_failure_of_the_service(indent: int | None, make: Any, server: Server) -> None:
    texts = [str(number) for number in range(64)]
    data = [{"index": at, "embedding": [-0.012345678901234567] * 4096} for at in range(64)]
    server.replies = [(200, {}, json.dumps({"data": data}, indent=indent).encode())]
    with pytest.raises(EmbeddingUnavailable, match="returned vectors of 4096 dimensions; 64 are configured") as failed:
        encode(make(), *texts)
    assert not isinstance(failed.value, ProviderDown)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "headers",
    [
        {"content-encoding": "zstd"},
        {"content-encoding": "br, gzip"},
        {"retry-after": "Tue, 21 Oct 2025 07:28:00 +99999999999999999"},
        {"location": "file:///etc/passwd"},
        {"location": "http://[canary"},
    ],
)
def test_odd_headers_make_a_failure_like_any_other(headers: dict[str, str], make: Any, server: Server) -> None:
    for status in (200, 307, 503):
        server.replies = [(status, headers, b"canary")]
        with pytest.raises(EmbeddingUnavailable) as caught:
            encode(make(max_retries=0), "one")
        assert "canary" not in str(caught.value)
    assert {path for path, _, _ in server.requests} == {"/v1/embeddings"}


def test_closing_wakes_a_thread_that_waits_to_try_again(server: Server) -> None:
    about_to_wait = threading.Event()

    def random() -> float:
        about_to_wait.set()
        return 1.0

    provider = OpenAICompatibleProvider(
        base_url=server.url,
        model="m",
        dimensions=64,
        backoff=Backoff(base_seconds=1000, cap_seconds=1000),
        random=random,
    )
    server.replies = [(500, {}, {})] * 9
    failed = threading.Event()

    def run() -> None:
        try:
            encode(provider, "one")
        except ProviderDown:
            failed.set()

    thread = threading.Thread(target=run)
    thread.start()
    assert about_to_wait.wait(10)
    provider.close()
    thread.join(10)
    assert failed.is_set()


@pytest.mark.parametrize("url", ["", "api.openai.com/v1", "ftp://host/v1", "http://"])
def test_a_base_url_that_is_none_stops_the_start(url: str) -> None:
    settings = Settings(_env_file=None, embedding_provider="openai", openai_base_url=url)
    with pytest.raises(StartupError, match="MEMORY_OPENAI_BASE_URL"):
        create_provider(settings)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("ALL_PROXY", "socks5://127.0.0.1:1080"),  # needs a library that is not there
        ("ALL_PROXY", "socks://127.0.0.1:1080"),
        ("HTTP_PROXY", "gopher://127.0.0.1:70"),
        ("SSL_CERT_FILE", "/nonexistent.pem"),
    ],
)
def test_a_proxy_that_cannot_be_taken_stops_the_start(
    variable: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(StartupError, match=variable):
        OpenAICompatibleProvider(base_url="http://h/v1", model="m", dimensions=3)


def test_so_does_an_exception_to_a_proxy_that_cannot_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:3128")
    monkeypatch.setenv("NO_PROXY", "[::1]")
    with pytest.raises(StartupError, match="NO_PROXY"):
        OpenAICompatibleProvider(base_url="http://h/v1", model="m", dimensions=3)


def test_a_key_that_cannot_be_sent_stops_the_start_without_showing_it() -> None:
    with pytest.raises(StartupError) as caught:
        OpenAICompatibleProvider(base_url="http://h/v1", model="m", dimensions=3, api_key=SecretStr("ключ\n"))
    assert "ключ" not in str(caught.value)


def test_the_real_model_behind_the_api_gives_its_own_vectors(server: Server, make: Any) -> None:
    from memory_grpc.embedding.sentence_transformer import SentenceTransformerProvider

    server.embedder = SentenceTransformerProvider("all-MiniLM-L6-v2")
    texts = ["I love Python programming", "What programming languages do I like?", "The weather is grey"]
    vectors = encode(make(dimensions=384), *texts)
    np.testing.assert_allclose(vectors, encode(server.embedder, *texts), atol=1e-5)
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2]
