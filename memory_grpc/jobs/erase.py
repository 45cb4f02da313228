"""Erase: the background half of an erasure.

::

    planned ──Apply──▶ erasing ──no message is left──▶ cleaning ──▶ done
       │                 ▲  │                            ▲  │
       └─an hour: gone   └──┘ a batch a transaction      └──┘ again, after a server died

A batch erases messages and takes them out of the plan in one transaction, so that whoever goes on, after whatever end,
finds what is left. What is done in ``cleaning`` may be done twice.
"""

from __future__ import annotations

import structlog

from memory_grpc.domain.erasure import Erasure
from memory_grpc.jobs.lease import Lease
from memory_grpc.jobs.trouble import Rests, Trouble, at_best
from memory_grpc.operations.policy.policies import QUOTA
from memory_grpc.store import erasure, erasures, graphs, models, policy, vocabularies, word_index
from memory_grpc.store.database import EVERY_TENANT, Database

LEASE = "erasure"
LEASE_SECONDS = 30.0
# Messages erased in one transaction. Others who write in the tenant wait for it.
BATCH = 500
# What failed is tried again after this.
RETRY_SECONDS = 10.0
_LOCK_MILLISECONDS = 5000

log = structlog.get_logger(__name__)


class Erase:
    """Works at the erasures that were applied, if no other server does."""

    def __init__(self, database: Database, lease: Lease) -> None:
        self._database = database
        self._lease = lease
        self._rests = Rests(RETRY_SECONDS)

    async def __call__(self) -> None:
        """Brings every erasure to its end, and forgets plans that were not applied in time.

        One that fails keeps none of the others from its turn; the class of what was met is noted. Raises
        StoreUnavailable when the database is away, and LeaseLost; what was erased before stays erased.
        """
        if not self._rests.awake([work.id for work in await self._open()]):
            return
        async with self._lease as lease:
            if lease is None:
                return
            trouble = Trouble(self._database, "erasure")
            works = {work.id: work for work in await self._open()}
            for work in map(works.__getitem__, self._rests.awake(works)):
                async with trouble.of_one() as attempt:
                    await self._erase(work, lease)
                if attempt.failed:
                    self._rests.begin(work.id)
                    with at_best("note what an erasure met"):
                        await self._note(work, trouble.last)

    async def _open(self) -> list[Erasure]:
        async with self._database.transaction(tenant=EVERY_TENANT) as tx:
            await erasures.expire(tx)
            return await erasures.open_(tx)

    async def _note(self, work: Erasure, error: str) -> None:
        async with self._database.transaction(tenant=work.tenant_id) as tx:
            await erasures.note_error(tx, work, error)

    async def _erase(self, work: Erasure, lease: Lease) -> None:
        if work.state == "erasing":
            while await self._batch(work, lease):
                pass
            log.info("erasure_erased", id=str(work.id))
            work = await self._read(work)
        await self._clean(work, lease)

    async def _read(self, work: Erasure) -> Erasure:
        async with self._database.transaction(tenant=work.tenant_id) as tx:
            return await erasures.get(tx, work.tenant_id, work.id) or work

    async def _batch(self, work: Erasure, lease: Lease) -> bool:
        """Erases some messages; False when there was none left, which is noted."""
        async with self._database.transaction(tenant=work.tenant_id, plan="each") as tx:
            await models.lock_tenant_exclusive(tx, work.tenant_id, _LOCK_MILLISECONDS)
            held = await erasures.hold(tx, work)
            if held is None:
                return False
            ids = await erasures.next_messages(tx, held, BATCH)
            if ids:
                gone = await erasure.erase(tx, held.tenant_id, ids, held.id)
                await erasures.note_progress(tx, held, gone)
            else:
                await erasures.advance(tx, held, "cleaning")
            await lease.guard(tx)
        return bool(ids)

    async def _clean(self, work: Erasure, lease: Lease) -> None:
        """Removes what follows from messages and is no row of theirs."""
        if work.scope == "whole_tenant":
            await self._clean_tenant(work, lease)
        async with self._database.transaction(tenant=work.tenant_id) as tx:
            for config in await word_index.counted(tx, work.tenant_id):
                await word_index.count(tx, work.tenant_id, config)
            await lease.guard(tx)
        await erasure.vacuum(self._database)
        async with self._database.transaction(tenant=work.tenant_id) as tx:
            if await erasures.hold(tx, work) is not None:
                await erasures.advance(tx, work, "done")
            await lease.guard(tx)
        log.info("erasure_done", id=str(work.id))

    async def _clean_tenant(self, work: Erasure, lease: Lease) -> None:
        """What a tenant has beside messages. Where some came after the plan, graphs and words are made anew."""
        tenant_id = work.tenant_id
        async with self._database.transaction(tenant=tenant_id) as tx:
            # How much a tenant may store is said by who runs the service, and is not the tenant's to forget.
            await policy.lock(tx, tenant_id)
            own = (await policy.get(tx, tenant_id)).values
            quota = {path: value for path, value in own.items() if path.startswith(QUOTA)}
            await policy.set_(tx, tenant_id, quota)
            configs = await word_index.counted(tx, tenant_id)
            await lease.guard(tx)
        for config in configs:
            await word_index.drop(self._database, tenant_id, config, lease.guard)
        async with self._database.transaction(tenant=tenant_id) as tx:
            await vocabularies.lock(tx, tenant_id)
            await erasures.forget_vocabulary(tx, tenant_id)
            await lease.guard(tx)
        async with self._database.transaction(tenant=EVERY_TENANT) as tx:
            found = [graph for graph in await graphs.all_(tx) if graph.tenant_id == tenant_id]
        for graph in found:
            async with self._database.maintenance() as connection:
                await graphs.drop(connection, graph.index_name)
            async with self._database.transaction(tenant=tenant_id) as tx:
                await graphs.forget(tx, tenant_id, graph.model_id)
                await lease.guard(tx)
        async with self._database.transaction(tenant=EVERY_TENANT) as tx:
            await models.lock_exclusive(tx, _LOCK_MILLISECONDS)
            await erasures.forget_model(tx, tenant_id)
            await erasures.revoke_keys(tx, tenant_id, work.applied_by or "")
            await lease.guard(tx)
