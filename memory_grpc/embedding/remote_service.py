"""Asking a service that may be down: retries with jittered backoff, and a circuit breaker.

Failures that say nothing about the texts open the circuit when they come in a row. Those that may pass (no connection,
timeout, 408, 429, 5xx) are tried again; other statuses, and answers that are not what was asked for, are not. Neither
the key nor a text nor the service's own words ever reach an error or a log.
"""

from __future__ import annotations

import random as random_module
import threading
import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import Any, NamedTuple, TypeVar

import httpx
import structlog

from memory_grpc.errors import EmbeddingUnavailable, ProviderDown
from memory_grpc.whole_answer import Answer, NoAnswerError

from . import dialects
from .http_client import Posting, Variables
from .resilience import Backoff, CircuitBreaker

LONGEST_RETRY_AFTER_SECONDS = 30.0
"""A service that asks for a longer pause is down as far as a call is concerned."""

VARIABLES = Variables("MEMORY_OPENAI_BASE_URL", "MEMORY_OPENAI_API_KEY")

_REPEATED = 8
"""Some services that refuse a text repeat it, several times and escaped."""

T = TypeVar("T")

log = structlog.get_logger(__name__)


class Refused(NamedTuple):
    """An answer that refuses what was sent, and why."""

    answer: Answer
    why: dialects.Refusal


class RemoteService:
    """One URL that is posted to."""

    def __init__(
        self,
        url: httpx.URL,
        *,
        key: str = "",
        timeout_seconds: float = 10.0,
        max_retries: int = 3,
        backoff: Backoff | None = None,
        breaker_threshold: int = 5,
        breaker_cooldown_seconds: float = 15.0,
        random: Callable[[], float] = random_module.random,
        sleep: Callable[[float], object] | None = None,
        clock: Callable[[], float] = time.monotonic,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """StartupError when the key cannot be sent or the environment's proxies cannot be taken. No request is made."""
        self._posting = Posting(url, key, VARIABLES, transport)
        self._seconds = timeout_seconds
        self._tries = max_retries + 1
        self._backoff = backoff or Backoff()
        self._breaker = CircuitBreaker(
            threshold=breaker_threshold, cooldown_seconds=breaker_cooldown_seconds, clock=clock
        )
        self._random = random
        self._closed = threading.Event()
        # Waiting on the event, not sleeping, lets close() end the wait.
        self._sleep: Callable[[float], object] = self._closed.wait if sleep is None else sleep

    def post(self, body: dict[str, Any], read: Callable[[Answer], T], *, besides: int) -> T | Refused:
        """What ``read`` makes of a 200 answer, or one that refuses the body; ProviderDown when neither is to be had.

        An answer may be about ``besides`` bytes long, and repeat what was sent. ``read`` raises EmbeddingUnavailable,
        and so does this, for one that is not what was asked for: a text may have been too much for a gateway between.
        """
        for attempt in range(self._tries):
            if self._closed.is_set():
                raise ProviderDown("The embedding service is no longer used by this process.")
            if not self._breaker.allow():
                raise ProviderDown("The embedding service keeps failing, so calls to it are paused; try again.")
            retry_after: float | None = None
            try:
                answer = self._posting.post(body, seconds=self._seconds, repeated=_REPEATED, besides=besides).result()
            except NoAnswerError as error:
                reason = str(error)
            else:
                status = answer.status
                if (why := dialects.refusal(answer)) is not None:
                    self._breaker.succeeded()  # it answered, so it is not down
                    return Refused(answer, why)
                if status == 200:
                    return self._made_of(answer, read, attempt)
                reason, retry_after = f"HTTP {status}", retry_after_seconds(answer.headers)
                if status not in (408, 429) and status < 500:
                    if status == 403:  # a firewall's word on one text, perhaps
                        self._breaker.succeeded()
                    else:
                        self._failed(reason, attempt)
                    raise ProviderDown(f"The embedding service refused the request ({reason}).")
            self._failed(reason, attempt)
            if attempt + 1 == self._tries:
                break
            delay = self._backoff.delay(attempt, self._random)
            if retry_after is not None:
                if retry_after > LONGEST_RETRY_AFTER_SECONDS:
                    break
                delay = max(delay, retry_after)
            self._sleep(delay)
        raise ProviderDown(f"The embedding service does not answer ({reason}); try again.")

    def close(self) -> None:
        """Wakes threads that wait, to try again or for an answer, and closes the connections."""
        self._closed.set()
        self._posting.close()

    def _made_of(self, answer: Answer, read: Callable[[Answer], T], attempt: int) -> T:
        try:
            made = read(answer)
        except EmbeddingUnavailable as error:
            self._failed(str(error), attempt)
            raise
        self._breaker.succeeded()
        return made

    def _failed(self, reason: str, attempt: int) -> None:
        self._breaker.failed()
        log.warning("embedding_service_failed", reason=reason, attempt=attempt + 1, tries=self._tries)


def retry_after_seconds(headers: httpx.Headers) -> float | None:
    """Seconds the service asks to wait, from retry-after-ms (Azure) or retry-after in either of its forms."""
    try:
        if (milliseconds := headers.get("retry-after-ms")) is not None:
            return max(0.0, float(milliseconds) / 1000)
        if (value := headers.get("retry-after")) is None:
            return None
        if value.strip().isdigit():
            return float(value)
        # A date is measured from the answer's own date, so no clock of ours (or its error) plays a part.
        wait = parsedate_to_datetime(value) - parsedate_to_datetime(headers["date"])
        return max(0.0, wait.total_seconds())
    except (ValueError, TypeError, KeyError, OverflowError):
        return None
