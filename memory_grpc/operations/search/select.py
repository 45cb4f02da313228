"""Which of the ranked messages are hits: those that are good enough, not excluded, and of equal texts the best one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from memory_grpc.domain.search import Ranked, SearchRequest
from memory_grpc.store import messages
from memory_grpc.store.database import Transaction
from memory_grpc.store.rank import rank
from memory_grpc.store.rank_request import ALL, Ranking, RankRequest

# Ranked beyond top_k, where some are expected to go.
_SPARE = 16
_GROWTH = 4


async def selected(tx: Transaction, request: SearchRequest, wanted: RankRequest) -> Ranking:
    """The best ``top_k`` that are selected. Where too many of the ranked go, more are ranked, until there are enough or
    no more."""
    reads_texts = request.distinct or request.exclude_query_text
    if not (reads_texts or request.exclude_message_ids or request.min_score is not None):
        return await rank(tx, wanted)
    most = request.top_k + len(request.exclude_message_ids) + (_SPARE if reads_texts else 0)
    while True:
        ranking = await rank(tx, replace(wanted, top_k=most, enough=None))
        good = [hit for hit in ranking.hits if request.min_score is None or hit.score >= request.min_score]
        kept = await _kept(tx, request, good)
        # Behind a hit that is not good enough none is.
        if len(kept) >= request.top_k or len(good) < most or most >= ALL:
            return replace(ranking, hits=tuple(kept[: request.top_k]))
        most = min(ALL, _GROWTH * most)


async def _kept(tx: Transaction, request: SearchRequest, ranked: Sequence[Ranked]) -> list[Ranked]:
    left = [hit for hit in ranked if hit.message_id not in request.exclude_message_ids]
    if not (request.distinct or request.exclude_query_text):
        return left
    texts = await messages.texts(tx, request.tenant_id, [hit.message_id for hit in left], request.query)

    def kept() -> Iterator[Ranked]:
        seen: set[bytes] = set()
        for hit in left:
            text = texts.get(hit.message_id)
            if text is None or (request.exclude_query_text and text.is_the_same):
                continue
            if request.distinct and text.digest in seen:
                continue
            seen.add(text.digest)
            yield hit

    return list(kept())
