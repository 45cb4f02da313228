"""Drafts: messages on their way into the store, and what becomes of those whose request_id is known."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from memory_grpc.domain.messages import Ingested, NewMessage, StoredMessage
from memory_grpc.domain.policy import Policy
from memory_grpc.errors import NotFound, RequestIdReused
from memory_grpc.operations.models.models import Model
from memory_grpc.store.embeddings import Vectors
from memory_grpc.store.idempotency import Claim

DELETED = "The message of this request_id was deleted."


@dataclass(frozen=True, slots=True, eq=False)
class Draft:
    """A message on its way into the store: its place in its request, what its importance follows from, the digest that
    a retry is known by, and its vectors where it is embedded at once."""

    message: NewMessage
    place: int
    policy: Policy
    digest: bytes | None
    vectors: Vectors | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Drafts:
    """What one call wants stored: ``fresh`` are those of its drafts that are not known to be there already, each
    request_id once; ``known`` says what the others are."""

    tenant_id: str
    drafts: Sequence[Draft]
    fresh: Sequence[Draft]
    known: Mapping[UUID, Claim]
    model: Model | None


def body_digest(message: NewMessage) -> bytes:
    """SHA-256 of everything the caller said but the request_id; the same for the same request, whoever computes it."""
    body: list[Any] = [
        message.conversation_id,
        message.role,
        message.name,
        message.content,
        message.metadata,
        message.importance_override,
        message.created_at.isoformat() if message.created_at else None,
    ]
    if message.user_id is not None:  # what was stored before there were users keeps its digest
        body.append(message.user_id)
    life: dict[str, Any] = {"pinned": message.pinned, "ttl_seconds": message.ttl_seconds}
    life["duplicate_window_seconds"] = message.duplicate_window_seconds
    life["language"] = message.language
    life |= {"expires_at": message.expires_at.isoformat() if message.expires_at else None}
    if any(life.values()):  # likewise
        body.append({name: value for name, value in life.items() if value})
    return hashlib.sha256(json.dumps(body, sort_keys=True, separators=(",", ":")).encode()).digest()


def digests_of(drafts: Sequence[Draft]) -> dict[UUID, bytes]:
    """The digest of each request id. Raises RequestIdReused where one stands for two bodies."""
    found: dict[UUID, bytes] = {}
    for draft in drafts:
        if (
            draft.message.request_id is not None
            and draft.digest is not None
            and found.setdefault(draft.message.request_id, draft.digest) != draft.digest
        ):
            raise RequestIdReused
    return found


def distinct(drafts: Sequence[Draft], known: Mapping[UUID, Claim]) -> list[Draft]:
    """The drafts that are to be stored: those of no known request id, and of each of theirs the first."""
    seen = set(known)
    fresh = []
    for draft in drafts:
        request_id = draft.message.request_id
        if request_id is None or request_id not in seen:
            fresh.append(draft)
        if request_id is not None:
            seen.add(request_id)
    return fresh


def is_reused(known: Mapping[UUID, Claim], digests: Mapping[UUID, bytes]) -> bool:
    """Whether a known request id stands for another body now."""
    return any(claim.body_digest != digests[request_id] for request_id, claim in known.items())


def outcome(
    call: Drafts,
    own: Mapping[Draft, StoredMessage],
    known: Mapping[UUID, Claim],
    repeated: Mapping[UUID, StoredMessage],
    twins: Mapping[Draft, UUID],
) -> list[Ingested] | Exception:
    """What became of the messages of one call; ``twins`` are those that were said before. NotFound when one is a
    repeat of what is no longer there."""
    by_id = {stored.id: stored for stored in own.values()} | dict(repeated)
    said_before = {draft: by_id[id_] for draft, id_ in twins.items() if id_ in by_id}
    stored_now = {draft.message.request_id: stored for draft, stored in (*own.items(), *said_before.items())}
    ingested = []
    for draft in call.drafts:
        if draft in own:  # a repeat in the same call is another draft
            ingested.append(Ingested(own[draft], repeated=False))
            continue
        if draft in said_before:
            ingested.append(Ingested(said_before[draft], repeated=True))
            continue
        request_id = draft.message.request_id
        assert request_id is not None, "only a request_id makes a repeat"
        found = stored_now.get(request_id)
        if found is None:
            found = repeated.get(known[request_id].message_id)
        if found is None:
            return NotFound(DELETED)
        ingested.append(Ingested(found, repeated=True))
    return ingested
