"""Embeddings over HTTP in OpenAI's format: OpenAI, Azure OpenAI, vLLM, Text Embeddings Inference, Ollama.

``POST {base_url}/embeddings`` with ``{model, input: [...], encoding_format: "float"}``. Failures that say nothing about
the texts (no connection, timeout, 408, 429, 5xx) are tried again with jittered backoff; in a row they open the circuit.
Neither the key nor a text nor the service's own words ever reach an error or a log.
"""

from __future__ import annotations

import hashlib
import random as random_module
import threading
import time
from collections.abc import Callable, Sequence
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import numpy as np
import numpy.typing as npt
import structlog
from pydantic import SecretStr

from memory_grpc.errors import EmbeddingUnavailable, ProviderDown, StartupError

from .prompts import Prompts
from .provider import ModelIdentity, Vectors, Window, checked, normalised, spans
from .resilience import Backoff, CircuitBreaker

WINDOW_CHARACTERS = 24_000
"""About 6,000 tokens of English, inside the 8,191 that OpenAI's models read."""
OVERLAP_CHARACTERS = 1_000
BATCH_CHARACTERS = 8 * WINDOW_CHARACTERS
LONGEST_RETRY_AFTER_SECONDS = 30.0
"""A service that asks for a longer pause is down as far as a call is concerned."""

log = structlog.get_logger(__name__)


class OpenAICompatibleProvider:
    """A remote embedding model. ``dimensions`` is what its vectors must have."""

    def __init__(
        self,
        *,
        base_url: str,
        model: str,
        dimensions: int,
        prompts: Prompts | None = None,
        api_key: SecretStr | None = None,
        timeout_seconds: float = 10.0,
        max_retries: int = 3,
        backoff: Backoff | None = None,
        breaker_threshold: int = 5,
        breaker_cooldown_seconds: float = 15.0,
        random: Callable[[], float] = random_module.random,
        sleep: Callable[[float], object] | None = None,
        clock: Callable[[], float] = time.monotonic,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        """StartupError when ``base_url`` is not an http(s) URL. No request is made."""
        try:
            url = httpx.URL(base_url)
        except httpx.InvalidURL:
            url = httpx.URL("")
        if url.scheme not in ("http", "https") or not url.host:
            raise StartupError("MEMORY_OPENAI_BASE_URL must be an http(s) URL such as https://api.openai.com/v1.")
        # The query stays: Azure's api-version lives there.
        self._url = url.copy_with(path=f"{url.path.rstrip('/')}/embeddings")
        self._body: dict[str, Any] = {"model": model, "encoding_format": "float"}
        if model.rpartition("/")[2].startswith("text-embedding-3"):
            # Only these models can shorten their vectors; others refuse the field.
            self._body["dimensions"] = dimensions
        headers = {}
        if api_key is not None and api_key.get_secret_value():
            headers["authorization"] = f"Bearer {api_key.get_secret_value()}"
            if url.host.endswith(".azure.com"):
                headers["api-key"] = api_key.get_secret_value()
        try:
            httpx.Headers(headers)
        except (UnicodeEncodeError, ValueError):
            raise StartupError("MEMORY_OPENAI_API_KEY holds characters that cannot stand in a header.") from None
        try:
            self._client = httpx.Client(headers=headers, timeout=timeout_seconds, transport=transport)
        except (ImportError, OSError, ValueError, httpx.InvalidURL):
            raise StartupError(
                "The way to MEMORY_OPENAI_BASE_URL cannot be taken: HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, NO_PROXY, "
                "SSL_CERT_FILE or SSL_CERT_DIR holds what cannot be used."
            ) from None
        revision = hashlib.blake2b(f"{model}/{dimensions}".encode(), digest_size=8).hexdigest()
        self._prompts = prompts or Prompts()
        self._identity = ModelIdentity(model, self._prompts.revision(revision), "remote", dimensions)
        self._tries = max_retries + 1
        self._backoff = backoff or Backoff()
        self._breaker = CircuitBreaker(
            threshold=breaker_threshold, cooldown_seconds=breaker_cooldown_seconds, clock=clock
        )
        self._random = random
        self._closed = threading.Event()
        # Waiting on the event, not sleeping, lets close() end the wait.
        self._sleep: Callable[[float], object] = self._closed.wait if sleep is None else sleep

    @property
    def identity(self) -> ModelIdentity:
        return self._identity

    @property
    def max_batch_length(self) -> int:
        return BATCH_CHARACTERS

    @property
    def padding_cost(self) -> float:
        return 0.0

    @property
    def tokenizer(self) -> None:
        return None

    def windows(self, text: str, *, is_query: bool = False) -> list[Window]:
        """Windows of 24,000 characters with the prompt, 1,000 shared."""
        prompt = self._prompts.of(is_query=is_query)
        pieces = spans(len(text), WINDOW_CHARACTERS - len(prompt), OVERLAP_CHARACTERS)
        texts = (prompt + text[start:stop] for start, stop in pieces)
        return [Window(max(len(text), 1), text, is_query) for text in texts]

    def encode(self, windows: Sequence[Window]) -> Vectors:
        response = self._answer({**self._body, "input": [window.payload for window in windows]})
        dimensions = self._identity.dimensions
        return checked(normalised(_vectors(response, len(windows))), dimensions, len(windows))

    def close(self) -> None:
        """Wakes a thread that waits to try again, then closes the connections."""
        self._closed.set()
        self._client.close()

    def _answer(self, body: dict[str, Any]) -> httpx.Response:
        """A 200 response; ProviderDown when there is none to be had, EmbeddingUnavailable when the input is refused."""
        for attempt in range(self._tries):
            if self._closed.is_set():
                raise ProviderDown("The embedding service is no longer used by this process.")
            if not self._breaker.allow():
                raise ProviderDown("The embedding service keeps failing and is left alone for a moment; try again.")
            retry_after: float | None = None
            try:
                response = self._client.post(self._url, json=body)
            except httpx.TransportError as error:
                reason = type(error).__name__
            else:
                status = response.status_code
                if status == 200:
                    self._breaker.succeeded()
                    return response
                if status not in (408, 429) and status < 500:
                    # It answered, so it is not down; whether the texts are at fault depends on the status.
                    self._breaker.succeeded()
                    blame = EmbeddingUnavailable if status in (400, 413, 422) else ProviderDown
                    raise blame(f"The embedding service refused the request (HTTP {status}).")
                reason, retry_after = f"HTTP {status}", _retry_after(response)
            self._breaker.failed()
            log.warning("embedding_service_failed", reason=reason, attempt=attempt + 1, tries=self._tries)
            if attempt + 1 == self._tries:
                break
            delay = self._backoff.delay(attempt, self._random)
            if retry_after is not None:
                if retry_after > LONGEST_RETRY_AFTER_SECONDS:
                    break
                delay = max(delay, retry_after)
            self._sleep(delay)
        raise ProviderDown(f"The embedding service does not answer ({reason}); try again.")


def _vectors(response: httpx.Response, count: int) -> npt.NDArray[np.float64]:
    """The response's vectors by ``index``, ``[count, n]``; EmbeddingUnavailable when it is malformed."""
    try:
        data = response.json()["data"]
        rows = sorted(data, key=lambda row: row["index"])
        if [row["index"] for row in rows] != list(range(count)):
            raise ValueError
        vectors = np.array([row["embedding"] for row in rows], dtype=np.float64)
        if vectors.ndim != 2:
            raise ValueError
    except (ValueError, KeyError, TypeError, OverflowError):
        raise EmbeddingUnavailable("The embedding service gave an answer that cannot be read.") from None
    return vectors


def _retry_after(response: httpx.Response) -> float | None:
    """Seconds the service asks to wait, from retry-after-ms (Azure) or retry-after in either of its forms."""
    try:
        if (milliseconds := response.headers.get("retry-after-ms")) is not None:
            return max(0.0, float(milliseconds) / 1000)
        if (value := response.headers.get("retry-after")) is None:
            return None
        if value.strip().isdigit():
            return float(value)
        # A date is measured from the response's own date, so no clock of ours (or its error) plays a part.
        wait = parsedate_to_datetime(value) - parsedate_to_datetime(response.headers["date"])
        return max(0.0, wait.total_seconds())
    except (ValueError, TypeError, KeyError):
        return None
