"""Builds the word indexes of tenants that have a graph, and counts their words."""

from __future__ import annotations

import structlog

from memory_grpc.jobs.lease import Lease
from memory_grpc.jobs.trouble import Rests, Trouble
from memory_grpc.store import graphs, vocabularies, word_index
from memory_grpc.store.database import EVERY_TENANT, Database

# The words of a tenant are counted again after this: frequencies change slowly, and rare words are never counted ahead.
RECOUNT_HOURS = 24.0
# What failed is tried again after this.
RETRY_SECONDS = 600.0

log = structlog.get_logger(__name__)


class IndexWords:
    """Does the next tenant that needs it, under the lease of whoever calls."""

    def __init__(self, database: Database, config: str) -> None:
        """``config`` is that of tenants of whom no words are stored."""
        self._database = database
        self._config = config
        self._rests = Rests(RETRY_SECONDS)

    async def __call__(self, lease: Lease) -> bool:
        """Builds the word index of one tenant, or counts its words again; False when there is none to do.

        A tenant that fails keeps none of the others from its turn. Raises StoreUnavailable when the database is away,
        and LeaseLost.
        """
        trouble = Trouble(self._database, "words")
        async with self._database.transaction(tenant=EVERY_TENANT) as tx:
            due = await word_index.due(tx, self._config, RECOUNT_HOURS)
        for tenant_id, config in self._rests.awake(due):
            done = False
            async with trouble.of_one() as attempt:
                done = await self.index(tenant_id, config, lease)
            if attempt.failed:
                self._rests.begin((tenant_id, config))
            if done:
                return True
        return False

    async def drop(self, tenant_id: str, lease: Lease) -> None:
        """Forgets a tenant's words and drops its index. Raises StoreUnavailable and LeaseLost."""
        async with self._database.transaction(tenant=tenant_id) as tx:
            counted = await word_index.counted(tx, tenant_id)
            used = await vocabularies.of_tenant(tx, tenant_id)
        # One that was not finished is not counted.
        for config in sorted({*counted, used.config if used else self._config}):
            await word_index.drop(self._database, tenant_id, config, lease.guard)

    async def index(self, tenant_id: str, config: str, lease: Lease) -> bool:
        """Builds one index, if need be, and counts its words; False when it is in the hands of another connection.
        Raises StoreUnavailable and LeaseLost."""
        async with self._database.maintenance() as connection:
            if not await graphs.claim(connection, word_index.index_name(tenant_id, config)):
                return False
            await word_index.build(self._database, tenant_id, config, lease.guard)
        log.info("words_indexed")
        return True
