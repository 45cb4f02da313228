"""Re-embed: the background half of a change of model. One server at a time makes new vectors and removes old ones."""

from __future__ import annotations

from uuid import UUID

import structlog

from memory_grpc.errors import LeaseLost, MemoryLayerError, ReembeddingEnded
from memory_grpc.operations.models import Model, Models
from memory_grpc.operations.reembed_messages import ReembedMessages
from memory_grpc.store import embeddings, leases, messages, reembed
from memory_grpc.store import models as model_table
from memory_grpc.store.database import EVERY_TENANT, Database, Transaction
from memory_grpc.store.reembed import Reembedding

LEASE = "reembed"
LEASE_SECONDS = 30.0
_REMOVED_AT_ONCE = 500

log = structlog.get_logger(__name__)


class Reembed:
    """Works at the open re-embedding while this server holds its model and the lease.

    Nothing of it is kept in the process: a server that dies leaves the rest to the next, which begins with a look at
    what is missing.
    """

    def __init__(self, database: Database, models: Models, holder: UUID) -> None:
        self._database = database
        self._models = models
        self._holder = holder
        self._messages = ReembedMessages(database)

    async def __call__(self) -> None:
        """Brings the open re-embedding to its next state, or keeps it ready.

        Raises ProviderDown, StoreUnavailable and the like; their class is noted, and the next call goes on.
        """
        async with self._database.transaction(tenant=EVERY_TENANT) as tx:
            work = await reembed.current(tx)
            model = self._models.held(work.model_id) if work else None
            if work is None or model is None or not await leases.acquire(tx, LEASE, self._holder, LEASE_SECONDS):
                return
        try:
            if work.state == "cut_over":
                await self._remove_old(work)
            else:
                await self._embed(work, model)
        except (LeaseLost, ReembeddingEnded):
            return
        except MemoryLayerError as error:
            async with self._database.transaction(tenant=EVERY_TENANT) as tx:
                await reembed.note_error(tx, work.id, type(error).__name__)
            raise
        finally:
            async with self._database.transaction(tenant=EVERY_TENANT) as tx:
                await leases.release(tx, LEASE, self._holder)

    async def _embed(self, work: Reembedding, model: Model) -> None:
        async def embedded(more: int, new: int) -> None:
            async with self._database.transaction(tenant=EVERY_TENANT) as tx:
                if not await reembed.measure(tx, work.id, more=more, new=new):
                    raise ReembeddingEnded

        if work.state == "running":
            tenants = await self._tenants(work)
            await self._count(work, tenants)
            for tenant_id in tenants:
                await self._messages.tenant(tenant_id, model, self._hold, embedded)
        # Whatever was stored since the re-embedding began is in the backlog, so that a tenant is gone through once.
        await self._messages.backlog(model, self._hold, embedded)
        if work.state == "running":
            async with self._database.transaction(tenant=EVERY_TENANT) as tx:
                await self._hold(tx)
                if await reembed.advance(tx, work.id, ["running"], "ready"):
                    log.info("reembedding_ready", id=work.id)

    async def _count(self, work: Reembedding, tenants: list[str]) -> None:
        total = embedded = 0
        for tenant_id in tenants:
            async with self._database.transaction(tenant=tenant_id, plan="each") as tx:
                counts = await reembed.count(tx, tenant_id, work.model_id)
            total, embedded = total + counts[0], embedded + counts[1]
        async with self._database.transaction(tenant=EVERY_TENANT) as tx:
            await reembed.measure(tx, work.id, total=total, embedded=embedded)

    async def _remove_old(self, work: Reembedding) -> None:
        """Old vectors go in small transactions: whoever ranks them still finds out that they are old and asks again."""
        for tenant_id in await self._tenants(work):
            after = reembed.FIRST
            while True:
                async with self._database.transaction(tenant=tenant_id, plan="each") as tx:
                    await self._hold(tx)
                    in_use = await model_table.hold(tx, tenant_id)
                    ids = await embeddings.others(tx, tenant_id, in_use.model_id, after, _REMOVED_AT_ONCE)
                    await embeddings.remove_others(tx, tenant_id, in_use.model_id, ids)
                if not ids:
                    break
                after = ids[-1]
        async with self._database.transaction(tenant=EVERY_TENANT) as tx:
            await self._hold(tx)
            if await reembed.advance(tx, work.id, ["cut_over"], "done"):
                log.info("reembedding_done", id=work.id)

    async def _tenants(self, work: Reembedding) -> list[str]:
        if work.tenant_id is not None:
            return [work.tenant_id]
        async with self._database.transaction(tenant=EVERY_TENANT) as tx:
            return await messages.tenants(tx)

    async def _hold(self, tx: Transaction) -> None:
        if not await leases.renew(tx, LEASE, self._holder, LEASE_SECONDS):
            raise LeaseLost
