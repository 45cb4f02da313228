"""Changes by which configuration tenants' words are stored: all words are made anew beside the old ones, which searches
read until none is missing.

Whatever is stored meanwhile is stored both ways, so that each message is filled in once. How far that is, the database
knows: a server that dies leaves the rest to the next.
"""

from __future__ import annotations

import structlog

from memory_grpc.jobs.lease import Lease
from memory_grpc.jobs.trouble import Rests, Trouble
from memory_grpc.jobs.words import IndexWords
from memory_grpc.store import planner, vocabularies, word_index
from memory_grpc.store.database import EVERY_TENANT, Database

LEASE = "change_words"
LEASE_SECONDS = 30.0
# What failed is tried again after this.
RETRY_SECONDS = 60.0
# A search reads its words by the configuration that it began with: longer than this it does not last.
LINGER_SECONDS = 120.0
_FILLED_AT_ONCE = 250
_REMOVED_AT_ONCE = 1000
# After so many messages the planner has to see what became of them before they are searched.
_SAMPLED_AFTER = 50_000

log = structlog.get_logger(__name__)


class ChangeWords:
    """Brings every tenant to the configuration that is wanted, if no other server does."""

    def __init__(
        self, database: Database, lease: Lease, words: IndexWords, config: str, *, linger: float = LINGER_SECONDS
    ) -> None:
        self._database = database
        self._lease = lease
        self._words = words
        self._config = config
        self._linger = linger
        self._rests = Rests(RETRY_SECONDS)
        self._sampled: set[str] = set()
        self._unsampled = 0

    async def __call__(self) -> None:
        """Goes through the tenants that are due. One that fails keeps none of the others from its turn. Raises
        StoreUnavailable when the database is away, and LeaseLost."""
        if not self._rests.awake(await self._due()):
            return
        async with self._lease as lease:
            if lease is None:
                return
            trouble = Trouble(self._database, "change_words")
            for due in self._rests.awake(await self._due()):
                async with trouble.of_one() as attempt:
                    await self._change(*due, lease)
                if attempt.failed:
                    self._rests.begin(due)

    async def _due(self) -> list[tuple[str, str]]:
        async with self._database.transaction(tenant=EVERY_TENANT) as tx:
            return await vocabularies.due(tx, self._config)

    async def _change(self, tenant_id: str, wanted: str, lease: Lease) -> None:
        async with self._database.transaction(tenant=tenant_id) as tx:
            now = await vocabularies.of_tenant(tx, tenant_id)
        if now is None:
            return
        if now.next_config != (None if now.config == wanted else wanted):
            await self._aim(tenant_id, wanted, lease)
        if now.config != wanted and await self._fill(tenant_id, wanted, lease):
            await self._switch(tenant_id, wanted, lease)
        await self._remove_former(tenant_id, lease)

    async def _aim(self, tenant_id: str, wanted: str, lease: Lease) -> None:
        """Begins the change, or stops one to a configuration that is not wanted any more."""
        async with self._database.transaction(tenant=tenant_id) as tx:
            await vocabularies.lock(tx, tenant_id)
            now = await vocabularies.of_tenant(tx, tenant_id)
            if now is not None and now.config == wanted:
                await vocabularies.stop(tx, tenant_id)
            else:
                await vocabularies.begin(tx, tenant_id, wanted)
            await lease.guard(tx)

    async def _fill(self, tenant_id: str, wanted: str, lease: Lease) -> bool:
        """Whether there is nothing left to fill in, and what a large tenant's words are found by is there."""
        more = True
        while more:
            async with self._database.transaction(tenant=tenant_id, plan="each") as tx:
                now = await vocabularies.of_tenant(tx, tenant_id)
                if now is None or now.next_config != wanted:
                    return False
                more = await vocabularies.fill(tx, tenant_id, wanted, now.filled_to, _FILLED_AT_ONCE)
                self._unsampled += _FILLED_AT_ONCE if more else 0
                is_counted = now.config in await word_index.counted(tx, tenant_id)
                await lease.guard(tx)
        if wanted not in self._sampled or self._unsampled >= _SAMPLED_AFTER:
            await planner.sample(self._database, "message_lexemes")
            self._sampled.add(wanted)
            self._unsampled = 0
        return not is_counted or await self._words.index(tenant_id, wanted, lease)

    async def _switch(self, tenant_id: str, wanted: str, lease: Lease) -> None:
        async with self._database.transaction(tenant=tenant_id) as tx:
            await vocabularies.lock(tx, tenant_id)
            await vocabularies.switch(tx, tenant_id, wanted)
            await lease.guard(tx)
        log.info("words_changed")

    async def _remove_former(self, tenant_id: str, lease: Lease) -> None:
        """What nobody reads any more goes in small transactions."""
        async with self._database.transaction(tenant=tenant_id) as tx:
            now = await vocabularies.of_tenant(tx, tenant_id)
            if now is None or await vocabularies.lingers(tx, tenant_id, self._linger):
                return
        for config in now.former:
            await word_index.drop(self._database, tenant_id, config, lease.guard)
            more = True
            while more:
                async with self._database.transaction(tenant=tenant_id, plan="each") as tx:
                    more = await vocabularies.remove(tx, tenant_id, config, _REMOVED_AT_ONCE)
                    await lease.guard(tx)
