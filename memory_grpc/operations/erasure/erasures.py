"""Erasures: plans, begins, shows and verifies them; the messages are erased by ``jobs/erase.py``."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from uuid import UUID

import structlog

from memory_grpc.domain.erasure import Check, Erasure, Plan
from memory_grpc.errors import NotFound, WrongState
from memory_grpc.filtering import Node
from memory_grpc.store import erasures
from memory_grpc.store.database import Database, Transaction

# How long a plan can be applied.
PLAN_SECONDS = 3600.0
# Ids that the plans of a tenant hold before the next is made: no quota counts them.
MOST_PLANNED = 1_000_000

log = structlog.get_logger(__name__)


class Erasures:
    """The foreground half of an erasure. All of it is of one tenant; NotFound is for what another tenant has, too."""

    def __init__(self, database: Database, new_id: Callable[[], UUID]) -> None:
        self._database = database
        self._new_id = new_id

    async def plan(self, tenant_id: str, scope: str, where: Node, by: str, sample_size: int) -> Plan:
        """Keeps the ids of the messages that pass a filter, all as of one moment, and counts what belongs to them.

        Before that, where its older plans hold too many ids together, the oldest of them expire, never the newest; also
        when this one fails. Raises StoreUnavailable and DeadlineExceeded; nothing is planned then.
        """
        id_ = self._new_id()
        async with self._database.transaction(tenant=tenant_id) as tx:
            await erasures.crowd_out(tx, tenant_id, MOST_PLANNED)
        async with self._database.transaction(tenant=tenant_id, plan="each", at_one_moment=True) as tx:
            erasure = await erasures.plan(tx, tenant_id, id_, where, scope=scope, by=by, seconds=PLAN_SECONDS)
            sample = await erasures.sample(tx, tenant_id, id_, sample_size)
        return Plan(erasure, sample)

    async def apply(self, tenant_id: str, erasure_id: UUID, by: str) -> Erasure:
        """Has the work begin, once; one that was begun is returned as it is.

        Raises NotFound, and WrongState when the plan has expired.
        """
        async with self._database.transaction(tenant=tenant_id) as tx:
            begun = await erasures.apply(tx, tenant_id, erasure_id, by)
            erasure = await _get(tx, tenant_id, erasure_id)
        if erasure.state == "planned":
            raise WrongState("This plan has expired: make a new plan.")
        if begun:
            log.info("erasure_begun", id=str(erasure_id), scope=erasure.scope, messages=erasure.planned)
        return erasure

    async def get(self, tenant_id: str, erasure_id: UUID) -> Erasure:
        """One erasure. Raises NotFound."""
        async with self._database.transaction(tenant=tenant_id) as tx:
            tx.rests_on_earlier = True
            return await _get(tx, tenant_id, erasure_id)

    async def receipt(self, tenant_id: str, erasure_id: UUID) -> Erasure:
        """One that is done. Raises NotFound, and WrongState before."""
        erasure = await self.get(tenant_id, erasure_id)
        if erasure.state != "done":
            raise WrongState("The erasure is not done yet.")
        return erasure

    async def verify(self, tenant_id: str, erasure_id: UUID) -> tuple[Erasure, Sequence[Check]]:
        """What is found of the messages of an erasure, at one moment. Raises NotFound, and WrongState while messages
        are still to be erased."""
        async with self._database.transaction(tenant=tenant_id, plan="each", at_one_moment=True) as tx:
            tx.rests_on_earlier = True
            erasure = await _get(tx, tenant_id, erasure_id)
            if erasure.state in ("planned", "erasing"):
                raise WrongState("The erasure still has messages to erase.")
            checks = await erasures.look(tx, erasure)
        how = "whether they were vacuumed, and sampled anew, after the last message was erased"
        return erasure, [*checks, Check("pages of the tables", int(erasure.state != "done"), how)]


async def _get(tx: Transaction, tenant_id: str, erasure_id: UUID) -> Erasure:
    erasure = await erasures.get(tx, tenant_id, erasure_id)
    if erasure is None:
        raise NotFound("There is no such erasure, or its plan has expired.")
    return erasure
