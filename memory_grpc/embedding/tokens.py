"""Text to token windows, and windows to one padded batch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from tokenizers import Tokenizer

from .provider import Window, spans

OVERLAP_TOKENS = 32
"""Tokens that neighbouring windows share, so that a fact cut by one edge is whole in the other window."""

Ids = npt.NDArray[np.int64]


class TokenWindows:
    """Cuts texts for a model that reads at most ``max_length`` tokens, special tokens included.

    The tokenizer's own truncation and padding are switched off: the packaged tokenizer.json of all-MiniLM-L6-v2 cuts
    and pads to 128 tokens, where sentence-transformers reads 256 and pads to the batch.
    """

    def __init__(self, tokenizer: Tokenizer, max_length: int, pad_id: int) -> None:
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
        self._overlap = min(OVERLAP_TOKENS, self._room // 4)

    @property
    def tokenizer(self) -> Tokenizer:
        """What cuts texts into tokens, without a limit."""
        return self._tokenizer

    def windows(self, text: str) -> list[Window]:
        """Windows whose payload is an int64 array of token ids with the special tokens around it."""
        ids = np.array(self._tokenizer.encode(text).ids, dtype=np.int64)
        if len(ids) <= self._room + self._prefix + self._suffix:
            return [Window(len(ids), ids)]
        end = len(ids) - self._suffix
        prefix, body, suffix = ids[: self._prefix], ids[self._prefix : end], ids[end:]
        pieces = (body[start:stop] for start, stop in spans(len(body), self._room, self._overlap))
        return [Window(len(framed), framed) for framed in (np.concatenate((prefix, p, suffix)) for p in pieces)]

    def padded(self, windows: Sequence[Window]) -> tuple[Ids, Ids]:
        """Token ids ``[n, longest]`` and the attention mask of the same shape (1 = token, 0 = padding)."""
        longest = max(window.length for window in windows)
        ids = np.full((len(windows), longest), self._pad_id, dtype=np.int64)
        for row, window in enumerate(windows):
            ids[row, : window.length] = window.payload
        lengths = np.array([window.length for window in windows])
        return ids, (np.arange(longest) < lengths[:, None]).astype(np.int64)
