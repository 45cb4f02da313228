"""Measures the rankings of each tenant: over the whole, over a pool, and how many of the one's hits the other finds."""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asking
import numpy as np
from pgvector import HalfVector

from memory_grpc.ranking import Participants
from memory_grpc.store.database import Database, Transaction
from memory_grpc.store.hybrid import Hybrid
from memory_grpc.store.rank_request import Ranking
from memory_grpc.store.search import Semantic
from scaling.filling import CONFIG, MODEL, THRESHOLD
from scaling.synthetic import NAMES, NOW, Question

TOP_K = 10
RANKINGS = ("semantic", "hybrid")
BARE = b"""
select max(embedding <=> %(query)b::halfvec) from message_embeddings
where tenant_id = %(tenant_id)s and model_id = %(model_id)s
"""


@dataclass(slots=True)
class Measured:
    """Times in milliseconds of one ranking of one tenant, and the share of the exact hits that the pool found, question
    by question."""

    tenant: str
    messages: int
    ranking: str
    bare: list[float] = field(default_factory=list)
    exact: list[float] = field(default_factory=list)
    pool: list[float] = field(default_factory=list)
    recalls: list[float] = field(default_factory=list)
    calls: list[float] = field(default_factory=list)
    """Of whole searches over gRPC, the model included."""

    @property
    def served(self) -> list[float]:
        """The times of what serves a tenant of this size."""
        return self.pool or self.exact

    @property
    def recall(self) -> float:
        """Of all questions; 1 where the exact statement serves."""
        return statistics.fmean(self.recalls) if self.recalls else 1.0


class Truth:
    """The exact hits of each question, kept in a file: over a million messages the exact hybrid statement takes
    seconds."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._hits: dict[str, list[str]] = json.loads(file.read_text()) if file.exists() else {}

    def get(self, key: str) -> set[str] | None:
        """What was put; None when nothing was."""
        return set(self._hits[key]) if key in self._hits else None

    def put(self, key: str, hits: set[str]) -> None:
        """Keeps the hits of a question."""
        self._hits[key] = sorted(hits)

    def save(self) -> None:
        """Writes the file."""
        self._file.write_text(json.dumps(self._hits))


Ranked = Callable[[Transaction], Awaitable[Ranking | None]]


def rankings(tenant: str, ranking: str, question: Question) -> tuple[Ranked, Ranked]:
    """The exact way, and that over a pool."""

    async def ranker(tx: Transaction) -> Semantic | Hybrid:
        config = CONFIG if ranking == "hybrid" else None
        request = await asking.request(
            tx,
            tenant,
            question.text,
            question.vector,
            NOW,
            config=config,
            participants=Participants(NAMES, ()),
            top_k=TOP_K,
        )
        return Hybrid(tx, request, request.hybrid) if request.hybrid else Semantic(tx, request)

    async def whole(tx: Transaction) -> Ranking | None:
        return await (await ranker(tx)).whole()

    async def pooled(tx: Transaction) -> Ranking | None:
        return await (await ranker(tx)).of_graph()

    return whole, pooled


async def measure(
    database: Database,
    tenant: str,
    messages: int,
    ranking: str,
    questions: Sequence[Question],
    truth: Truth,
    timed_exact: int,
) -> Measured:
    """Asks every question of the pool, and as many as ``timed_exact`` of the exact statement too, which besides answers
    those whose truth is not known."""
    measured = Measured(tenant, messages, ranking)
    for number, question in enumerate(questions):
        exact, pool = rankings(tenant, ranking, question)
        key = f"{tenant}/{messages}/{ranking}/{question.text}"
        async with database.transaction(tenant=tenant, plan="each") as tx:
            if messages >= THRESHOLD:
                found = await _timed(tx, pool, measured.pool)
            if number < timed_exact:
                await _timed(tx, lambda tx, v=question.vector: _bare(tx, tenant, v), measured.bare)
            wanted = truth.get(key)
            if number < timed_exact or wanted is None:
                wanted = _ids(await _timed(tx, exact, measured.exact if number < timed_exact else []))
                truth.put(key, wanted)
            if messages >= THRESHOLD:
                hits = wanted if found is None else _ids(found)
                measured.recalls.append(len(hits & wanted) / max(1, len(wanted)))
    truth.save()
    return measured


async def warm(database: Database, tenant: str, messages: int, ranking: str, questions: Sequence[Question]) -> None:
    """Asks questions that are not measured: in production what a search reads is in memory."""
    for question in questions:
        exact, pool = rankings(tenant, ranking, question)
        async with database.transaction(tenant=tenant, plan="each") as tx:
            await (pool if messages >= THRESHOLD else exact)(tx)


async def _timed(tx: Transaction, call: Callable[[Transaction], Awaitable[Any]], times: list[float]) -> Any:
    started = time.perf_counter()
    result = await call(tx)
    times.append((time.perf_counter() - started) * 1000)
    return result


async def _bare(tx: Transaction, tenant: str, vector: Any) -> None:
    params = {"query": HalfVector(vector), "tenant_id": tenant, "model_id": MODEL}
    await (await tx._connection.execute(BARE, params)).fetchone()


def _ids(ranking: Ranking) -> set[str]:
    return {str(hit.message_id) for hit in ranking.hits}


def quantile(times: Sequence[float], share: float) -> float:
    """The time that this share of them stays below, in milliseconds."""
    return float(np.quantile(times, share))
