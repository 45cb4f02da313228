"""Re-embed: the background half of a change of model. One server at a time makes new vectors and removes old ones."""

from __future__ import annotations

import structlog

from memory_grpc.errors import LeaseLost, ReembeddingEnded
from memory_grpc.jobs.lease import Lease
from memory_grpc.jobs.trouble import Rests, Trouble, at_best
from memory_grpc.operations.models.models import Model, Models
from memory_grpc.operations.models.reembed_messages import ReembedMessages
from memory_grpc.store import embeddings, messages, planner, reembedding
from memory_grpc.store import models as model_store
from memory_grpc.store.database import EVERY_TENANT, Database
from memory_grpc.store.reembedding import Reembedding

LEASE = "reembed"
LEASE_SECONDS = 30.0
# Where some tenants failed, the tenants are gone through again after this: it means reading all of their messages.
RETRY_SECONDS = 30.0
_REMOVED_AT_ONCE = 500

log = structlog.get_logger(__name__)


class Reembed:
    """Works at the open re-embedding while this server holds its model and the lease.

    Nothing of it is kept in the process: a server that dies leaves the rest to the next, which begins with a look at
    what is missing.
    """

    def __init__(self, database: Database, lease: Lease, models: Models) -> None:
        self._database = database
        self._lease = lease
        self._models = models
        self._messages = ReembedMessages(database)
        self._rests = Rests(RETRY_SECONDS)

    async def __call__(self) -> None:
        """Brings the open re-embedding to its next state, or keeps it ready.

        A tenant that fails keeps none of the others from its turn, but the re-embedding from its next state. Raises
        ProviderDown, StoreUnavailable and the like, and LeaseLost. The class of what was met is noted, and the next
        call goes on.
        """
        async with self._database.transaction(tenant=EVERY_TENANT) as tx:
            work = await reembedding.current(tx)
        model = self._models.held(work.model_id) if work else None
        if work is None or model is None:
            return
        async with self._lease as lease:
            if lease is None:
                return
            trouble = Trouble(self._database, "reembed")
            try:
                if work.state == "cut_over":
                    await self._remove_old(work, lease, trouble)
                else:
                    await self._embed(work, model, lease, trouble)
            except ReembeddingEnded:
                return
            except LeaseLost:
                raise
            except Exception as error:
                with at_best("note what a re-embedding met"):
                    await self._note(work, type(error).__name__)
                raise
            if trouble.failed:
                self._rests.begin(work.id)
                await self._note(work, trouble.last)

    async def _note(self, work: Reembedding, error: str) -> None:
        async with self._database.transaction(tenant=EVERY_TENANT) as tx:
            await reembedding.note_error(tx, work.id, error)

    async def _embed(self, work: Reembedding, model: Model, lease: Lease, trouble: Trouble) -> None:
        async def embedded(more: int, new: int) -> None:
            async with self._database.transaction(tenant=EVERY_TENANT) as tx:
                if not await reembedding.measure(tx, work.id, more=more, new=new):
                    raise ReembeddingEnded
                await lease.guard(tx)

        is_due = bool(self._rests.awake([work.id]))
        if work.state == "running" and is_due:
            tenants = await self._tenants(work)
            await self._count(work, tenants, lease, trouble)
            for tenant_id in tenants:
                async with trouble.of_one():
                    await self._messages.tenant(tenant_id, model, lease.guard, embedded)
        # Whatever was stored since the re-embedding began is in the backlog, so that a tenant is gone through once.
        await self._messages.backlog(model, lease.guard, embedded)
        if work.state == "running" and is_due and not trouble.failed:
            await planner.sample(self._database, "message_embeddings")
            await self._advance(work, "ready", lease)

    async def _count(self, work: Reembedding, tenants: list[str], lease: Lease, trouble: Trouble) -> None:
        total = embedded = 0
        for tenant_id in tenants:
            async with (
                trouble.of_one(),
                self._database.transaction(tenant=tenant_id, plan="each") as tx,
            ):
                counts = await reembedding.count(tx, tenant_id, work.model_id)
                total, embedded = total + counts[0], embedded + counts[1]
        async with self._database.transaction(tenant=EVERY_TENANT) as tx:
            await reembedding.measure(tx, work.id, total=total, embedded=embedded)
            await lease.guard(tx)

    async def _remove_old(self, work: Reembedding, lease: Lease, trouble: Trouble) -> None:
        if not self._rests.awake([work.id]):
            return
        for tenant_id in await self._tenants(work):
            async with trouble.of_one():
                await self._remove_old_of(tenant_id, lease)
        if not trouble.failed:
            await self._advance(work, "done", lease)

    async def _remove_old_of(self, tenant_id: str, lease: Lease) -> None:
        """Old vectors go in small transactions: whoever ranks them still finds out that they are old and asks again."""
        after = reembedding.FIRST
        while True:
            async with self._database.transaction(tenant=tenant_id, plan="each") as tx:
                in_use = await model_store.lock_shared(tx, tenant_id)
                ids = await embeddings.others(tx, tenant_id, in_use.model_id, after, _REMOVED_AT_ONCE)
                if not ids:
                    return
                await embeddings.remove_others(tx, tenant_id, in_use.model_id, ids)
                await lease.guard(tx)
            after = ids[-1]

    async def _advance(self, work: Reembedding, state: str, lease: Lease) -> None:
        """To the next state, unless somebody else was quicker."""
        async with self._database.transaction(tenant=EVERY_TENANT) as tx:
            moved = await reembedding.advance(tx, work.id, [work.state], state)
            await lease.guard(tx)
        if moved:
            log.info(f"reembedding_{state}", id=work.id)

    async def _tenants(self, work: Reembedding) -> list[str]:
        if work.tenant_id is not None:
            return [work.tenant_id]
        async with self._database.transaction(tenant=EVERY_TENANT) as tx:
            return await messages.tenants(tx)
