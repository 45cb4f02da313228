"""Re-embed messages: gives messages that have a model's vectors another model's beside them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from typing import TypeVar
from uuid import UUID

from memory_grpc.errors import EmbeddingUnavailable, ProviderDown
from memory_grpc.operations.models.models import Model
from memory_grpc.store import embeddings, models, reembedding
from memory_grpc.store.database import EVERY_TENANT, Database
from memory_grpc.store.embeddings import Vectors
from memory_grpc.store.guard import Guard, no_guard
from memory_grpc.store.reembedding import Waiting

# One transaction: enough for a full batch of the model, little enough that queries are not kept waiting.
BATCH_MESSAGES = 64
BATCH_CHARACTERS = 100_000

Embedded = Callable[[int, int], Awaitable[None]]
Key = TypeVar("Key")


async def nobody_counts(more: int, new: int) -> None:
    """Nobody asks for progress."""


class ReembedMessages:
    """Each batch is a transaction of its own, and harmless when repeated: what is there stays."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def tenant(self, tenant_id: str, model: Model, guard: Guard, embedded: Embedded) -> None:
        """Goes once through a tenant's messages and embeds those that lack the model's vectors.

        Texts that the model refuses go into the backlog.
        ``guard`` runs in each transaction; ``embedded`` is told how many messages were done. Raises ProviderDown,
        StoreUnavailable; what was done before stays.
        """
        after = reembedding.FIRST
        while True:
            async with self._database.transaction(tenant=tenant_id, plan="each") as tx:
                texts = await reembedding.missing(tx, tenant_id, model.id, after, BATCH_MESSAGES)
            if not texts:
                break
            after = next(reversed(texts))
            for batch in _batches(texts):
                try:
                    vectors = await model.embedder.embed_messages(
                        list(batch.values()), tenant=tenant_id, is_background=True
                    )
                except ProviderDown:
                    raise
                except EmbeddingUnavailable:
                    async with self._database.transaction(tenant=tenant_id, plan="each") as tx:
                        await reembedding.note_many(tx, tenant_id, list(batch), attempts=1)
                        await guard(tx)
                else:
                    await self._store(tenant_id, model, batch, dict(zip(batch, vectors, strict=True)), guard)
                    await embedded(len(batch), 0)

    async def backlog(self, model: Model, guard: Guard, embedded: Embedded) -> None:
        """Works the backlog off until less than a batch comes in meanwhile. Raises as ``tenant``.

        While messages arrive all the time it need never be empty: the last of them are a cut-over's. What the model
        refuses is tried until it was refused too often, and stays in the backlog.
        """
        while True:
            async with self._database.transaction(tenant=EVERY_TENANT) as tx:
                waiting = await reembedding.backlog(tx, BATCH_MESSAGES)
            refused = await self.some(waiting, model, guard, embedded)
            if not refused and len(waiting) < BATCH_MESSAGES:
                return

    async def some(
        self,
        waiting: Sequence[Waiting],
        model: Model,
        guard: Guard = no_guard,
        embedded: Embedded = nobody_counts,
    ) -> int:
        """Tries each of these messages once; what was refused before goes alone. Returns how many the model refuses.

        Messages of all tenants go through the model together: one of each of a hundred tenants is one batch. Raises as
        ``tenant``.
        """
        ids = _by_tenant(waiting)
        async with self._database.transaction(tenant=EVERY_TENANT, plan="each") as tx:
            found = await reembedding.contents_of_many(tx, ids)
        gone = [one for one in waiting if (one.tenant_id, one.message_id) not in found]
        for tenant_id, message_ids in _by_tenant(gone).items():
            async with self._database.transaction(tenant=tenant_id, plan="each") as tx:
                await reembedding.settle(tx, tenant_id, message_ids)
                await guard(tx)
        texts = {one: found[one.tenant_id, one.message_id] for one in waiting if one not in gone}
        together = {one: text for one, text in texts.items() if one.attempts == 0}
        alone = [{one: text} for one, text in texts.items() if one.attempts > 0]
        refused = 0
        for batch in [*_batches(together), *alone]:
            try:
                vectors = await model.embedder.embed_messages(list(batch.values()), is_background=True)
            except ProviderDown:
                raise
            except EmbeddingUnavailable:
                for tenant_id, message_ids in _by_tenant(batch).items():
                    async with self._database.transaction(tenant=tenant_id, plan="each") as tx:
                        await reembedding.bump(tx, tenant_id, message_ids)
                        await guard(tx)
                refused += len(batch)
                continue
            by_id = dict(zip((one.message_id for one in batch), vectors, strict=True))
            said = {one.message_id: text for one, text in batch.items()}
            for tenant_id, message_ids in _by_tenant(batch).items():
                await self._store(tenant_id, model, said, {id_: by_id[id_] for id_ in message_ids}, guard)
            await embedded(len(batch), sum(one.attempts == 0 for one in batch))
        return refused

    async def _store(
        self, tenant_id: str, model: Model, said: Mapping[UUID, str], vectors: Mapping[UUID, Vectors], guard: Guard
    ) -> None:
        """Stores the vectors of what messages said when they were read. One that was updated since is in the backlog,
        or among those that wait for any embedding."""
        async with self._database.transaction(tenant=tenant_id, plan="each", pipelined=True) as tx:
            await models.lock_tenant_shared(tx, tenant_id)
            now = await reembedding.contents(tx, tenant_id, list(vectors))
            same = {id_: vector for id_, vector in vectors.items() if now.get(id_) == said[id_]}
            await embeddings.insert_many(tx, tenant_id, model.id, same)
            await reembedding.settle(tx, tenant_id, [id_ for id_ in vectors if id_ in same or id_ not in now])
            await guard(tx)


def _by_tenant(waiting: Iterable[Waiting]) -> dict[str, list[UUID]]:
    groups: dict[str, list[UUID]] = defaultdict(list)
    for one in waiting:
        groups[one.tenant_id].append(one.message_id)
    return groups


def _batches(texts: Mapping[Key, str]) -> Iterator[dict[Key, str]]:
    """Bounded by characters too: a long text is many windows."""
    batch: dict[Key, str] = {}
    characters = 0
    for key, text in texts.items():
        if batch and characters + len(text) > BATCH_CHARACTERS:
            yield batch
            batch, characters = {}, 0
        batch[key] = text
        characters += len(text)
    if batch:
        yield batch
