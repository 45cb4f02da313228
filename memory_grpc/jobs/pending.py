"""Embed pending: gives messages that were stored without an embedding their embedding."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from uuid import UUID

import structlog

from memory_grpc.errors import EmbeddingUnavailable, ModelChanged, QueueFull
from memory_grpc.observability import metrics
from memory_grpc.operations.models import Models
from memory_grpc.store import embeddings, jobs, reembed
from memory_grpc.store import models as model_table
from memory_grpc.store.database import EVERY_TENANT, Database
from memory_grpc.store.jobs import Job

BATCH = 256
LEASE_SECONDS = 60.0
_LONGEST_BACKOFF_SECONDS = 300.0

log = structlog.get_logger(__name__)


class EmbedPending:
    """Takes due jobs under a lease, so that several servers share the queue and a dead one's jobs come back."""

    def __init__(self, database: Database, models: Models, max_attempts: int) -> None:
        self._database = database
        self._models = models
        self._max_attempts = max_attempts

    async def __call__(self) -> int:
        """Works one batch of due jobs off; returns how many there were."""
        async with self._database.transaction(tenant=EVERY_TENANT) as tx:
            leased = await jobs.lease(tx, self._models.ids, BATCH, LEASE_SECONDS)
        groups: dict[str, list[Job]] = defaultdict(list)
        for job in leased:
            groups[job.tenant_id].append(job)
        for tenant_id, group in groups.items():
            # A text that the model chokes on must not hold up the others: what failed before goes alone.
            alone = [job for job in group if job.attempts > 1]
            together = [job for job in group if job.attempts == 1]
            for batch in ([together] if together else []) + [[job] for job in alone]:
                await self._embed(tenant_id, batch)
        return len(leased)

    async def _embed(self, tenant_id: str, batch: Sequence[Job]) -> None:
        while True:
            try:
                return await self._once(tenant_id, batch)
            except ModelChanged:  # between embedding and storing; nothing was stored
                continue

    async def _once(self, tenant_id: str, batch: Sequence[Job]) -> None:
        ids = [job.message_id for job in batch]
        async with self._database.transaction(tenant=tenant_id, plan="each") as tx:
            contents = await jobs.contents(tx, tenant_id, ids)
        try:
            model = await self._models.of(tenant_id)
            vectors = await model.embedder.embed_messages(list(contents.values())) if contents else []
        except (EmbeddingUnavailable, QueueFull):
            await self._failed(tenant_id, batch)
            return
        async with self._database.transaction(tenant=tenant_id, plan="each", pipelined=True) as tx:
            wanted = await self._models.check_write(tx, tenant_id, model)
            await model_table.hold_tenant(tx, tenant_id)
            await embeddings.insert_many(tx, tenant_id, model.id, dict(zip(contents, vectors, strict=True)))
            await jobs.finish(tx, tenant_id, ids, "completed")
            if wanted is not None:
                await reembed.note_many(tx, tenant_id, list(contents))
        metrics.JOBS.labels("completed").inc(len(contents))

    async def _failed(self, tenant_id: str, batch: Sequence[Job]) -> None:
        spent: list[UUID] = [job.message_id for job in batch if job.attempts >= self._max_attempts]
        async with self._database.transaction(tenant=tenant_id, plan="each") as tx:
            if spent:
                await jobs.finish(tx, tenant_id, spent, "failed")
            for job in batch:
                if job.message_id not in spent:
                    seconds = min(_LONGEST_BACKOFF_SECONDS, 2.0**job.attempts)
                    await jobs.postpone(tx, tenant_id, [job.message_id], seconds)
        metrics.JOBS.labels("failed").inc(len(spent))
        log.warning("embedding_failed", jobs=len(batch), given_up=len(spent))
