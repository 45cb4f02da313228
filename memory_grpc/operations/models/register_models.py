"""Gives the models that the settings name their numbers in the database, and refuses a start without those that its
memories use."""

from __future__ import annotations

from memory_grpc.embedding import Embedder, ModelIdentity
from memory_grpc.errors import StartupError
from memory_grpc.operations.models.models import Models
from memory_grpc.store import models as model_store
from memory_grpc.store.database import EVERY_TENANT, Database
from memory_grpc.store.models import StoredModel


async def register_models(database: Database, current: Embedder, next_: Embedder | None) -> Models:
    """The server's models. In an empty database the current one becomes the deployment's.

    Raises StartupError when the deployment, or a tenant, uses a model that is neither of them.
    """
    embedders = [current] if next_ is None else [current, next_]
    async with database.transaction(tenant=EVERY_TENANT) as tx:
        for embedder in embedders:
            identity = embedder.identity
            await model_store.register(
                tx,
                name=identity.name,
                revision=identity.revision,
                precision=identity.precision,
                dimensions=identity.dimensions,
                first=embedder is current,
            )
        known = await model_store.all_(tx)
        of_tenants = await model_store.of_tenants(tx)
    numbers = {_identity(model): model.id for model in known}
    held = {numbers[embedder.identity]: embedder for embedder in embedders}
    for model in known:
        if model.id not in held and (model.active or model.id in of_tenants):
            raise StartupError(_refusal(model, current.identity))
    return Models(database, held, numbers[current.identity], numbers[next_.identity] if next_ is not None else None)


def _identity(model: StoredModel) -> ModelIdentity:
    return ModelIdentity(model.name, model.revision, model.precision, model.dimensions)


def _refusal(model: StoredModel, configured: ModelIdentity) -> str:
    whose = "The database holds" if model.active else "Some tenants have"
    return (
        f"{whose} embeddings of {_described(_identity(model))}, but the configured model is {_described(configured)}, "
        "and vectors of two models cannot be compared: name the former with MEMORY_EMBEDDING_MODEL_NAME, and to change "
        "to the latter name it with MEMORY_EMBEDDING_NEXT_MODEL_NAME and run `memory-grpc reembed`."
    )


def _described(model: ModelIdentity) -> str:
    return f"{model.name} ({model.precision}, {model.dimensions} dimensions, revision {model.revision})"
