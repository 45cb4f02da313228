"""Long texts in windows of text, for models that are elsewhere and take no tokens."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from itertools import accumulate

from tokenizers import Tokenizer

from memory_grpc.errors import StartupError

from .prompts import Prompts
from .provider import Window, spans
from .tokens import OVERLAP_TOKENS

CHARACTERS_A_TOKEN = 3
"""Reckoned with where there is no tokenizer: for Latin letters on the safe side. Of all others it is 1."""
FIRST_WIDE = "\u0250"
OVERLAP_CHARACTERS = 1_000
MARGIN_TOKENS = 4
"""Cut out of a text, a piece may take some tokens more than it had inside, and there are special ones around it."""


class TextWindows:
    """Cuts by the tokens of a tokenizer, or by characters."""

    def __init__(self, tokenizer: Tokenizer | None, max_tokens: int, prompts: Prompts) -> None:
        """Raises StartupError where a prompt would leave less than half of a window."""
        self.tokenizer = tokenizer
        self._prompts = prompts
        self._tokens = max_tokens - MARGIN_TOKENS
        if any(self._count(prompt) > self._tokens // 2 for prompt in (prompts.query, prompts.document)):
            raise StartupError("A prompt of the embedding model takes more than half of MEMORY_EMBEDDING_MAX_TOKENS.")

    def windows(self, text: str, *, is_query: bool) -> list[Window]:
        """Windows whose payload is the prompt and a piece of the text; their length is in characters."""
        prompt = self._prompts.of(is_query=is_query)
        pieces = self._by_characters(prompt, text) if self.tokenizer is None else self._by_tokens(prompt, text)
        return [Window(max(len(piece), 1), piece, is_query) for piece in (prompt + piece for piece in pieces)]

    def _by_characters(self, prompt: str, text: str) -> Iterator[str]:
        """As much as fits, from place to place: a text may be denser at its end than at its beginning."""
        room = (self._tokens - self._count(prompt)) * CHARACTERS_A_TOKEN
        upto = [0, *accumulate(map(_thirds, text))]
        start = 0
        while True:
            stop = max(bisect_right(upto, upto[start] + room) - 1, start + 1)
            yield text[start:stop]
            if stop >= len(text):
                return
            start = stop - min(OVERLAP_CHARACTERS, (stop - start) // 4)

    def _by_tokens(self, prompt: str, text: str) -> Iterator[str]:
        assert self.tokenizer is not None
        room = self._tokens - self._count(prompt)
        places = self.tokenizer.encode(text, add_special_tokens=False).offsets
        if len(places) <= room:
            yield text
            return
        for start, stop in spans(len(places), room, min(OVERLAP_TOKENS, room // 4)):
            yield text[places[start][0] : places[stop - 1][1]]

    def _count(self, text: str) -> int:
        if self.tokenizer is None:
            return -(-sum(map(_thirds, text)) // CHARACTERS_A_TOKEN)
        return len(self.tokenizer.encode(text, add_special_tokens=False).ids)


def _thirds(character: str) -> int:
    """What a character is reckoned with, in thirds of a token."""
    return 1 if character < FIRST_WIDE else CHARACTERS_A_TOKEN
