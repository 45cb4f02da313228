"""embedding_models and tenant_models: which models there are, whose vectors a tenant's searches read, and the locks
that keep that as it is while vectors are stored."""

from __future__ import annotations

from dataclasses import dataclass

from memory_grpc.store.database import Deferred, Row, Transaction


@dataclass(frozen=True, slots=True)
class StoredModel:
    """A row of embedding_models."""

    id: int
    name: str
    revision: str
    precision: str
    dimensions: int
    active: bool

    @property
    def identity(self) -> str:
        """As its vectors are known by outside: ``name@revision/precision/dimensions``."""
        return f"{self.name}@{self.revision}/{self.precision}/{self.dimensions}"


@dataclass(frozen=True, slots=True)
class TenantModel:
    """The model in use for a tenant; ``own`` when it is not simply the deployment's; the one that is coming, if any."""

    model_id: int
    own: bool
    next_model_id: int | None = None


async def register(tx: Transaction, *, name: str, revision: str, precision: str, dimensions: int, first: bool) -> None:
    """Gives a model a number; ``first`` makes it the deployment's, unless the database has one."""
    params = {"name": name, "revision": revision, "precision": precision, "dimensions": dimensions}
    if first and await tx.one("models.active") is None:
        await tx.execute("models.activate_first", params)
    await tx.execute("models.register", params)


async def all_(tx: Transaction) -> list[StoredModel]:
    """Every model that has a number here."""
    return [StoredModel(**row) for row in await tx.all("models.all")]


async def of_tenants(tx: Transaction) -> set[int]:
    """The models that tenants have as their own."""
    return {row["model_id"] for row in await tx.all("models.of_tenants")}


async def of_tenant(tx: Transaction, tenant_id: str) -> TenantModel:
    """Whose vectors a tenant's searches read at this moment."""
    return _tenant_model(await tx.one("models.of_tenant", {"tenant_id": tenant_id}))


async def of_tenant_deferred(tx: Transaction, tenant_id: str) -> Deferred[TenantModel]:
    """The same, not waited for."""
    return await tx.defer("models.of_tenant", {"tenant_id": tenant_id}, lambda rows: _tenant_model(rows[0]))


async def lock_shared(tx: Transaction, tenant_id: str) -> TenantModel:
    """The same as ``of_tenant``, and keeps it so until the transaction ends; for whoever stores vectors."""
    await tx.execute("models.lock_shared")
    return _tenant_model(await tx.one("models.to_write", {"tenant_id": tenant_id}))


async def lock_exclusive(tx: Transaction, milliseconds: int) -> None:
    """Waits until nobody stores vectors, and lets nobody begin. Raises StoreUnavailable when that takes too long."""
    await tx.all("models.lock_timeout", {"milliseconds": milliseconds})
    await tx.execute("models.lock_exclusive")


async def lock_tenant_shared(tx: Transaction, tenant_id: str) -> None:
    """Keeps a tenant's messages from being archived until the transaction ends."""
    await tx.execute("models.lock_tenant_shared", {"tenant_id": tenant_id})


async def lock_tenant_exclusive(tx: Transaction, tenant_id: str, milliseconds: int | None = None) -> None:
    """Waits until nobody adds vectors to the tenant's messages; for archiving.

    Whoever comes later waits behind this: work that nobody waits for should not insist. With ``milliseconds`` it raises
    StoreUnavailable when this, or a later lock of the transaction, takes longer.
    """
    if milliseconds is not None:
        await tx.all("models.lock_timeout", {"milliseconds": milliseconds})
    await tx.execute("models.lock_tenant_exclusive", {"tenant_id": tenant_id})


async def use(tx: Transaction, model_id: int, tenant_id: str | None) -> None:
    """Searches of the tenant, or of all, read this model's vectors once the transaction is committed."""
    if tenant_id is None:
        await tx.execute("models.forget_tenants")
        await tx.execute("models.deactivate")
        await tx.execute("models.activate", {"model_id": model_id})
    else:
        await tx.execute("models.forget_tenant", {"tenant_id": tenant_id})
        await tx.execute("models.set_tenant", {"tenant_id": tenant_id, "model_id": model_id})


def _tenant_model(row: Row | None) -> TenantModel:
    assert row is not None, "a server has made a model active before it serves"
    return TenantModel(**row)
