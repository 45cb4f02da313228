"""Text to token windows, and windows to one padded batch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from memory_grpc.errors import StartupError

from .prompts import Prompts
from .provider import Window, spans

OVERLAP_TOKENS = 32
"""Tokens that neighbouring windows share, so that a fact cut by one edge is whole in the other window."""

Ids = npt.NDArray[np.int64]


class TokenWindows:
    """Cuts texts for a model that reads at most ``max_length`` tokens, special tokens included.

    The tokenizer's own truncation and padding are switched off: the packaged tokenizer.json of all-MiniLM-L6-v2 cuts
    and pads to 128 tokens, where sentence-transformers reads 256 and pads to the batch.
    """

    def __init__(self, tokenizer: Tokenizer, max_length: int, pad_id: int, prompts: Prompts | None = None) -> None:
        """StartupError when a prompt takes more than half of a window."""
        tokenizer.no_truncation()
        tokenizer.no_padding()
        self._tokenizer = tokenizer
        self._pad_id = pad_id
        # Special tokens frame the text: [CLS] text [SEP] and its likes. The frame is learnt once, not per text, since a
        # text may itself spell a special token.
        mask = tokenizer.encode("a").special_tokens_mask
        self._prefix = mask.index(0)
        self._suffix = len(mask) - self._prefix - mask.count(0)
        self._room = max_length - self._prefix - self._suffix
        self._prompts = prompts or Prompts()
        for prompt in (self._prompts.query, self._prompts.document):
            if 2 * (taken := len(self._tokenizer.encode(prompt, add_special_tokens=False).ids)) > self._room:
                raise StartupError(
                    f"A prompt of {taken} tokens is too long: the embedding model reads at most {max_length}."
                )

    @property
    def tokenizer(self) -> Tokenizer:
        """What cuts texts into tokens, without a limit."""
        return self._tokenizer

    def prompt_length(self, *, is_query: bool) -> int:
        """Tokens of the prompt and of what stands before it."""
        prompt = self._prompts.of(is_query=is_query)
        return len(self._tokenizer.encode(prompt).ids) - self._suffix if prompt else 0

    def windows(self, text: str, *, is_query: bool = False) -> list[Window]:
        """Windows whose payload is an int64 array of token ids: special tokens around the prompt and a piece."""
        prompt = self._prompts.of(is_query=is_query)
        # In one go, as sentence-transformers does it: a prompt's last blank may be part of the text's first token.
        encoding = self._tokenizer.encode(prompt + text)
        ids = np.array(encoding.ids, dtype=np.int64)
        if len(ids) <= self._room + self._prefix + self._suffix:
            return [Window(len(ids), ids, is_query)]
        start, end = self._prefix, len(ids) - self._suffix
        if prompt:
            start = next(at for at, (_, stop) in enumerate(encoding.offsets) if stop > len(prompt))
        before, body, after = ids[:start], ids[start:end], ids[end:]
        room = self._room - (start - self._prefix)
        pieces = (body[first:last] for first, last in spans(len(body), room, min(OVERLAP_TOKENS, room // 4)))
        framed = (np.concatenate((before, piece, after)) for piece in pieces)
        return [Window(len(piece), piece, is_query) for piece in framed]

    def padded(self, windows: Sequence[Window]) -> tuple[Ids, Ids]:
        """Token ids ``[n, longest]`` and the attention mask of the same shape (1 = token, 0 = padding)."""
        longest = max(window.length for window in windows)
        ids = np.full((len(windows), longest), self._pad_id, dtype=np.int64)
        for row, window in enumerate(windows):
            ids[row, : window.length] = window.payload
        lengths = np.array([window.length for window in windows])
        return ids, (np.arange(longest) < lengths[:, None]).astype(np.int64)
