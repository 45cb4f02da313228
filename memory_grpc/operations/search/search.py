"""Search: reads and embeds the query, ranks a tenant's memory, and fetches what was found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import asdict, replace
from itertools import islice
from uuid import UUID
from zoneinfo import ZoneInfo

from memory_grpc import positions
from memory_grpc.accounts import ACCOUNTS
from memory_grpc.domain.language import text_config
from memory_grpc.domain.policy import Policy
from memory_grpc.domain.search import Hit, Ranked, SearchRequest, SearchResult
from memory_grpc.errors import ModelChanged
from memory_grpc.observability import metrics
from memory_grpc.offload import by_size
from memory_grpc.operations.indexes.graphs import Graphs
from memory_grpc.operations.models.models import Model, Models
from memory_grpc.operations.policy.policies import Policies
from memory_grpc.operations.search.fetch import Fetched
from memory_grpc.operations.search.rerank import Rerank
from memory_grpc.operations.search.select import selected
from memory_grpc.ranking import Participants, plan_query
from memory_grpc.ranking.lexemes import is_unspaced
from memory_grpc.store import clock, filters, lexical, messages, revisions, word_index
from memory_grpc.store.database import Plan, Transaction
from memory_grpc.store.filters import Filter
from memory_grpc.store.rank_request import HybridQuery, Ranking, RankRequest
from memory_grpc.store.replicas import Reader

# To look for dates in a character of a query takes so many times what most work on a byte does.
_READING = 16


class Search:
    """What is ranked and fetched is read in one transaction, at one moment."""

    def __init__(
        self,
        database: Reader,
        models: Models,
        policies: Policies,
        graphs: Graphs,
        *,
        word_config: str,
        max_answer_bytes: int,
        rerank: Rerank | None = None,
    ) -> None:
        self._database = database
        self._models = models
        self._policies = policies
        self._graphs = graphs
        self._word_config = word_config
        self._most_bytes = max_answer_bytes
        self._rerank = rerank

    async def __call__(self, request: SearchRequest) -> SearchResult:
        """The best ``top_k`` hits, best first; none when nothing passes the filters.

        Raises AnswerTooLarge, EmbeddingUnavailable, QueueFull, StoreUnavailable, DeadlineExceeded.
        """
        while True:
            model = await self._models.of(request.tenant_id)
            try:
                result = await self._with(request, model, in_use=True)
            except ModelChanged:
                positions.require(positions.UNKNOWN)  # a replica may not have heard of the change
                continue
            metrics.SEARCHES.labels(result.ranking, "yes" if result.exact else "no").inc()
            return result

    async def with_model(self, request: SearchRequest, model: Model) -> SearchResult:
        """The same over the vectors of a model that need not be in use, to compare it with another; not reranked, which
        would hide what the models make of it."""
        return await self._with(request, model, in_use=False)

    async def _with(self, request: SearchRequest, model: Model, *, in_use: bool) -> SearchResult:
        """Raises ModelChanged where the model is said to be in use and was not at the end of the ranking."""
        policy = await self._policies.get(request.tenant_id)
        ranking = request.ranking or policy.ranking
        hybrid = await self._read(request, policy) if ranking == "hybrid" else None
        text = hybrid.plan.embedding_text if hybrid else request.query
        vector = await model.embedder.embed_query(text, tenant=request.tenant_id)
        filter_ = filters.compiled(request.filters)
        rerank = self._rerank if hybrid and hybrid.parts.rerank and in_use else None
        pool = rerank.pool(request) if rerank else request
        wanted = RankRequest(
            tenant_id=request.tenant_id,
            model_id=model.id,
            vector=vector,
            filter=filter_,
            weights=policy.score,
            top_k=pool.top_k,
            enough=request.top_k,  # a reranker reads what there is
            has_graph=self._graphs.usable(request.tenant_id, model.id),
            is_counted=request.explain,
            hybrid=hybrid,
        )
        # A plan for any tenant suits a scan of one; what is found by a tenant's own indexes, or by a filter's, needs
        # its own.
        is_narrow = filter_.is_narrowing or filter_.candidate_limit is not None
        plan: Plan = "each" if wanted.has_graph or is_narrow else "auto"
        as_of, is_reranked = request.filters.as_of, None
        async with self._reading(request, plan) as tx:
            if await revisions.look_back(tx, request.tenant_id, as_of):
                wanted = wanted.without_indexes()
            ranked = await selected(tx, pool, wanted)
            if rerank is None or hybrid is None:
                fetched = await self._fetched(tx, request, wanted, ranked)
            else:
                now = await clock.now_deferred(tx)
                passages = await rerank.passages(tx, request.tenant_id, ranked)
                as_of = as_of or await now.get()
        if rerank and hybrid:  # nobody's connection is held while a model reads
            again = await rerank(request.query, ranked, passages, policy.score, hybrid.parts.rerank)
            is_reranked = again is not None
            ranked = _first(again or ranked, request)
            async with self._reading(request, plan) as tx:
                await revisions.look_back(tx, request.tenant_id, request.filters.as_of)
                if request.longest is not None:
                    ranked = await _still_passing(tx, request.tenant_id, ranked, wanted.filter)
                fetched = await self._fetched(tx, request, wanted, ranked)
        if in_use:
            self._models.check_read(request.tenant_id, model, await fetched.model.get(), is_of_copy=tx.is_of_copy)
        hits = await fetched.hits()
        return SearchResult(
            hits=hits,
            ranking=ranking,
            exact=ranked.exact,
            candidates=ranked.candidates if request.explain else 0,
            weights=_weights(policy, hybrid),
            model=model.embedder.identity.name,
            as_of=as_of or await fetched.now.get(),
            pending=await fetched.pending.get(),
            too_long=_unfetched(fetched.ranked, hits) if request.longest is not None else (),
            relevance=max((hit.answer for hit in ranked.hits), default=None),
            reranked=is_reranked,
        )

    async def _fetched(self, tx: Transaction, request: SearchRequest, wanted: RankRequest, ranked: Ranking) -> Fetched:
        return await Fetched.ask(tx, request, wanted, _likely(ranked.hits, request.min_relevance), self._most_bytes)

    def _reading(self, request: SearchRequest, plan: Plan) -> AbstractAsyncContextManager[Transaction]:
        return self._database.transaction(tenant=request.tenant_id, plan=plan, pipelined=True, at_one_moment=True)

    async def _read(self, request: SearchRequest, policy: Policy) -> HybridQuery:
        """The query, read: which participants and dates it names decides what is embedded and matched."""
        tenant_id = request.tenant_id
        parts = policy.hybrid_unspaced if is_unspaced(request.query) else policy.hybrid
        async with self._database.transaction(tenant=tenant_id, pipelined=True) as tx:
            await revisions.look_back(tx, tenant_id, request.filters.as_of)
            participants = await lexical.participants(tx, tenant_id)
            words = await word_index.query_words(
                tx, tenant_id, self._word_config, request.query, parts.shares, text_config(request.language)
            )
        names, roles, now = await participants.get()
        as_of = request.filters.as_of or now
        who = Participants(names, roles)
        size = _READING * len(request.query) + who.characters
        zone = request.zone or ZoneInfo(policy.time_zone)
        plan = await by_size(size, plan_query, request.query, who, as_of, parts, zone)
        config, known = await words.get()
        ACCOUNTS.charge("query_words", len(known.words), tenant_id)
        return HybridQuery(plan, known, parts, config, as_of)


async def _still_passing(tx: Transaction, tenant_id: str, ranking: Ranking, filter_: Filter) -> Ranking:
    """Without what was deleted or changed since it was ranked: that is not left out for its length."""
    passing = await messages.passing(tx, tenant_id, [hit.message_id for hit in ranking.hits], filter_)
    return replace(ranking, hits=tuple(hit for hit in ranking.hits if hit.message_id in passing))


def _first(ranking: Ranking, request: SearchRequest) -> Ranking:
    """Of a larger pool the hits that the request asks for."""
    good = (hit for hit in ranking.hits if request.min_score is None or hit.score >= request.min_score)
    return replace(ranking, hits=tuple(islice(good, request.top_k)))


def _likely(ranked: tuple[Ranked, ...], least: float | None) -> tuple[Ranked, ...]:
    """Those that are likely enough to answer."""
    return ranked if least is None else tuple(hit for hit in ranked if hit.answer >= least)


def _unfetched(ranked: Sequence[Ranked], hits: Sequence[Hit]) -> tuple[UUID, ...]:
    """What was found, and has no message here: its text is too long."""
    fetched = {hit.message.id for hit in hits}
    return tuple(hit.message_id for hit in ranked if hit.message_id not in fetched)


def _weights(policy: Policy, hybrid: HybridQuery | None) -> Mapping[str, float]:
    weights: dict[str, float] = asdict(policy.score)
    return weights | {f"relevance.{name}": float(w) for name, w in asdict(hybrid.parts).items()} if hybrid else weights
