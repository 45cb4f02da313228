"""Re-embeddings: starts, shows, cancels and cuts over a change of model."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass

import structlog

from memory_grpc.errors import EmbeddingUnavailable, ModelNotHeld, NotFound, StoreUnavailable, WrongState
from memory_grpc.operations.models.models import Model, Models
from memory_grpc.operations.models.reembed_messages import BATCH_MESSAGES, ReembedMessages, nobody_counts
from memory_grpc.store import jobs
from memory_grpc.store import models as model_store
from memory_grpc.store import reembedding as reembedding_store
from memory_grpc.store.database import EVERY_TENANT, Database, Transaction
from memory_grpc.store.guard import no_guard
from memory_grpc.store.models import StoredModel
from memory_grpc.store.reembedding import Reembedding

# A cut-over stops everybody who stores vectors. It waits this long for those in flight, and then embeds what is left,
# for this long at most. Where that is not enough it lets the others go on, embeds beside them for a while, and tries
# again. Nothing arrives while it embeds alone, so that each round has less left, also where messages arrive faster than
# they are embedded.
_LOCK_MILLISECONDS = 2000
_LAST_SECONDS = 2.0
_BESIDE_SECONDS = 1.0
_ROUNDS = 10

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class ReembeddingReport:
    """A re-embedding and its two models."""

    reembedding: Reembedding
    previous: StoredModel
    model: StoredModel


class Reembeddings:
    """The foreground half of a change of model; the vectors are made by ``jobs/reembed.py``."""

    def __init__(self, database: Database, models: Models) -> None:
        self._database = database
        self._models = models
        self._messages = ReembedMessages(database)

    async def start(self, tenant_id: str | None, target: str, *, keep_old: bool) -> ReembeddingReport:
        """Opens a re-embedding of a tenant, or of all, with the ``next`` or the ``current`` model of the settings.

        One that is open for the same tenant and model is returned as it is. Raises WrongState when another is open, or
        there is no next model; StoreUnavailable.
        """
        model_id = self._models.current if target == "current" else self._models.next
        if model_id is None:
            raise WrongState(
                "This server has only one model: set MEMORY_EMBEDDING_NEXT_MODEL_NAME (or another MEMORY_EMBEDDING_"
                "NEXT_ variable) and restart every server."
            )
        async with self._database.transaction(tenant=EVERY_TENANT) as tx:
            # Alone, so that whoever stores vectors has either committed already or sees the re-embedding.
            await model_store.lock_exclusive(tx, _LOCK_MILLISECONDS)
            work = await reembedding_store.current(tx)
            if work is None:
                previous = await model_store.of_tenant(tx, tenant_id or "")
                await reembedding_store.clear(tx)
                await reembedding_store.start(
                    tx,
                    tenant_id=tenant_id,
                    previous_model_id=previous.model_id,
                    model_id=model_id,
                    keep_old=keep_old,
                )
                log.info("reembedding_started", of_all=tenant_id is None, model=model_id)
            elif (work.tenant_id, work.model_id) != (tenant_id, model_id) or work.state == "cut_over":
                raise WrongState(f"Re-embedding {work.id} is still open, and there can be only one at a time.")
            return await self._report(tx, await reembedding_store.current(tx))

    async def get(self, id_: int | None) -> ReembeddingReport:
        """One re-embedding, or the newest. Raises NotFound."""
        async with self._database.transaction(tenant=EVERY_TENANT) as tx:
            found = reembedding_store.newest(tx) if id_ is None else reembedding_store.get(tx, id_)
            return await self._report(tx, await found)

    async def cancel(self, id_: int) -> ReembeddingReport:
        """Ends a re-embedding before its cut-over; the vectors it made stay, for the next start to go on from.

        Raises NotFound, and WrongState after the cut-over.
        """
        async with self._database.transaction(tenant=EVERY_TENANT) as tx:
            await model_store.lock_exclusive(tx, _LOCK_MILLISECONDS)
            if await reembedding_store.advance(tx, id_, ["running", "ready"], "cancelled"):
                await reembedding_store.clear(tx)
            report = await self._report(tx, await reembedding_store.get(tx, id_))
            if report.reembedding.state != "cancelled":
                raise WrongState("The cut-over is done: to go back, re-embed with the previous model.")
            return report

    async def cut_over(self, id_: int) -> ReembeddingReport:
        """Makes searches read the new vectors, in one transaction; done already, it does nothing.

        Raises NotFound; WrongState before every vector is there, and after a cancel; ModelNotHeld where another server
        has to be asked; StoreUnavailable when messages keep arriving faster than they are embedded: nothing is changed
        then, and the call may be made again.
        """
        for _ in range(_ROUNDS):
            report = await self.get(id_)
            work = report.reembedding
            if work.state in ("cut_over", "done"):
                return report
            model = self._ready(work)
            with suppress(TimeoutError):
                async with asyncio.timeout(_BESIDE_SECONDS):
                    await self._messages.backlog(model, no_guard, nobody_counts)
            try:
                async with self._database.transaction(tenant=EVERY_TENANT) as tx:
                    await model_store.lock_exclusive(tx, _LOCK_MILLISECONDS)
                    if await self._cut_over(tx, id_, model):
                        log.info("reembedding_cut_over", id=id_, of_all=work.tenant_id is None)
                        return await self._report(tx, await reembedding_store.get(tx, id_))
            except StoreUnavailable:
                continue
        raise StoreUnavailable("Messages arrive faster than they can be embedded; try the cut-over again.")

    async def _cut_over(self, tx: Transaction, id_: int, model: Model) -> bool:
        """True when done; False when more has to be embedded first. Nobody else stores vectors meanwhile."""
        work = await reembedding_store.get(tx, id_)
        assert work is not None, "re-embeddings are never deleted"
        if work.state in ("cut_over", "done"):
            return True
        self._ready(work)
        ends_at = asyncio.get_running_loop().time() + _LAST_SECONDS
        while waiting := await reembedding_store.backlog(tx, BATCH_MESSAGES):
            try:
                async with asyncio.timeout_at(ends_at):
                    # In transactions of their own, on a second connection: vectors beside the old ones change nothing
                    # yet.
                    await self._messages.some(waiting, model)
            except (TimeoutError, EmbeddingUnavailable):
                return False
        try:
            async with asyncio.timeout_at(ends_at):
                for one in await reembedding_store.refused(tx):
                    # What the new model refuses is not lost: pending messages are tried again, and are `failed` in the
                    # end.
                    async with self._database.transaction(tenant=one.tenant_id) as other:
                        await jobs.again(other, one.tenant_id, [one.message_id])
        except TimeoutError:
            return False
        await model_store.use(tx, work.model_id, work.tenant_id)
        await reembedding_store.clear(tx)
        await reembedding_store.advance(tx, id_, ["ready"], "cut_over")
        if work.keep_old:
            await reembedding_store.advance(tx, id_, ["cut_over"], "done")
        return True

    def _ready(self, work: Reembedding) -> Model:
        if work.state == "cancelled":
            raise WrongState("This re-embedding was cancelled: start a new one.")
        if work.state != "ready":
            raise WrongState(f"Embedded so far: {work.embedded:,} of {work.total:,} messages.")
        model = self._models.held(work.model_id)
        if model is None:
            raise ModelNotHeld
        return model

    async def _report(self, tx: Transaction, work: Reembedding | None) -> ReembeddingReport:
        if work is None:
            raise NotFound("There is no such re-embedding.")
        known = {model.id: model for model in await model_store.all_(tx)}
        return ReembeddingReport(work, known[work.previous_model_id], known[work.model_id])
