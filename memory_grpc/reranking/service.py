"""A reranker over HTTP: Cohere, Jina, Voyage, Text Embeddings Inference, and services that speak as one of them does.

Content goes to the one URL that is configured, and into no log and no error. Nothing is tried again: whoever searches
does not wait so long. A service that keeps failing is left alone for a while.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence

import structlog
from pydantic import SecretStr

from memory_grpc.embedding import dialects
from memory_grpc.embedding.http_client import Posting, Variables, http_url
from memory_grpc.embedding.resilience import CircuitBreaker
from memory_grpc.errors import StartupError
from memory_grpc.whole_answer import NoAnswerError

from .reranker import RerankFailed, RerankLate, RerankPaused
from .shapes import SHAPES

VARIABLES = Variables("MEMORY_RERANK_URL", "MEMORY_RERANK_API_KEY")
SMALLEST_PIECE = 64
"""Characters. A service that refuses these as too long means something else."""
REPEATED = 4
"""Some services answer with the texts, and escaped they are three times as long."""
BYTES_A_SCORE = 200
"""Of an answer, besides its text."""

log = structlog.get_logger(__name__)


class _RefusedError(RerankFailed):
    """The service refuses what it was sent; another search's may suit it."""


class RerankService:
    """One URL that is posted to. Use from one event loop."""

    def __init__(
        self,
        shape: str,
        *,
        url: str,
        model: str = "",
        api_key: SecretStr | None = None,
        timeout_seconds: float = 1.0,
        breaker_threshold: int = 5,
        breaker_cooldown_seconds: float = 15.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """No request is made. StartupError when there is no http(s) URL or no model, or the key cannot be sent."""
        self._shape = SHAPES[shape]
        if self._shape.has_model and not model:
            raise StartupError("MEMORY_RERANK_MODEL must name one of the service's reranking models.")
        where = http_url(url, VARIABLES.url, "https://api.cohere.com/v2/rerank")
        self._model = model
        self._timeout = timeout_seconds
        self._posting = Posting(where, api_key.get_secret_value() if api_key else "", VARIABLES)
        self._breaker = CircuitBreaker(
            threshold=breaker_threshold, cooldown_seconds=breaker_cooldown_seconds, clock=clock
        )
        self._most: int | None = None  # texts in a request, once the service refused more

    async def scores(self, query: str, texts: Sequence[str], seconds: float) -> list[float]:
        """The service's scores, cut to between 0 and 1."""
        if not self._breaker.allow():
            raise RerankPaused("The reranking service keeps failing, so calls to it are paused.")
        try:
            async with asyncio.timeout(seconds):
                most = self._most or len(texts)
                portions = [texts[at : at + most] for at in range(0, len(texts), most)]
                scores = [score for some in portions for score in await self._of(query, some)]
        except TimeoutError:
            # A caller who had less time than a service may take says nothing about it.
            if seconds >= self._timeout:
                self._breaker.failed()
            raise RerankLate from None
        except _RefusedError:
            self._breaker.succeeded()  # it answered, so it is not down
            raise
        except RerankFailed:
            self._breaker.failed()
            raise
        except NoAnswerError as error:
            self._breaker.failed()
            raise RerankFailed(f"The reranking service does not answer ({error}).") from None
        self._breaker.succeeded()
        return scores

    async def close(self) -> None:
        """Gives up what is under way, and closes the connections."""
        await asyncio.to_thread(self._posting.close)

    async def _of(self, query: str, texts: Sequence[str]) -> list[float]:
        """What the service refuses as too much is asked for in halves."""
        # Whoever waits ends it.
        body = self._shape.body(self._model, query, texts)
        posted = self._posting.post(body, seconds=None, repeated=REPEATED, besides=BYTES_A_SCORE * len(texts))
        answer = await asyncio.wrap_future(posted)
        if answer.status == 200:
            return self._shape.scores(answer, len(texts))
        why = dialects.refusal(answer)
        if why == "too many" and len(texts) > 1:
            self._most = half = -(-len(texts) // 2)
            return [*await self._of(query, texts[:half]), *await self._of(query, texts[half:])]
        if why == "too long" and (longest := max(map(len, texts))) > SMALLEST_PIECE:
            return await self._of(query, [text[: longest // 2] for text in texts])
        # A status that says nothing about texts, or a field that is not known, meets every search.
        failed = RerankFailed if why in (None, "no such field") else _RefusedError
        raise failed(f"The reranking service refused the request (HTTP {answer.status}).")
