"""Listing: a tenant's messages, conversations and users, page by page."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from memory_grpc.domain.listing import Conversation, MessageList, User
from memory_grpc.domain.messages import StoredMessage
from memory_grpc.paging import Page, PageRequest
from memory_grpc.store import filters, listing, revisions
from memory_grpc.store.replicas import Reader


class Listing:
    """Each page is read from the place where the one before ended, so that nothing is missed or repeated while messages
    come and go. All raise InvalidInput for a token of another request."""

    def __init__(self, database: Reader) -> None:
        self._database = database

    async def messages(self, wanted: MessageList, page: PageRequest) -> tuple[Page[StoredMessage], int | None]:
        """Messages in the order of their times, then of their ids; and how many there are, where that was asked."""
        after = page.after(datetime, UUID)
        filter_ = filters.compiled(wanted.filters)
        tenant_id = wanted.tenant_id
        async with self._database.transaction(tenant=tenant_id, plan="each", at_one_moment=True) as tx:
            # What metadata was is in no index.
            looks_back = await revisions.look_back(tx, tenant_id, wanted.filters.as_of)
            among = None if looks_back else await listing.with_metadata(tx, tenant_id, filter_)
            found, fitting = await listing.messages(
                tx, tenant_id, filter_, among, after, page.size + 1, newest_first=wanted.newest_first
            )
            total = await listing.total(tx, tenant_id, filter_, among) if wanted.has_total else None
        return page.cut(fitting).of(found, lambda message: (message.created_at, message.id)), total

    async def conversations(self, tenant_id: str, page: PageRequest) -> Page[Conversation]:
        """Conversations in the byte order of their ids."""
        (after,) = page.after(str) or ("",)
        async with self._database.transaction(tenant=tenant_id, plan="each") as tx:
            found = await listing.conversations(tx, tenant_id, after, page.size + 1)
        return page.of(found, lambda conversation: (conversation.conversation_id,))

    async def users(self, tenant_id: str, page: PageRequest) -> Page[User]:
        """End users in the byte order of their ids."""
        (after,) = page.after(str) or ("",)
        async with self._database.transaction(tenant=tenant_id, plan="each") as tx:
            found = await listing.users(tx, tenant_id, after, page.size + 1)
        return page.of(found, lambda user: (user.user_id,))
