"""What processes do that are there to be killed: the service's own work, without its server."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from uuid import NAMESPACE_OID, UUID, uuid4, uuid5

from memory_grpc.domain.revisions import MessageUpdate
from memory_grpc.domain.transfer import Transferred
from memory_grpc.embedding import Embedder, create_provider
from memory_grpc.jobs import erase as erase_module
from memory_grpc.jobs.lease import Lease
from memory_grpc.operations.messages.update import Update
from memory_grpc.operations.models.models import Models
from memory_grpc.operations.models.register_models import register_models
from memory_grpc.operations.policy.policies import Policies
from memory_grpc.operations.policy.quotas import Quotas
from memory_grpc.operations.transfer.export import Export
from memory_grpc.operations.transfer.import_ import Import
from memory_grpc.settings import Settings
from memory_grpc.store import vocabularies
from memory_grpc.store.database import Database

TENANT = "chaos"


@dataclass(frozen=True)
class Parts:
    """What operations are made of."""

    settings: Settings
    database: Database
    embedder: Embedder
    models: Models
    policies: Policies
    quotas: Quotas
    words: str
    """The configuration by which words are read."""


@asynccontextmanager
async def database_at(dsn: str) -> AsyncIterator[Database]:
    """A pool as a server's, but small, and patient: a machine may be busy with all else that is killed."""
    database = Database(dsn, min_size=1, max_size=3, max_waiting=100, timeout_seconds=30.0)
    await database.open()
    try:
        yield database
    finally:
        await database.close()


@asynccontextmanager
async def parts_at(dsn: str) -> AsyncIterator[Parts]:
    """The same with a model."""
    settings = Settings(embedding_provider="hashing")
    embedder = Embedder.of(create_provider(settings), settings)
    await embedder.start()
    try:
        async with database_at(dsn) as database:
            models = await register_models(database, embedder, None)
            words = vocabularies.named(settings.search_text_config)
            policies = Policies(database, settings)
            yield Parts(settings, database, embedder, models, policies, Quotas(database, policies), words)
    finally:
        await embedder.close()


async def erase(dsn: str, batch: int) -> None:
    """Brings every erasure that was applied to its end."""
    erase_module.BATCH = batch
    async with database_at(dsn) as database:
        await erase_module.Erase(database, Lease(database, erase_module.LEASE, uuid4(), erase_module.LEASE_SECONDS))()


def words_of(place: int, version: int) -> str:
    """What the message at a place says in a version."""
    return f"turn{place} says mark{version}"


def request_of(place: int, version: int) -> UUID:
    """Under which request id it was made to say so."""
    return uuid5(NAMESPACE_OID, f"{place} {version}")


async def update(dsn: str, ids: Sequence[str], version: int) -> None:
    """Has messages say what they say in a version, every other one without its vectors, each under its request id."""
    async with parts_at(dsn) as parts:
        updates = Update(
            parts.database,
            parts.models,
            parts.policies,
            parts.quotas,
            embed_later=False,
            word_config=parts.words,
        )
        for place, id_ in enumerate(ids):
            changes = {"content": words_of(place, version)}
            request_id, later = request_of(place, version), (place + version) % 2 == 1
            await updates(MessageUpdate(UUID(id_), TENANT, changes, request_id=request_id, embed_later=later))


async def exported(database: Database, tenant_id: str, *, with_vectors: bool) -> list[Transferred]:
    """All messages of a tenant with their revisions, as of one tenant for all. None was updated so often that further
    revisions follow it."""
    export = Export(database, 30.0)
    found = []
    async for one in export(tenant_id, None, None, with_vectors=with_vectors):
        assert isinstance(one, Transferred)
        assert not one.more
        found.append(replace(one, message=replace(one.message, tenant_id=TENANT)))
    return found


async def move(dsn: str, to: str, batch: int) -> None:
    """Exports everything and imports it into another tenant, batch by batch."""
    async with parts_at(dsn) as parts:
        found = await exported(parts.database, TENANT, with_vectors=True)
        import_ = Import(parts.database, parts.models, parts.quotas, word_config=parts.words)
        for start in range(0, len(found), batch):
            await import_(to, found[start : start + batch])
