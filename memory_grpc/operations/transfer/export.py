"""Export: a tenant's messages, page by page.

Each page is read in a short transaction of its own, and the next one once the last is taken: a reader that is slow
holds no transaction open, and no more than a page of memory. What a message was is read in the same way, portion by
portion, where it is long.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain
from uuid import UUID

from memory_grpc import deadline, positions
from memory_grpc.domain.messages import StoredMessage
from memory_grpc.domain.revisions import Revision
from memory_grpc.domain.transfer import (
    FurtherRevisions,
    MessageVectors,
    OwnPolicy,
    Rest,
    Transferred,
    TransferredRevision,
)
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
        self,
        tenant_id: str,
        filter_: Node | None,
        after: UUID | None,
        rest: Rest | None = None,
        *,
        with_vectors: bool,
    ) -> AsyncIterator[Transferred | FurtherRevisions]:
        """The messages past ``after`` (None: all) that pass, in the order of their ids, each with what it was, which
        comes behind it where it is long; before them the ``rest`` of the revisions of ``after``. Raises
        StoreUnavailable and DeadlineExceeded; the export can be gone on with from the last that came."""
        condition = where(filter_ or EVERYTHING, "m")
        last: UUID | None = after or _BEFORE_ALL
        if rest is not None and after is not None:
            async for further in self._further(tenant_id, after, rest, with_vectors=with_vectors):
                yield further
        while last is not None:
            page = partial(self._page, tenant_id, condition, last, with_vectors=with_vectors)
            found, last = await positions.read(page)
            for one in found:
                yield one
                if one.more:
                    rest = Rest(_last(one.revisions), one.message.revision)
                    async for further in self._further(tenant_id, one.message.id, rest, with_vectors=with_vectors):
                        yield further

    async def _further(
        self, tenant_id: str, message_id: UUID, rest: Rest, *, with_vectors: bool
    ) -> AsyncIterator[FurtherRevisions]:
        more = True
        while more:
            portion = partial(self._portion, tenant_id, message_id, rest, with_vectors=with_vectors)
            further = await positions.read(portion)
            if further is None:  # a copy may be behind that which the message was read from
                positions.require(positions.UNKNOWN)
                further = await positions.read(portion)
            if further is None:
                further = FurtherRevisions(message_id, rest.before, ())
            yield further
            rest, more = replace(rest, after=_last(further.revisions)), further.more

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
                updated = {m.id: (m, Rest(0, m.revision)) for m in messages if m.revision > 1}
                found, cut_at = await transfer_revisions.of_messages(tx, tenant_id, updated)
                if cut_at is not None:  # the page ends there, so that the next one reads many histories at once again
                    messages, last = [m for m in messages if m.id <= cut_at], cut_at
                revisions = await _transferred(tx, tenant_id, found, with_vectors=with_vectors)
                vectors = await _of_messages(tx, tenant_id, messages) if with_vectors and messages else {}
        return [
            Transferred(
                m,
                vectors.get(m.id),
                revisions.get(m.id, ()),
                more=m.id == cut_at,
            )
            for m in messages
        ], last

    async def _portion(
        self, tenant_id: str, message_id: UUID, rest: Rest, *, with_vectors: bool
    ) -> FurtherRevisions | None:
        """The next revisions of a message; None where it is gone, or has yet to become what it was."""
        with deadline.within(self._timeout_seconds):
            async with self._database.transaction(tenant=tenant_id, plan="each") as tx:
                message = (await transfer.there(tx, tenant_id, [message_id])).get(message_id)
                if message is None or message.revision < rest.before:
                    return None
                found, cut_at = await transfer_revisions.of_messages(tx, tenant_id, {message_id: (message, rest)})
                revisions = await _transferred(tx, tenant_id, found, with_vectors=with_vectors)
        return FurtherRevisions(message_id, rest.before, revisions.get(message_id, ()), more=cut_at is not None)


def _last(revisions: Sequence[TransferredRevision]) -> int:
    return revisions[-1].revision.message.revision if revisions else 0


async def _of_messages(
    tx: Transaction, tenant_id: str, messages: Sequence[StoredMessage]
) -> dict[UUID, MessageVectors]:
    """The vectors that the tenant's searches read, where there are any."""
    model_id, name = await _model(tx, tenant_id)
    found = await transfer.vectors(tx, tenant_id, model_id, [message.id for message in messages])
    return {id_: MessageVectors(name, windows) for id_, windows in found.items()}


async def _transferred(
    tx: Transaction, tenant_id: str, found: Mapping[UUID, Sequence[Revision]], *, with_vectors: bool
) -> dict[UUID, tuple[TransferredRevision, ...]]:
    """Revisions, with their vectors where these are wanted."""
    vectors: dict[tuple[UUID, int], MessageVectors] = {}
    if with_vectors and found:
        model_id, name = await _model(tx, tenant_id)
        windows = await transfer_revisions.vectors(tx, tenant_id, model_id, list(chain(*found.values())))
        vectors = {key: MessageVectors(name, of) for key, of in windows.items()}
    return {
        id_: tuple(TransferredRevision(was, vectors.get((id_, was.message.revision))) for was in revisions)
        for id_, revisions in found.items()
    }


async def _model(tx: Transaction, tenant_id: str) -> tuple[int, str]:
    """The model that the tenant's searches use, and its name."""
    model_id = (await models.of_tenant(tx, tenant_id)).model_id
    return model_id, next(model.identity for model in await models.all_(tx) if model.id == model_id)
