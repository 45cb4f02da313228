"""Embeddings over HTTP as OpenAI does it: OpenAI, Azure, vLLM, Text Embeddings Inference, Ollama, LiteLLM, Voyage.

``POST {base_url}/embeddings`` with ``{model, input: [...], dimensions, encoding_format: "float"}``. What a service
refuses as too much is asked for in smaller requests, and a text that it refuses as too long in pieces.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import structlog
from pydantic import SecretStr
from tokenizers import Tokenizer

from memory_grpc.errors import EmbeddingUnavailable
from memory_grpc.whole_answer import Answer

from . import dialects
from .http_client import http_url
from .prompts import Prompts
from .provider import ModelIdentity, Vectors, Window, checked, normalised
from .remote_service import VARIABLES, Refused, RemoteService
from .text_windows import CHARACTERS_A_TOKEN, TextWindows

MAX_TOKENS = 8_000
"""OpenAI's models read 8,191."""
BATCH_WINDOWS = 8
SMALLEST_PIECE = 64
"""Characters. A service that refuses these as too long means something else."""

Rows = npt.NDArray[np.float64]

log = structlog.get_logger(__name__)

_REFUSED = "The embedding service refused the request (HTTP {})."


class _TooMuchError(EmbeddingUnavailable):
    """The service refused a request for its size."""

    def __init__(self, status: int, why: dialects.Refusal) -> None:
        super().__init__(_REFUSED.format(status))
        self.is_number = why == "too many"


class OpenAICompatibleProvider:
    """A remote embedding model. ``dimensions`` is what its vectors must have."""

    def __init__(
        self,
        *,
        base_url: str,
        model: str,
        dimensions: int,
        prompts: Prompts | None = None,
        tokenizer: Tokenizer | None = None,
        max_tokens: int = MAX_TOKENS,
        api_key: SecretStr | None = None,
        **service: Any,
    ) -> None:
        """No request is made; ``service`` goes to RemoteService. StartupError when ``base_url`` is no http(s) URL."""
        url = http_url(base_url, VARIABLES.url, "https://api.openai.com/v1")
        self._prompts = prompts or Prompts()
        self._dialect = dialects.Dialect(url.host, model, dimensions, self._prompts)
        # The query stays: Azure's api-version lives there.
        url = url.copy_with(path=f"{url.path.rstrip('/')}/embeddings")
        self._service = RemoteService(url, key=api_key.get_secret_value() if api_key else "", **service)
        self._windows = TextWindows(tokenizer, max_tokens, self._prompts)
        self._max_batch_length = BATCH_WINDOWS * CHARACTERS_A_TOKEN * max_tokens
        self._most: int | None = None  # texts in a request, once the service refused more
        revision = hashlib.blake2b(f"{model}/{dimensions}".encode(), digest_size=8).hexdigest()
        self._identity = ModelIdentity(model, self._prompts.revision(revision), "remote", dimensions)

    @property
    def identity(self) -> ModelIdentity:
        return self._identity

    @property
    def max_batch_length(self) -> int:
        return self._max_batch_length

    @property
    def padding_cost(self) -> float:
        return 0.0

    @property
    def tokenizer(self) -> Tokenizer | None:
        return self._windows.tokenizer

    def windows(self, text: str, *, is_query: bool = False) -> list[Window]:
        return self._windows.windows(text, is_query=is_query)

    def encode(self, windows: Sequence[Window]) -> Vectors:
        texts, is_query = [window.payload for window in windows], windows[0].is_query
        most = min(self._most or len(texts), len(texts))
        parts = [self._embedded(texts[at : at + most], is_query) for at in range(0, len(texts), most)]
        return checked(normalised(np.concatenate(parts)), self._identity.dimensions, len(windows))

    def close(self) -> None:
        self._service.close()

    def _embedded(self, texts: list[str], is_query: bool, *, after_too_many: bool = False) -> Rows:
        """A vector for each text, in as few requests as the service takes."""
        try:
            rows = self._ask(texts, is_query)
        except _TooMuchError as error:
            if len(texts) == 1:
                return self._in_pieces(texts[0], is_query, error)
            # No text may suffer from another: each half, and in the end each text, on its own.
            halves = texts[: -(-len(texts) // 2)], texts[-(-len(texts) // 2) :]
            return np.concatenate([self._embedded(h, is_query, after_too_many=error.is_number) for h in halves])
        if after_too_many:
            self._most = max(len(texts), self._most or 1)
        return rows

    def _in_pieces(self, text: str, is_query: bool, error: _TooMuchError) -> Rows:
        """The mean of the vectors of a text's halves, or quarters, and so on, by their length: ``[1, n]``."""
        prompt = self._prompts.of(is_query=is_query)
        text = text.removeprefix(prompt)
        size = len(text)
        while (size := -(-size // 2)) >= SMALLEST_PIECE:
            pieces = [text[at : at + size] for at in range(0, len(text), size)]
            try:
                rows = normalised(self._ask_pieces([prompt + piece for piece in pieces], is_query))
            except _TooMuchError as again:
                error = again
                continue
            log.warning("embedding_text_too_long", characters=len(text), pieces=len(pieces))
            mean: Rows = np.average(rows.astype(np.float64), axis=0, weights=[len(piece) for piece in pieces])
            return mean[None, :]
        raise EmbeddingUnavailable(str(error))

    def _ask_pieces(self, pieces: list[str], is_query: bool) -> Rows:
        """A vector for each piece; _TooMuchError when one is too long."""
        try:
            return self._ask(pieces, is_query)
        except _TooMuchError as error:
            if not error.is_number or len(pieces) == 1:
                raise
        middle = len(pieces) // 2
        return np.concatenate([self._ask_pieces(half, is_query) for half in (pieces[:middle], pieces[middle:])])

    def _ask(self, texts: list[str], is_query: bool) -> Rows:
        """One request's vectors; another's, without the fields that the service does not know, if it says so."""
        dialect = self._dialect
        besides = len(texts) * dialects.LONGEST_VECTOR * dialects.BYTES_A_NUMBER

        def read(answer: Answer) -> Rows:
            return dialects.vectors(answer, len(texts), self._identity.dimensions)

        found = self._service.post(dialect.body(texts, is_query=is_query), read, besides=besides)
        while isinstance(found, Refused):
            answer, why = found
            if why in ("too long", "too many"):
                raise _TooMuchError(answer.status, why)
            if why != "no such field" or (other := dialect.without_refused(answer)) is None:
                raise EmbeddingUnavailable(_REFUSED.format(answer.status))
            dialect = other
            found = self._service.post(dialect.body(texts, is_query=is_query), read, besides=besides)
        self._dialect = dialect
        return found
