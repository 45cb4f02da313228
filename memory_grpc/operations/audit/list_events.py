"""ListEvents: what was recorded."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from memory_grpc.domain.audit import AuditEvent, EventFilter
from memory_grpc.paging import Page, PageRequest
from memory_grpc.store import audit
from memory_grpc.store.database import EVERY_TENANT, Database


class ListEvents:
    """Events of one tenant, or of all."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def __call__(self, wanted: EventFilter, page: PageRequest) -> Page[AuditEvent]:
        """The newest first. Raises InvalidInput for a token of another request."""
        after = page.after(datetime, UUID)
        tenant = EVERY_TENANT if wanted.tenant_id is None else wanted.tenant_id
        async with self._database.transaction(tenant=tenant) as tx:
            found = await audit.page(tx, wanted, after, page.size + 1)
        return page.of(found, lambda event: (event.happened_at, event.id))
