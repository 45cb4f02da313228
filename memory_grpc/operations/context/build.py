"""Build a context: what a prompt needs to know of a tenant's memory, within a budget of tokens."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from memory_grpc import filtering
from memory_grpc.domain.context import Context, ContextRequest, Missed, Part
from memory_grpc.domain.messages import StoredMessage
from memory_grpc.domain.search import Hit, SearchFilters, SearchRequest, SearchResult
from memory_grpc.embedding.token_counts import TokenCounter
from memory_grpc.offload import in_thread
from memory_grpc.operations.context.render import line
from memory_grpc.operations.search.search import Search
from memory_grpc.ranking.budget import Candidate, Filled, Reason, fill
from memory_grpc.store import context, filters, messages, revisions
from memory_grpc.store.replicas import Reader

# Of so many tokens one memory is looked for: twice or three times as many as fit, within what a graph gives.
_TOKENS_A_HIT = 5
_LEAST_HITS, _MOST_HITS = 50, 250
_MOST_PINNED = 100
# No text has so many bytes in each of its tokens: what is longer does not fit, and is not fetched.
_LONGEST_TOKEN = 16
# Tokens that are counted for each token of the budget, the best first; so much longer text does not fit anyway.
_COUNTED = 16
_BEST_MISSED = 10


class BuildContext:
    """One search; then the newest, the pinned and the neighbours in one round trip, at the search's moment."""

    def __init__(self, database: Reader, search: Search, counter: TokenCounter) -> None:
        self._database = database
        self._search = search
        self._counter = counter

    async def __call__(self, request: ContextRequest) -> Context:
        """What fits, in the order it was said; empty when nothing is known.

        Raises EmbeddingUnavailable, QueueFull, StoreUnavailable, DeadlineExceeded.
        """
        terms = [] if request.where is None else [request.where]
        if request.user_id is not None:
            terms.append(filtering.equals("user_id", request.user_id))
        where = filtering.all_of(terms) if terms else None
        longest = _LONGEST_TOKEN * request.max_tokens
        found = await self._search(
            SearchRequest(
                tenant_id=request.tenant_id,
                query=request.query,
                filters=SearchFilters(where=where, as_of=request.as_of),
                top_k=min(max(request.max_tokens // _TOKENS_A_HIT, _LEAST_HITS), _MOST_HITS),
                ranking=request.ranking,
                neighbours=request.neighbours,
                zone=request.zone,
                language=request.language,
                longest=longest,
            )
        )
        read = await self._read(request, where, found)
        return await in_thread(self._filled, request, found, read)

    async def _read(self, request: ContextRequest, where: filtering.Node | None, found: SearchResult) -> _Read:
        """The messages that lead, and which of the neighbours pass."""
        tenant_id, turns = request.tenant_id, request.recent_turns
        filter_ = filters.compiled(SearchFilters(where=where, as_of=found.as_of))
        around = {turn.id for hit in found.hits for side in hit.neighbours or () for turn in side}
        async with self._database.transaction(tenant=tenant_id, plan="each", pipelined=True, at_one_moment=True) as tx:
            await revisions.look_back(tx, tenant_id, request.as_of)
            pinned = await context.pinned(tx, tenant_id, request.user_id, filter_, _MOST_PINNED)
            recent = None
            if turns and request.conversation_id is not None:
                recent = await context.newest_of_conversation(tx, tenant_id, request.conversation_id, filter_, turns)
            elif turns and request.user_id is not None:
                recent = await context.newest_of_user(tx, tenant_id, request.user_id, filter_, turns)
            passing = await messages.found(tx, tenant_id, sorted(around), filter_) if around else None
            return _Read(
                pinned=await pinned.get(),
                recent=await recent.get() if recent else [],
                around=await passing.get() if passing else {},
            )

    def _filled(self, request: ContextRequest, found: SearchResult, read: _Read) -> Context:
        """What goes in; works on texts of some megabytes at most."""
        hits = [hit for hit in found.hits if request.min_score is None or hit.ranked.score >= request.min_score]
        known = {m.id: m for m in (*read.pinned, *read.recent, *read.around.values(), *(h.message for h in hits))}
        lines, tokens = self._lines(request.max_tokens, known.values())

        def candidate(message: StoredMessage, reason: Reason, relevance: float = 0.0) -> Candidate:
            return Candidate(message.id, message.content, tokens.get(message.id), reason, relevance)

        def memory(hit: Hit) -> Candidate:
            around = [candidate(turn, "neighbour") for turn in _nearest(hit) if turn.id in read.around]
            return replace(candidate(hit.message, "relevant", hit.ranked.relevance), around=tuple(around))

        filled = fill(
            [candidate(m, "pinned") for m in read.pinned] + [candidate(m, "recent") for m in read.recent],
            [memory(hit) for hit in hits],
            budget=request.max_tokens,
            leading_budget=int(request.recent_share * request.max_tokens),
            question=request.query,
        )
        text, total = self._rendered(request.max_tokens, filled, known, lines)
        scores = {hit.message.id: hit.ranked.score for hit in found.hits}
        parts = [Part(known[c.id], c.reason, scores.get(c.id), c.tokens or 0) for c in filled.kept]
        kept = {part.message.id for part in parts}
        missed = [Missed(c.id, c.reason, c.tokens) for c in filled.too_long]
        missed += [Missed(id_, "relevant", None) for id_ in found.too_long]
        return Context(
            parts=tuple(sorted(parts, key=lambda part: (part.message.created_at, part.message.id))),
            text=text,
            total_tokens=total,
            tokenizer=self._counter.name,
            ranking=found.ranking,
            as_of=found.as_of,
            pending=found.pending,
            too_long=len(missed),
            repeated_text=len(filled.repeated),
            low_score=len({hit.message.id for hit in found.hits} - {hit.message.id for hit in hits} - kept),
            best_missed=tuple(missed[:_BEST_MISSED]),
            reranked=found.reranked,
        )

    def _lines(self, budget: int, found: Iterable[StoredMessage]) -> tuple[dict[UUID, str], dict[UUID, int]]:
        """What messages look like, and the tokens of each, a line break included; none of those past counting."""
        lines: dict[UUID, str] = {}
        left = _COUNTED * _LONGEST_TOKEN * budget
        for message in found:
            size = len(message.content.encode())
            if size <= min(left, _LONGEST_TOKEN * budget):
                lines[message.id] = line(message)
                left -= size
        counts = self._counter.counts([f"{one}\n" for one in lines.values()])
        return lines, dict(zip(lines, counts, strict=True))

    def _rendered(
        self, budget: int, filled: Filled, known: Mapping[UUID, StoredMessage], lines: Mapping[UUID, str]
    ) -> tuple[str, int]:
        """The text, and its tokens; what was taken last is let go where together they are more than apart."""
        while True:
            ordered = sorted((known[c.id] for c in filled.kept), key=lambda m: (m.created_at, m.id))
            text = "\n".join(lines[message.id] for message in ordered)
            (total,) = self._counter.counts([text])
            if total <= budget or not filled.kept:
                return text, total
            filled.too_long.append(filled.kept.pop())


@dataclass(frozen=True, slots=True)
class _Read:
    """What is known besides the hits: ``around`` are the neighbours that pass."""

    pinned: Sequence[StoredMessage]
    recent: Sequence[StoredMessage]
    around: Mapping[UUID, StoredMessage]


def _nearest(hit: Hit) -> list[StoredMessage]:
    """The turns around a hit: the one before, the one after, the one before that …"""
    before, after = hit.neighbours or ([], [])
    sides = (before[::-1], after)
    return [side[n] for n in range(max(map(len, sides))) for side in sides if n < len(side)]
