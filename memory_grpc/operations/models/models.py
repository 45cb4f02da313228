"""Models: the embedding models this server holds, and which of them a tenant's memory uses.

Nobody asks the database for that before a search or an ingest: the server remembers what it saw last, and the
transaction that ranks or stores says whether it was right. Where it was not, the call embeds its text again with the
model that holds now. So a cut-over is followed by every server at once, and no answer mixes two models.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from memory_grpc.embedding import Embedder
from memory_grpc.errors import ModelChanged, ModelNotHeld
from memory_grpc.ranking import names
from memory_grpc.store import models
from memory_grpc.store.database import Database, Transaction
from memory_grpc.store.models import TenantModel

_REMEMBERED = 10_000


@dataclass(frozen=True, slots=True)
class Model:
    """A model with its number in the database."""

    id: int
    embedder: Embedder


class Models:
    """The models of one server, by their numbers in the database."""

    def __init__(self, database: Database, held: Mapping[int, Embedder], current: int, next_: int | None) -> None:
        """``current`` and ``next_`` are the models that the settings name."""
        self._database = database
        self._held = {id_: Model(id_, embedder) for id_, embedder in held.items()}
        self.current = current
        self.next = next_
        self._deployment = current
        self._own: dict[str, int] = {}

    @property
    def ids(self) -> list[int]:
        """The numbers of the models that are held."""
        return list(self._held)

    def held(self, model_id: int) -> Model | None:
        """The model of that number, if this server holds it."""
        return self._held.get(model_id)

    def forget(self) -> None:
        """Forgets what the server remembers of texts: queries, and the names of speakers."""
        for model in self._held.values():
            model.embedder.forget()
        names.forget()

    async def of(self, tenant_id: str) -> Model:
        """The tenant's model, as far as this server knows.

        Raises ModelNotHeld, after a look into the database, and StoreUnavailable with that.
        """
        model = self.held(self._own.get(tenant_id, self._deployment))
        if model is None:
            async with self._database.transaction(tenant=tenant_id) as tx:
                model = self.held(self._remember(tenant_id, await models.of_tenant(tx, tenant_id)))
        if model is None:
            raise ModelNotHeld
        return model

    async def hold_the_deployments(self, tx: Transaction) -> bool:
        """Whether this server can answer for tenants without a model of their own."""
        return any(model.active and model.id in self._held for model in await models.all_(tx))

    def check_read(self, tenant_id: str, model: Model, found: TenantModel, *, is_of_copy: bool = False) -> None:
        """Raises ModelChanged unless the tenant's searches read this model's vectors. What a copy of the database says
        is not remembered: it may be behind.

        ``found`` is to be asked for after the ranking, in its transaction: old vectors are removed after the cut-over
        only, so what was ranked before this said yes was whole.
        """
        if (found.model_id if is_of_copy else self._remember(tenant_id, found)) != model.id:
            raise ModelChanged

    async def check_write(self, tx: Transaction, tenant_id: str, model: Model) -> int | None:
        """The same for storing vectors, and keeps it so until the transaction ends.

        Returns the number of the model that an open re-embedding will bring, whose vectors are wanted too.
        """
        found = await models.lock_shared(tx, tenant_id)
        self.check_read(tenant_id, model, found)
        return None if found.next_model_id == model.id else found.next_model_id

    def _remember(self, tenant_id: str, found: TenantModel) -> int:
        if found.own:
            if len(self._own) >= _REMEMBERED:
                self._own.clear()
            self._own[tenant_id] = found.model_id
        else:
            self._own.pop(tenant_id, None)
            self._deployment = found.model_id
        return found.model_id
