"""Long texts in windows of text, for models that are elsewhere and take no tokens."""

from __future__ import annotations

from collections.abc import Iterator

from tokenizers import Tokenizer

from .prompts import Prompts
from .provider import Window, spans
from .tokens import OVERLAP_TOKENS

CHARACTERS_A_TOKEN = 3
"""Reckoned with where there is no tokenizer: for English on the safe side. Of ideographs, kana and hangul it is 1."""
FIRST_WIDE = "\u2e80"
OVERLAP_CHARACTERS = 1_000
MARGIN_TOKENS = 4
"""Cut out of a text, a piece may take some tokens more than it had inside, and there are special ones around it."""


class TextWindows:
    """Cuts by the tokens of a tokenizer, or by characters."""

    def __init__(self, tokenizer: Tokenizer | None, max_tokens: int, prompts: Prompts) -> None:
        self.tokenizer = tokenizer
        self._prompts = prompts
        self._tokens = max_tokens

    def windows(self, text: str, *, is_query: bool) -> list[Window]:
        """Windows whose payload is the prompt and a piece of the text; their length is in characters."""
        prompt = self._prompts.of(is_query=is_query)
        pieces = self._by_characters(prompt, text) if self.tokenizer is None else self._by_tokens(prompt, text)
        return [Window(max(len(piece), 1), piece, is_query) for piece in (prompt + piece for piece in pieces)]

    def _by_characters(self, prompt: str, text: str) -> Iterator[str]:
        wide = sum(character >= FIRST_WIDE for character in text) / max(len(text), 1)
        room = _room(int(self._tokens / (wide + (1 - wide) / CHARACTERS_A_TOKEN)), len(prompt))
        for start, stop in spans(len(text), room, min(OVERLAP_CHARACTERS, room // 4)):
            yield text[start:stop]

    def _by_tokens(self, prompt: str, text: str) -> Iterator[str]:
        assert self.tokenizer is not None
        room = _room(self._tokens - MARGIN_TOKENS, self._count(prompt))
        places = self.tokenizer.encode(text, add_special_tokens=False).offsets
        if len(places) <= room:
            yield text
            return
        for start, stop in spans(len(places), room, min(OVERLAP_TOKENS, room // 4)):
            yield text[places[start][0] : places[stop - 1][1]]

    def _count(self, text: str) -> int:
        assert self.tokenizer is not None
        return len(self.tokenizer.encode(text, add_special_tokens=False).ids)


def _room(size: int, prompt: int) -> int:
    """What a prompt leaves of a window: half of it at least."""
    return max(size - prompt, size // 2)
