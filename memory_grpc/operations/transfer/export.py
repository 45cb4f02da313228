"""Export: a tenant's messages, page by page.

Each page is read in a short transaction of its own, and the next one once the last is taken: a reader that is slow
holds no transaction open, and no more than a page of memory.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial
from uuid import UUID

from memory_grpc import deadline, positions
from memory_grpc.domain.transfer import MessageVectors, OwnPolicy, Transferred, TransferredRevision
from memory_grpc.filtering import EVERYTHING, Node, Where, where
from memory_grpc.operations.policy.policies import QUOTA
from memory_grpc.store import models, transfer, transfer_revisions
from memory_grpc.store import policy as policy_store
from memory_grpc.store.database import Transaction
from memory_grpc.store.replicas import Reader

# Messages that are looked at for a page, or fewer where they are long.
_PAGE = 128
_BEFORE_ALL = UUID(int=0)


class Export:
    """Reads what passes a filter, live or archived."""

    def __init__(self, database: Reader, timeout_seconds: float) -> None:
        """``timeout_seconds`` bounds the reading of a page."""
        self._database = database
        self._timeout_seconds = timeout_seconds

    async def policy(self, tenant_id: str) -> OwnPolicy:
        """The tenant's own policy, but for its quota: how much may be stored is for who runs the service to say."""
        own = await positions.read(partial(self._own_policy, tenant_id))
        return OwnPolicy({path: value for path, value in own.values.items() if not path.startswith(QUOTA)})

    async def __call__(
        self, tenant_id: str, filter_: Node | None, after: UUID | None, *, with_vectors: bool
    ) -> AsyncIterator[Transferred]:
        """The messages past ``after`` (None: all) that pass, in the order of their ids. Raises StoreUnavailable and
        DeadlineExceeded; the export can be gone on with from the last message that came."""
        condition = where(filter_ or EVERYTHING, "m")
        last: UUID | None = after or _BEFORE_ALL
        while last is not None:
            page = partial(self._page, tenant_id, condition, last, with_vectors=with_vectors)
            found, last = await positions.read(page)
            for one in found:
                yield one

    async def _own_policy(self, tenant_id: str) -> policy_store.StoredPolicy:
        async with self._database.transaction(tenant=tenant_id) as tx:
            return await policy_store.get(tx, tenant_id)

    async def _page(
        self, tenant_id: str, condition: Where, after: UUID, *, with_vectors: bool
    ) -> tuple[list[Transferred], UUID | None]:
        """A page, and the last message that was looked at; None where there is nothing past it."""
        with deadline.within(self._timeout_seconds):
            async with self._database.transaction(tenant=tenant_id, plan="each") as tx:
                messages, last = await transfer.page(tx, tenant_id, condition, after, _PAGE)
                revisions = await transfer_revisions.of_messages(tx, tenant_id, messages)
                found = [
                    Transferred(m, revisions=tuple(map(TransferredRevision, revisions.get(m.id, ())))) for m in messages
                ]
                return (await _with_vectors(tx, tenant_id, found) if with_vectors and found else found), last


async def _with_vectors(tx: Transaction, tenant_id: str, found: list[Transferred]) -> list[Transferred]:
    """The same with the vectors that the tenant's searches read, where there are any."""
    model_id = (await models.of_tenant(tx, tenant_id)).model_id
    name = next(model.identity for model in await models.all_(tx) if model.id == model_id)
    ids = [one.message.id for one in found]
    vectors = await transfer.vectors(tx, tenant_id, model_id, ids)
    updated = [one.message.id for one in found if one.revisions]
    past = await transfer_revisions.vectors(tx, tenant_id, model_id, updated) if updated else {}

    def of(windows: tuple[bytes, ...] | None) -> MessageVectors | None:
        return None if windows is None else MessageVectors(name, windows)

    return [
        Transferred(
            one.message,
            of(vectors.get(one.message.id)),
            tuple(
                replace(was, vectors=of(past.get((one.message.id, was.revision.message.revision))))
                for was in one.revisions
            ),
        )
        for one in found
    ]
