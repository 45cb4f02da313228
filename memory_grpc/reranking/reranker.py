"""What a reranker must offer, whoever runs it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

_DIGITS = 6


class RerankFailed(Exception):
    """The reranker has no answer. Its words never hold content, a key or what a service said."""


class RerankPaused(RerankFailed):
    """It failed so often that it is not asked for a moment. What it failed with was raised before."""


class RerankLate(RerankFailed):
    """It has none in time."""


class Reranker(Protocol):
    """A model that reads query and message together."""

    async def scores(self, query: str, texts: Sequence[str], seconds: float) -> list[float]:
        """How well each text answers the query, 0 to 1, in order: the same for the same query and texts.

        RerankLate when it takes longer than ``seconds``; RerankFailed for every other reason.
        """

    async def close(self) -> None:
        """Release what is held."""


def fitted(scores: Sequence[float], count: int) -> list[float]:
    """``count`` scores between 0 and 1; rounded, since the last digits of a model's vary with what is read beside.

    RerankFailed where they are not so many, or one is not finite.
    """
    if len(scores) != count or not all(map(math.isfinite, scores)):
        raise RerankFailed("The reranker returned scores that cannot be read.")
    return [round(min(1.0, max(0.0, score)), _DIGITS) for score in scores]
