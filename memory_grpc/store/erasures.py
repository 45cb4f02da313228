"""erasures and erasure_items: which messages are to be erased, how far that is, and what is found of it afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from psycopg.types.json import Jsonb

from memory_grpc.domain.erasure import Check, Erasure, Rows
from memory_grpc.domain.messages import StoredMessage
from memory_grpc.filtering import Node, where
from memory_grpc.store import quotas
from memory_grpc.store.database import Row, Transaction
from memory_grpc.store.erasure import COUNTED, parts


async def plan(
    tx: Transaction, tenant_id: str, erasure_id: UUID, node: Node, *, scope: str, by: str, seconds: float
) -> Erasure:
    """Notes which messages pass a filter, and counts what belongs to them. All of it is to be seen at one moment."""
    one = _one(tenant_id, erasure_id)
    await tx.execute("erasures.begin", one | {"scope": scope, "by": by, "seconds": seconds})
    condition = where(node, "m")
    await tx.execute("erasures.choose", one | dict(condition.params), parts=(("filter", condition.text),))
    rows = {}
    for table in COUNTED:
        row = await tx.one("erasures.count_rows", one, parts=parts(table))
        rows[table.name] = int(row["rows"]) if row else 0
    await tx.execute("erasures.measure", one | {"rows": Jsonb(rows)})
    found = await get(tx, tenant_id, erasure_id)
    assert found is not None, "it was just planned"
    return found


async def crowd_out(tx: Transaction, tenant_id: str, most: int) -> None:
    """Has a tenant's older plans expire where together they hold more than ``most`` ids."""
    await tx.execute("erasures.crowd_out", {"tenant_id": tenant_id, "most": most})


async def sample(tx: Transaction, tenant_id: str, erasure_id: UUID, limit: int) -> list[StoredMessage]:
    """Some of the messages of a plan, the newest first."""
    rows = await tx.all("erasures.sample", _one(tenant_id, erasure_id) | {"limit": limit})
    return [StoredMessage(**row) for row in rows]


async def get(tx: Transaction, tenant_id: str, erasure_id: UUID) -> Erasure | None:
    """One erasure."""
    return _erasure(await tx.one("erasures.get", _one(tenant_id, erasure_id)))


async def apply(tx: Transaction, tenant_id: str, erasure_id: UUID, by: str) -> bool:
    """Begins a plan; False when it is begun already, too old, or not there."""
    return await tx.one("erasures.apply", _one(tenant_id, erasure_id) | {"by": by}) is not None


async def open_(tx: Transaction) -> list[Erasure]:
    """The erasures of every tenant that have something left to do, the first applied first."""
    return [Erasure(**row) for row in await tx.all("erasures.open")]


async def expire(tx: Transaction) -> int:
    """Forgets the plans that were not applied in time; returns how many."""
    return await tx.execute("erasures.expire")


async def hold(tx: Transaction, work: Erasure) -> Erasure | None:
    """The erasure as it is now, kept so until the transaction ends; None when it is in another state by now."""
    return _erasure(await tx.one("erasures.hold", _of(work) | {"state": work.state}))


async def next_messages(tx: Transaction, work: Erasure, limit: int) -> list[UUID]:
    """The next messages to erase."""
    return [row["message_id"] for row in await tx.all("erasures.next_messages", _of(work) | {"limit": limit})]


async def note_progress(tx: Transaction, work: Erasure, gone: Rows) -> None:
    """Adds what is gone now to what an erasure, as it was held, has erased before."""
    total = {name: work.erased_rows.get(name, 0) + rows for name, rows in gone.items()}
    await tx.execute(
        "erasures.note_progress", _of(work) | {"erased": work.erased + gone["messages"], "rows": Jsonb(total)}
    )


async def note_error(tx: Transaction, work: Erasure, error: str) -> None:
    """Notes the class of what holds it up."""
    await tx.execute("erasures.note_error", _of(work) | {"error": error})


async def advance(tx: Transaction, work: Erasure, state: str) -> None:
    """To the next state."""
    when = {"cleaning": "erased_at", "done": "finished_at"}[state]
    await tx.execute("erasures.advance", _of(work) | {"state": state}, parts=(("when", when),))


async def forget_vocabulary(tx: Transaction, tenant_id: str) -> None:
    """Forgets how the tenant's words were stored, unless some are. Call it under ``vocabularies.lock``."""
    left = await tx.one("erasures.count_words", {"tenant_id": tenant_id})
    if left and not left["found"]:
        await tx.execute("erasures.forget_vocabulary", {"tenant_id": tenant_id})


async def revoke_keys(tx: Transaction, tenant_id: str, by: str) -> None:
    """Revokes the keys for this tenant alone; the one that applied the erasure lasts a day, to read the receipt."""
    await tx.execute("erasures.revoke_keys", {"tenant_id": tenant_id, "by": by})


async def forget_model(tx: Transaction, tenant_id: str) -> None:
    """The deployment's model for a tenant without messages; vectors of those that came since are of its own. Call it
    under ``models.lock_exclusive``."""
    if not await quotas.messages(tx, tenant_id, 1):
        await tx.execute("models.forget_tenant", {"tenant_id": tenant_id})


async def look(tx: Transaction, work: Erasure) -> list[Check]:
    """What is found of an erasure's messages, place by place."""
    by_digest = "every row of the tenant, by the digest of its message"
    checks = [await _look(tx, work, "erasures.look", table.name, by_digest, parts(table)) for table in COUNTED]
    return [
        *checks,
        await _look(tx, work, "erasures.look_at_requests", "request ids", "every one, by its digest"),
        await _look(tx, work, "erasures.look_at_words", "word statistics", "when they were counted"),
    ]


async def _look(
    tx: Transaction, work: Erasure, query: str, place: str, how: str, filled: Sequence[tuple[str, str]] = ()
) -> Check:
    row = await tx.one(query, _of(work), parts=tuple(filled))
    return Check(place, int(row["found"]) if row else 0, how)


def _of(work: Erasure) -> dict[str, object]:
    return _one(work.tenant_id, work.id)


def _one(tenant_id: str, erasure_id: UUID) -> dict[str, object]:
    return {"tenant_id": tenant_id, "erasure_id": erasure_id}


def _erasure(row: Row | None) -> Erasure | None:
    return Erasure(**row) if row else None
