"""Erase: the background half of an erasure.

::

    planned ──Apply──▶ erasing ──no message is left──▶ cleaning ──▶ done
       │                 ▲  │                            ▲  │
       └─an hour: gone   └──┘ a batch a transaction      └──┘ again, after a server died

A batch erases messages and takes them out of the plan in one transaction, so that whoever goes on, after whatever end,
finds what is left. What is done in ``cleaning`` may be done twice. Tenants take turns, at most AT_ONCE batches of
each: nobody waits for the end of another's million, or for a vacuum after each of another's hundreds.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Sequence

import structlog

from memory_grpc.domain.erasure import Erasure
from memory_grpc.errors import StoreUnavailable
from memory_grpc.jobs.lease import Lease
from memory_grpc.jobs.trouble import Rests, Trouble, at_best
from memory_grpc.operations.policy.policies import QUOTA
from memory_grpc.store import erasure, erasures, graphs, models, policy, vocabularies, word_index
from memory_grpc.store.database import EVERY_TENANT, Database

LEASE = "erasure"
LEASE_SECONDS = 30.0
# Messages erased in one transaction. Others who write in the tenant wait for it.
BATCH = 500
# Erasures of one tenant that have a batch in one turn.
AT_ONCE = 20
# What failed is tried again after this.
RETRY_SECONDS = 10.0
_LOCK_MILLISECONDS = 5000

log = structlog.get_logger(__name__)


class Erase:
    """Works at the erasures that were applied, if no other server does."""

    def __init__(self, database: Database, lease: Lease, clock: Callable[[], float] = time.monotonic) -> None:
        self._database = database
        self._lease = lease
        self._clock = clock
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
            erased_seconds = vacuum_seconds = 0.0
            while works := await self._awake():  # those too that were applied meanwhile
                began = self._clock()
                await self._each(list(_turns(works)), trouble, lambda work: self._batch(work, lease))
                erased_seconds += self._clock() - began
                cleaning = [work for work in works if work.state == "cleaning"]
                # Small erasures that come all the time, and their vacuums, leave a long one half of the time.
                if len(cleaning) == len(works) or (cleaning and erased_seconds >= vacuum_seconds):
                    began = self._clock()
                    await self._clean(cleaning, lease, trouble)
                    erased_seconds, vacuum_seconds = 0.0, self._clock() - began

    async def _awake(self) -> list[Erasure]:
        works = {work.id: work for work in await self._open()}
        return [works[id_] for id_ in self._rests.awake(works)]

    async def _each(
        self, works: Sequence[Erasure], trouble: Trouble, step: Callable[[Erasure], Awaitable[None]]
    ) -> list[Erasure]:
        """Those of which a step went well. Where a tenant's lock or connection was not had, its others rest, too: that
        was waited for long enough."""
        done, held_up = [], set[str]()
        for work in works:
            if work.tenant_id in held_up:
                self._rests.begin(work.id)
            elif await self._try(work, trouble, step(work)):
                done.append(work)
            elif trouble.last == StoreUnavailable.__name__:
                held_up.add(work.tenant_id)
        return done

    async def _try(self, work: Erasure, trouble: Trouble, step: Awaitable[None]) -> bool:
        """Whether a step of one that is none of the others' went well; if not, it rests, and what was met is noted."""
        async with trouble.of_one() as attempt:
            await step
        if attempt.failed:
            await self._rest(work, trouble)
        return not attempt.failed

    async def _rest(self, work: Erasure, trouble: Trouble) -> None:
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

    async def _batch(self, work: Erasure, lease: Lease) -> None:
        """Erases some messages; the last of them are noted as such."""
        async with self._database.transaction(tenant=work.tenant_id, plan="each") as tx:
            await models.lock_tenant_exclusive(tx, work.tenant_id, _LOCK_MILLISECONDS)
            held = await erasures.hold(tx, work)
            if held is None:
                return
            ids = await erasures.next_messages(tx, held, BATCH)
            if ids:
                gone = await erasure.erase(tx, held.tenant_id, ids, held.id)
                await erasures.note_progress(tx, held, gone)
            if len(ids) < BATCH:
                await erasures.advance(tx, held, "cleaning")
            await lease.guard(tx)
        if len(ids) < BATCH:
            log.info("erasure_erased", id=str(work.id))

    async def _clean(self, works: Sequence[Erasure], lease: Lease, trouble: Trouble) -> None:
        """Removes what follows from messages and is no row of theirs, and vacuums once for all of them."""
        counted: set[str] = set()
        cleaned = await self._each(works, trouble, lambda work: self._clean_rows(work, lease, counted))
        if not cleaned:
            return
        async with trouble.of_one() as attempt:
            await erasure.vacuum(self._database)
        for work in cleaned:
            if attempt.failed:
                await self._rest(work, trouble)
        if not attempt.failed:
            await self._each(cleaned, trouble, lambda work: self._end(work, lease))

    async def _clean_rows(self, work: Erasure, lease: Lease, counted: set[str]) -> None:
        """Counts the words of a tenant once, however many of its erasures are cleaned up after."""
        if work.scope == "whole_tenant":
            await self._clean_tenant(work, lease)
        if work.tenant_id not in counted:
            async with self._database.transaction(tenant=work.tenant_id) as tx:
                for config in await word_index.counted(tx, work.tenant_id):
                    await word_index.count(tx, work.tenant_id, config)
                await lease.guard(tx)
        counted.add(work.tenant_id)

    async def _end(self, work: Erasure, lease: Lease) -> None:
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


def _turns(works: Sequence[Erasure]) -> Iterator[Erasure]:
    """The erasures that have a batch to erase now: at most AT_ONCE of each tenant, the first applied first."""
    taken: Counter[str] = Counter()
    for work in works:
        if work.state == "erasing" and taken[work.tenant_id] < AT_ONCE:
            taken[work.tenant_id] += 1
            yield work
