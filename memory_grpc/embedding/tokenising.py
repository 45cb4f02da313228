"""Texts to windows without holding up the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from .provider import EmbeddingProvider, Window

INLINE_CHARACTERS = 2_000
"""Texts up to this long in all are tokenised on the event loop (1 to 2 ms), longer ones in a thread."""

PORTION_CHARACTERS = 100_000
"""What a call has tokenised at a time: about what the longest message takes."""


class Tokenising:
    """Cuts texts for a provider: short ones at once, long ones in a thread, where calls take turns."""

    def __init__(self, provider: EmbeddingProvider) -> None:
        self._provider = provider
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="embedding-tokenise")

    async def windows(self, texts: Sequence[str], *, is_query: bool = False) -> list[list[Window]]:
        """The windows of each text, in order."""
        if sum(len(text) for text in texts) <= INLINE_CHARACTERS:
            return _cut(self._provider, texts, is_query)
        windows: list[list[Window]] = []
        for portion in _portions(texts):  # one after the other, so that calls take turns
            run = asyncio.get_running_loop().run_in_executor(self._thread, _cut, self._provider, portion, is_query)
            windows += await run
        return windows

    def close(self) -> None:
        """Ends the thread, when it has done what it was given."""
        self._thread.shutdown()


def _cut(provider: EmbeddingProvider, texts: Sequence[str], is_query: bool) -> list[list[Window]]:
    return [provider.windows(text, is_query=is_query) for text in texts]


def _portions(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    """The texts in order, some at a time: as many as PORTION_CHARACTERS hold, or one."""
    start = characters = 0
    for end, text in enumerate(texts):
        characters += len(text)
        if characters > PORTION_CHARACTERS and end > start:
            yield texts[start:end]
            start, characters = end, len(text)
    yield texts[start:]
