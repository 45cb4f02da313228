"""Re-embed messages: gives messages that have a model's vectors another model's beside them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from uuid import UUID

from memory_grpc.errors import EmbeddingUnavailable, ProviderDown
from memory_grpc.operations.guard import Guard, no_guard
from memory_grpc.operations.models import Model
from memory_grpc.store import embeddings, models, reembed
from memory_grpc.store.database import EVERY_TENANT, Database
from memory_grpc.store.reembed import Waiting

# One transaction: enough for a full batch of the model, little enough that queries are not kept waiting.
BATCH_MESSAGES = 64
BATCH_CHARACTERS = 100_000

Embedded = Callable[[int, int], Awaitable[None]]


async def nobody_counts(more: int, new: int) -> None:
    """Nobody asks for progress."""


class ReembedMessages:
    """Each batch is a transaction of its own, and harmless when repeated: what is there stays."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def tenant(self, tenant_id: str, model: Model, guard: Guard, embedded: Embedded) -> None:
        """Goes once through a tenant's messages, live ones first, and embeds those that lack the model's vectors.

        A message that is archived meanwhile is met in the archive. Texts that the model refuses go into the backlog.
        ``guard`` runs in each transaction; ``embedded`` is told how many messages were done. Raises ProviderDown,
        QueueFull, StoreUnavailable; what was done before stays.
        """
        for archived in (False, True):
            after = reembed.FIRST
            while True:
                async with self._database.transaction(tenant=tenant_id, plan="each") as tx:
                    texts = await reembed.missing(tx, tenant_id, model.id, after, BATCH_MESSAGES, archived=archived)
                if not texts:
                    break
                after = next(reversed(texts))
                for batch in _batches(texts):
                    try:
                        await self._store(tenant_id, model, batch, guard)
                    except ProviderDown:
                        raise
                    except EmbeddingUnavailable:
                        async with self._database.transaction(tenant=tenant_id, plan="each") as tx:
                            await reembed.note_many(tx, tenant_id, list(batch), attempts=1)
                    else:
                        await embedded(len(batch), 0)

    async def backlog(self, model: Model, guard: Guard, embedded: Embedded) -> None:
        """Works the backlog off until less than a batch comes in meanwhile. Raises as ``tenant``.

        While messages arrive all the time it need never be empty: the last of them are a cut-over's. What the model
        refuses is tried until it was refused too often, and stays in the backlog.
        """
        while True:
            async with self._database.transaction(tenant=EVERY_TENANT) as tx:
                waiting = await reembed.backlog(tx, BATCH_MESSAGES)
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

        Raises as ``tenant``.
        """
        refused = 0
        groups: dict[str, list[Waiting]] = defaultdict(list)
        for one in waiting:
            groups[one.tenant_id].append(one)
        for tenant_id, group in groups.items():
            ids = [one.message_id for one in group]
            async with self._database.transaction(tenant=tenant_id, plan="each") as tx:
                texts = await reembed.contents(tx, tenant_id, ids)
                await reembed.settle(tx, tenant_id, [id_ for id_ in ids if id_ not in texts])
            new = {one.message_id for one in group if one.attempts == 0}
            together = {id_: text for id_, text in texts.items() if id_ in new}
            alone = [{id_: text} for id_, text in texts.items() if id_ not in new]
            for batch in [*_batches(together), *alone]:
                try:
                    await self._store(tenant_id, model, batch, guard)
                except ProviderDown:
                    raise
                except EmbeddingUnavailable:
                    async with self._database.transaction(tenant=tenant_id, plan="each") as tx:
                        await reembed.bump(tx, tenant_id, list(batch))
                    refused += len(batch)
                else:
                    await embedded(len(batch), len(new & batch.keys()))
        return refused

    async def _store(self, tenant_id: str, model: Model, texts: Mapping[UUID, str], guard: Guard) -> None:
        vectors = await model.embedder.embed_messages(list(texts.values()))
        async with self._database.transaction(tenant=tenant_id, plan="each") as tx:
            await models.hold_tenant(tx, tenant_id)
            await embeddings.insert_anywhere(tx, tenant_id, model.id, dict(zip(texts, vectors, strict=True)))
            await reembed.settle(tx, tenant_id, list(texts))
            await guard(tx)


def _batches(texts: Mapping[UUID, str]) -> Iterator[dict[UUID, str]]:
    """Bounded by characters too: a long text is many windows."""
    batch: dict[UUID, str] = {}
    characters = 0
    for id_, text in texts.items():
        if batch and characters + len(text) > BATCH_CHARACTERS:
            yield batch
            batch, characters = {}, 0
        batch[id_] = text
        characters += len(text)
    if batch:
        yield batch
