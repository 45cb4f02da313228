"""A deterministic embedder for tests: it knows which words two texts share, and nothing of what they mean.

Each word adds or subtracts 1 at four places of the vector, chosen by a stable hash of the word.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from .provider import ModelIdentity, Vectors, Window, checked, normalised, spans

WINDOW_WORDS = 256
OVERLAP_WORDS = 32
PLACES = 4
"""Coordinates a word touches: enough that a chance collision of two words counts for little."""

_word = re.compile(r"\w+")


class HashingProvider:
    """Bag of lower-cased words, hashed into ``dimensions`` signed places, length 1."""

    def __init__(self, dimensions: int = 384) -> None:
        self._identity = ModelIdentity("hashing", "b2", "fp32", dimensions)

    @property
    def identity(self) -> ModelIdentity:
        return self._identity

    @property
    def max_batch_length(self) -> int:
        return 1_000_000

    @property
    def padding_cost(self) -> float:
        return 0.0

    @property
    def tokenizer(self) -> None:
        return None

    def windows(self, text: str, *, is_query: bool = False) -> list[Window]:
        """Windows of 256 words, 32 shared; a text without words is one window of its own hash."""
        # The fallback keeps its "\0", which no word holds: such a text equals only itself.
        words = _word.findall(text.lower()) or ["\0" + text]
        return [
            Window(stop - start, words[start:stop]) for start, stop in spans(len(words), WINDOW_WORDS, OVERLAP_WORDS)
        ]

    def encode(self, windows: Sequence[Window]) -> Vectors:
        dimensions = self._identity.dimensions
        places: list[int] = []
        signs: list[int] = []
        for row, window in enumerate(windows):
            offset = row * dimensions
            for word in window.payload:
                for value in _hashes(word):
                    places.append(offset + (value >> 1) % dimensions)
                    signs.append(1 if value & 1 else -1)
        flat = np.bincount(places, weights=signs, minlength=len(windows) * dimensions).astype(np.float64)
        vectors = flat.reshape(len(windows), dimensions)
        for row in np.flatnonzero(~vectors.any(axis=1)).tolist():
            vectors[row, 0] = 1.0  # the words cancelled each other out; rare, but a vector must be valid
        return checked(normalised(vectors), dimensions, len(windows))

    def close(self) -> None:
        """Nothing is held."""


@lru_cache(maxsize=16384)
def _hashes(word: str) -> tuple[int, ...]:
    digest = hashlib.blake2b(word.encode("utf-8", "surrogatepass"), digest_size=4 * PLACES).digest()
    return tuple(int.from_bytes(digest[i : i + 4], "big") for i in range(0, len(digest), 4))
