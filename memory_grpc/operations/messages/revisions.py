"""Revisions: what a message was before its updates, page by page."""

from __future__ import annotations

from uuid import UUID

from memory_grpc.domain.revisions import Revision
from memory_grpc.errors import NotFound
from memory_grpc.paging import Page, PageRequest
from memory_grpc.store import messages, revisions
from memory_grpc.store.replicas import Reader


class Revisions:
    """Of live and archived messages."""

    def __init__(self, database: Reader) -> None:
        self._database = database

    async def __call__(self, message_id: UUID, tenant_id: str, page: PageRequest) -> Page[Revision]:
        """The last first. Raises NotFound, and InvalidInput for a token of another request."""
        (before,) = page.after(int) or (None,)
        async with self._database.transaction(tenant=tenant_id, plan="each", at_one_moment=True) as tx:
            if await messages.get(tx, message_id, [tenant_id]) is None:
                raise NotFound
            found, fitting = await revisions.page(tx, tenant_id, message_id, before, page.size + 1)
        return page.cut(fitting).of(found, lambda revision: (revision.message.revision,))
