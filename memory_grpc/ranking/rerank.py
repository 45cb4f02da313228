"""The hybrid score with one more term: what a reranker, who reads query and message together, makes of the best ones.

Pure: who computes the values, and how long that may take, is not known here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from memory_grpc.ranking.fusion import Fused, Part, best_first

POOL = 50
"""So many of the best are read again."""


def reranked(
    hits: Sequence[Fused],
    values: Mapping[bytes, float],
    weight: float,
    *,
    similarity: float,
    importance: float,
    decay: float,
) -> list[Fused]:
    """The hits of a search by the score with weight · value added to their relevance, best first.

    ``values`` are 0 to 1, by message id. Hits without one were not read: they come after those that were, so that who
    asks for more hits sees the same ones first. Nothing can make a relevance less, so the best of all that pass is the
    best of these, or what was the best before.
    """
    lifted = [hit.raw_relevance + weight * values.get(hit.message_id, 0.0) for hit in hits]
    best = max([*lifted, *(hit.best_relevance for hit in hits[:1])], default=0.0)

    def again(hit: Fused, relevance: float) -> Fused:
        share = max(relevance, 0.0) / best if best > 0 else 0.0
        return hit._replace(
            score=similarity * share + importance * hit.importance + decay * hit.decay,
            raw_relevance=relevance,
            best_relevance=best,
            parts=(*hit.parts, Part("rerank", weight, values.get(hit.message_id, 0.0))),
        )

    found = [again(hit, relevance) for hit, relevance in zip(hits, lifted, strict=True)]
    read = [hit for hit in found if hit.message_id in values]
    return [*best_first(read), *best_first(hit for hit in found if hit.message_id not in values)]
