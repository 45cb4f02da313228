"""Query vectors that need not be computed again."""

from __future__ import annotations

from collections import OrderedDict

from . import stats
from .provider import ModelIdentity, Vectors


class QueryCache:
    """Least recently used go first. Keyed by the model too: another model's vector is never an answer."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._vectors: OrderedDict[tuple[ModelIdentity, str], Vectors] = OrderedDict()

    def get(self, model: ModelIdentity, text: str) -> Vectors | None:
        """The cached vector or None; counted as hit or miss."""
        vector = self._vectors.get((model, text))
        stats.QUERY_CACHE.labels("miss" if vector is None else "hit").inc()
        if vector is not None:
            self._vectors.move_to_end((model, text))
        return vector

    def put(self, model: ModelIdentity, text: str, vector: Vectors) -> None:
        """Keep a vector; it becomes read-only, since everyone who asks shares it."""
        vector.setflags(write=False)
        self._vectors[model, text] = vector
        while len(self._vectors) > self._size:
            self._vectors.popitem(last=False)

    def clear(self) -> None:
        """Forget everything."""
        self._vectors.clear()
