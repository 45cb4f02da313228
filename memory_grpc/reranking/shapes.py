"""What services that rerank ask for and answer, each a little otherwise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from memory_grpc.whole_answer import Answer

from .reranker import RerankFailed, fitted


@dataclass(frozen=True, slots=True)
class Shape:
    """A service's fields: what texts are called, what is sent besides, where the results stand and what their score is
    called. ``results`` None: they are the whole answer."""

    texts: str = "documents"
    has_model: bool = True
    besides: Mapping[str, Any] = field(default_factory=dict)
    results: str | None = "results"
    score: str = "relevance_score"

    def body(self, model: str, query: str, texts: Sequence[str]) -> dict[str, Any]:
        """A request for all scores."""
        named = {"model": model} if self.has_model else {}
        return {**named, "query": query, self.texts: list(texts), **self.besides}

    def scores(self, answer: Answer, count: int) -> list[float]:
        """An answer's scores, in the order asked; RerankFailed when it is malformed."""
        try:
            said = answer.json()
            rows = said if self.results is None else said[self.results]
            found = {row["index"]: row[self.score] for row in rows}
            # float() would take "0.5" and true for numbers, too.
            if not {int, float}.issuperset(map(type, found.values())):
                raise ValueError
            return fitted([float(found[at]) for at in range(len(rows))], count)
        except (ValueError, KeyError, TypeError, OverflowError):
            raise RerankFailed("The reranking service returned an answer that cannot be read.") from None


SHAPES: Mapping[str, Shape] = {
    # Cohere v2, and those that copy it: vLLM, LiteLLM, Infinity.
    "cohere": Shape(),
    "jina": Shape(besides={"return_documents": False}),
    "tei": Shape("texts", has_model=False, besides={"truncate": True}, results=None, score="score"),
    "voyage": Shape(results="data"),
}
