"""Embed pending: gives messages that were stored without an embedding their embedding.

A job of the queue is leased like all work that one server does at a time, but each for itself and with no holder's
name: until `run_at` it is nobody else's, and whoever takes it counts an attempt. Who finds the attempts that it counted
has the job still. So a heartbeat pushes `run_at` on for as long as a slow model works, and what comes out of it is
stored only if no other worker has taken the job meanwhile.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterator, Sequence
from functools import partial

import structlog

from memory_grpc.errors import DeadlineExceeded, Internal, ModelChanged, StoreUnavailable
from memory_grpc.jobs.heartbeat import beating
from memory_grpc.jobs.trouble import Trouble
from memory_grpc.observability import metrics
from memory_grpc.operations.models.models import Models
from memory_grpc.store import embeddings, jobs, reembedding
from memory_grpc.store import models as model_store
from memory_grpc.store.database import EVERY_TENANT, Database
from memory_grpc.store.jobs import Job

BATCH = 256
# So many are stored as soon as they are embedded: a model that falters later on does not cost these.
_TOGETHER = 64
LEASE_SECONDS = 60.0
_LONGEST_BACKOFF_SECONDS = 300.0

log = structlog.get_logger(__name__)


class EmbedPending:
    """Takes due jobs, so that several servers share the queue and a dead one's jobs come back."""

    def __init__(
        self,
        database: Database,
        heartbeats: Database,
        models: Models,
        max_attempts: int,
        lease_seconds: float = LEASE_SECONDS,
    ) -> None:
        """``heartbeats`` should have a connection left when those of ``database`` are all busy."""
        self._database = database
        self._heartbeats = heartbeats
        self._models = models
        self._max_attempts = max_attempts
        self._seconds = lease_seconds

    async def __call__(self) -> int:
        """Works one batch of due jobs off; returns how many there were.

        What fails is tried again later. Raises StoreUnavailable when the database is away, and LeaseLost when every job
        of the batch that is not done yet is another's.
        """
        since = asyncio.get_running_loop().time()
        async with self._database.transaction(tenant=EVERY_TENANT) as tx:
            leased = await jobs.lease(tx, self._models.ids, BATCH, self._seconds)
        if not leased:
            return 0
        waiting = set(leased)
        trouble = Trouble(self._database, "pending")
        async with beating(partial(self._renew, waiting), self._seconds, since):
            held_up: set[str] = set()  # tenants whose connection or lock was waited for long enough
            for batch in _batches(leased):
                if batch[0].tenant_id in held_up:
                    continue
                async with trouble.of_one() as attempt:
                    await self._embed(batch, waiting)
                if attempt.failed:
                    held_up.add(batch[0].tenant_id)
        return len(leased)

    async def _renew(self, waiting: set[Job]) -> bool:
        """Renews the jobs that wait, for the model or their turn, and takes out those that are another's by now.

        A job that is being stored does not wait: its own transaction says whether it is still held.
        """
        asked = frozenset(waiting)
        if not asked:
            return True
        async with self._heartbeats.transaction(tenant=EVERY_TENANT) as tx:
            held = await jobs.hold(tx, asked, self._seconds)
        lost = waiting & (asked - held)
        waiting -= lost
        return bool(waiting) or not lost

    async def _embed(self, batch: Sequence[Job], waiting: set[Job]) -> None:
        while True:
            try:
                return await self._once(batch, waiting)
            except ModelChanged:  # between embedding and storing; nothing was stored
                waiting.update(batch)
            except (StoreUnavailable, DeadlineExceeded, Internal):
                raise  # blames no message: the jobs are due again when their lease ends
            except Exception as error:
                waiting.difference_update(batch)
                return await self._failed(batch, type(error).__name__)

    async def _once(self, batch: Sequence[Job], waiting: set[Job]) -> None:
        tenant_id = batch[0].tenant_id
        async with self._database.transaction(tenant=tenant_id, plan="each") as tx:
            contents = await jobs.contents(tx, tenant_id, [job.message_id for job in batch if job in waiting])
        model = await self._models.of(tenant_id)
        texts = list(contents.values())
        vectors = await model.embedder.embed_messages(texts, tenant=tenant_id, is_background=True) if texts else []
        embedded = dict(zip(contents, vectors, strict=True))
        waiting.difference_update(batch)
        async with self._database.transaction(tenant=tenant_id, plan="each", pipelined=True) as tx:
            wanted = await self._models.check_write(tx, tenant_id, model)
            await model_store.lock_tenant_shared(tx, tenant_id)
            held = [job.message_id for job in await jobs.hold(tx, batch, self._seconds)]
            stored = {id_: embedded[id_] for id_ in held if id_ in embedded}
            await embeddings.insert_many(tx, tenant_id, model.id, stored)
            await jobs.finish(tx, tenant_id, held, "completed")
            if wanted is not None:
                await reembedding.note_many(tx, tenant_id, list(stored))
        metrics.JOBS.labels("completed").inc(len(stored))

    async def _failed(self, batch: Sequence[Job], error: str) -> None:
        tenant_id = batch[0].tenant_id
        async with self._database.transaction(tenant=tenant_id, plan="each") as tx:
            # Updates and erasures take a message before its job, alone in their tenant.
            await model_store.lock_tenant_shared(tx, tenant_id)
            held = await jobs.hold(tx, batch, self._seconds)
            spent = [job.message_id for job in held if job.attempts >= self._max_attempts]
            if spent:
                await jobs.finish(tx, tenant_id, spent, "failed")
            for job in held:
                if job.message_id not in spent:
                    seconds = min(_LONGEST_BACKOFF_SECONDS, 2.0**job.attempts)
                    await jobs.postpone(tx, tenant_id, [job.message_id], seconds)
        metrics.JOBS.labels("failed").inc(len(spent))
        log.warning("embedding_failed", error=error, jobs=len(held), given_up=len(spent))


def _batches(leased: Sequence[Job]) -> Iterator[list[Job]]:
    """Each of one tenant. A text that the model chokes on must not hold up others: what failed before goes alone."""
    groups: dict[str, list[Job]] = defaultdict(list)
    for job in leased:
        groups[job.tenant_id].append(job)
    for group in groups.values():
        together = [job for job in group if job.attempts == 1]
        yield from (together[start : start + _TOGETHER] for start in range(0, len(together), _TOGETHER))
        for job in group:
            if job.attempts > 1:
                yield [job]
