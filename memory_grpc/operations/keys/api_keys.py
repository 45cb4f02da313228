"""Keys: makes, lists and revokes them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from uuid import UUID

import structlog

from memory_grpc import access
from memory_grpc.access import Grant
from memory_grpc.domain.keys import ApiKey, NewApiKey
from memory_grpc.errors import InvalidInput, NotFound, Unauthenticated
from memory_grpc.operations.keys.keyring import Keyring
from memory_grpc.paging import Page, PageRequest
from memory_grpc.store import keys as key_store
from memory_grpc.store.database import EVERY_TENANT, Database

log = structlog.get_logger(__name__)


class Keys:
    """Only an admin for all tenants comes this far, so that no key can make one with more rights than its own."""

    def __init__(
        self, database: Database, keyring: Keyring, new_id: Callable[[], UUID], new_key: Callable[[], str]
    ) -> None:
        self._database = database
        self._keyring = keyring
        self._new_id = new_id
        self._new_key = new_key

    async def create(self, new: NewApiKey, maker: Grant) -> tuple[ApiKey, str]:
        """The key that was made, and its text, which nobody can show again. Raises InvalidInput.

        Raises Unauthenticated when somebody without a key would make another than the first: this server has not yet
        heard of the first.
        """
        if maker.is_anonymous and (new.role != "admin" or new.tenant_ids is not None):
            raise InvalidInput.of(
                "role",
                "the first key must be an admin key for all tenants, unless MEMORY_API_KEYS is set: from then on every "
                "call needs a key, and no other kind of key can make more",
            )
        key = self._new_key()
        prefix = access.prefix_of(key)
        assert prefix is not None, "a new key has the form of one"
        async with self._database.transaction(tenant=EVERY_TENANT) as tx:
            if maker.is_anonymous:
                await key_store.lock_first(tx)  # of many at once, one makes the first key
                if await key_store.is_any(tx):
                    raise Unauthenticated
            made = await key_store.insert(tx, self._new_id(), prefix, access.digest(key), new)
        if made is None:
            raise InvalidInput.of("expires_at", "must be in the future")
        self._keyring.forget()
        log.info("api_key_created", key_id=str(made.id), prefix=made.prefix, by=str(maker.key_id or ""))
        return made, key

    async def page(self, page: PageRequest) -> Page[ApiKey]:
        """Keys in the order in which they were made. Raises InvalidInput."""
        after = page.after(datetime, UUID)
        async with self._database.transaction(tenant=EVERY_TENANT) as tx:
            found = await key_store.page(tx, after, page.size + 1)
        return page.of(found, lambda key: (key.created_at, key.id))

    async def revoke(self, key_id: UUID, by: Grant) -> ApiKey:
        """The revoked key. Raises NotFound."""
        async with self._database.transaction(tenant=EVERY_TENANT) as tx:
            revoked = await key_store.revoke(tx, key_id)
        if revoked is None:
            raise NotFound
        self._keyring.forget()
        log.info("api_key_revoked", key_id=str(revoked.id), prefix=revoked.prefix, by=str(by.key_id or ""))
        return revoked
