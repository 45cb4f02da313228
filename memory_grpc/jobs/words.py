"""Builds the word indexes of tenants that have a graph, and counts their words."""

from __future__ import annotations

import structlog

from memory_grpc.jobs.lease import Lease
from memory_grpc.jobs.trouble import Rests, Trouble
from memory_grpc.store import graphs, word_index
from memory_grpc.store.database import EVERY_TENANT, Database

# The words of a tenant are counted again after this: frequencies change slowly, and rare words are never counted ahead.
RECOUNT_HOURS = 24.0
# What failed is tried again after this.
RETRY_SECONDS = 600.0

log = structlog.get_logger(__name__)


class IndexWords:
    """Does the next tenant that needs it, under the lease of whoever calls."""

    def __init__(self, database: Database, text_config: str) -> None:
        self._database = database
        self._text_config = text_config
        self._rests = Rests(RETRY_SECONDS)

    async def __call__(self, lease: Lease) -> bool:
        """Builds the word index of one tenant, or counts its words again; False when there is none to do.

        A tenant that fails keeps none of the others from its turn. Raises StoreUnavailable when the database is away,
        and LeaseLost.
        """
        trouble = Trouble(self._database, "words")
        async with self._database.transaction(tenant=EVERY_TENANT) as tx:
            due = await word_index.due(tx, self._text_config, RECOUNT_HOURS)
        for tenant_id in self._rests.awake(due):
            done = False
            async with trouble.of_one() as attempt:
                done = await self._index(tenant_id, lease)
            if attempt.failed:
                self._rests.begin(tenant_id)
            if done:
                return True
        return False

    async def drop(self, tenant_id: str, lease: Lease) -> None:
        """Forgets a tenant's words and drops its index. Raises StoreUnavailable and LeaseLost."""
        await word_index.drop(self._database, tenant_id, self._text_config, lease.guard)

    async def _index(self, tenant_id: str, lease: Lease) -> bool:
        """False when the index is in the hands of another connection."""
        async with self._database.maintenance() as connection:
            if not await graphs.claim(connection, word_index.index_name(tenant_id, self._text_config)):
                return False
            await word_index.build(self._database, tenant_id, self._text_config, lease.guard)
        log.info("words_indexed")
        return True
