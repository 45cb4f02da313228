"""Twins: messages that were said before, and are not to be stored again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from memory_grpc.domain.messages import PreparedMessage
from memory_grpc.errors import ModelChanged
from memory_grpc.operations.messages.drafts import Draft
from memory_grpc.store import clock, duplicates
from memory_grpc.store.database import Transaction

Ready = Sequence[tuple[Draft, PreparedMessage]]


async def found(tx: Transaction, tenant_id: str, ready: Ready) -> dict[Draft, UUID]:
    """The drafts that are twins of what is stored or of a draft before them, with the ids of those.

    Keeps others from storing the same until the transaction ends, so that of calls at the same time one stores it.
    """
    asking = [(draft, one) for draft, one in ready if draft.message.duplicate_window_seconds is not None]
    if not asking:
        return {}
    keys = {draft: _key(tenant_id, draft) for draft, _ in asking}
    await duplicates.lock(tx, sorted(set(keys.values())))
    now = await clock.now(tx)
    stored = await duplicates.find(tx, tenant_id, [draft.message for draft, _ in asking])
    twins: dict[Draft, UUID] = {}
    before: dict[int, tuple[datetime, UUID]] = {}
    for place, (draft, one) in enumerate(asking):
        said_at = draft.message.created_at or now
        window = timedelta(seconds=draft.message.duplicate_window_seconds or 0)
        last = before.get(keys[draft])
        if place in stored:
            twins[draft] = stored[place]
        elif last is not None and timedelta(0) <= said_at - last[0] <= window:
            twins[draft] = last[1]
        else:
            before[keys[draft]] = (said_at, one.id)
    return twins


def claimed(ready: Ready, twins: dict[Draft, UUID]) -> list[tuple[Draft, PreparedMessage]]:
    """The drafts with the ids that their request ids stand for: a twin's is that of the message that is there."""
    return [(draft, replace(one, id=twins.get(draft, one.id))) for draft, one in ready]


def check(ready: Ready, stored: Sequence[tuple[Draft, PreparedMessage]], twins: dict[Draft, UUID]) -> None:
    """Raises ModelChanged, as after which a call begins anew, where the draft before a twin is not stored after all,
    because a call at the same time took its request_id."""
    taken = {one.id for _, one in ready} - {one.id for _, one in stored}
    if any(id_ in taken for id_ in twins.values()):
        raise ModelChanged


def _key(tenant_id: str, draft: Draft) -> int:
    """What stands for all that makes two messages the same, in 8 bytes: of others that share it one waits, no more."""
    m = draft.message
    same = json.dumps([tenant_id, m.conversation_id, m.user_id, m.role, m.content], separators=(",", ":"))
    return int.from_bytes(hashlib.sha256(same.encode()).digest()[:8], "big", signed=True)
