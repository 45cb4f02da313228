"""Follow the model: a server that a cut-over has left behind says so to whoever probes it."""

from __future__ import annotations

from typing import Protocol

import structlog

from memory_grpc.operations.models.models import Models
from memory_grpc.store.database import EVERY_TENANT, Database

log = structlog.get_logger(__name__)


class Report(Protocol):
    """Told whether the server should be called."""

    async def __call__(self, *, serving: bool) -> None: ...


class FollowModel:
    """Reports when the server stops holding the deployment's model, and when it holds it again."""

    def __init__(self, database: Database, models: Models, report: Report) -> None:
        self._database = database
        self._models = models
        self._report = report
        self._holds = True

    async def __call__(self) -> None:
        """Asks the database, and reports a change. Raises StoreUnavailable."""
        async with self._database.transaction(tenant=EVERY_TENANT) as tx:
            holds = await self._models.hold_the_deployments(tx)
        if holds is self._holds:
            return
        if not holds:
            log.error("embedding_model_not_held")
        await self._report(serving=holds)
        self._holds = holds
