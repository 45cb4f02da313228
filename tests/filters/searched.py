"""Messages of every kind in a tenant of a server, to be searched with filters; and what of them a search must find."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from random import Random
from typing import Any
from uuid import UUID

import numpy as np

from memory_grpc.domain.messages import NewMessage, PreparedMessage
from memory_grpc.embedding.hashing import HashingProvider
from memory_grpc.filtering import (
    Node,
    all_of,
    any_of,
    comparisons,
    equals,
    mentions,
    metadata_holds,
    metadata_reads,
    parse,
)
from memory_grpc.filtering.parse import LONGEST
from memory_grpc.ids import Uuid7
from memory_grpc.store import embeddings, lexical, messages
from memory_grpc.store.database import Database
from memory_layer.v1 import memory_service_pb2 as pb
from tests.filters.crowded import crowded
from tests.filters.evaluate import passes, written
from tests.filters.generate import MOMENTS, WORDS, text_for

# What the hashing provider embeds with in tests.
DIMENSIONS = 384
SOUNDS = ["bread", "kitten", "python", "garden", "quetzal", "Vienna", "in March", "zugzwang", "the"]

_new_id = Uuid7()


@dataclass(frozen=True)
class Stored:
    """A tenant with messages, as dicts that tests/filters/evaluate.py reads, by id."""

    tenant: str
    messages: dict[str, dict[str, Any]]

    def looked_at(self, asked: Asked) -> set[str]:
        """The messages that pass, embedded or not."""
        scope = asked.archived or mentions(asked.node, "archived")
        return {
            id_
            for id_, message in ((id_, _then(message, asked.as_of)) for id_, message in self.messages.items())
            if (scope or message["archived_at"] is None)
            and (asked.as_of is None or message["created_at"] <= asked.as_of)
            and passes(asked.node, message)
        }

    def ranked(self, asked: Asked) -> set[str]:
        """Those that can be found: embedded ones, the newest so many where that is asked."""
        found = [id_ for id_ in self.looked_at(asked) if self.messages[id_]["embedding_status"] == "completed"]
        found.sort(key=lambda id_: (self.messages[id_]["created_at"], id_), reverse=True)
        return set(found[: asked.candidates])


@dataclass(frozen=True)
class Asked:
    """A search with a filter in words, flat parameters besides, and what the two come to."""

    fields: dict[str, Any]
    node: Node
    archived: bool = False
    as_of: datetime | None = None
    candidates: int | None = None

    def request(self, tenant: str, **more: Any) -> pb.SearchMemoriesRequest:
        """The search of a tenant."""
        request = pb.SearchMemoriesRequest(tenant_id=tenant, **self.fields, **more)
        if self.as_of is not None:
            request.as_of.FromDatetime(self.as_of)
        return request


def _then(message: dict[str, Any], as_of: datetime | None) -> dict[str, Any]:
    """A message as it was at that moment: what was archived later was live."""
    archived_at = message["archived_at"]
    return message if as_of is None or archived_at is None or archived_at <= as_of else message | {"archived_at": None}


async def store(database: Database, tenant: str, draw: Random, count: int) -> Stored:
    """Stores messages full of metadata, live and archived, embedded and not, straight into the tables."""
    found: list[dict[str, Any]] = []
    while len(found) < count:
        found += crowded(draw)[0]
    found = found[:count]
    for message in found:  # most are live and embedded, as in real tenants
        message["archived_at"] = None if draw.random() < 0.7 else message["archived_at"]
        message["embedding_status"] = "completed" if draw.random() < 0.7 else message["embedding_status"]
    prepared = [
        PreparedMessage(
            id=_new_id(),
            message=NewMessage(
                tenant_id=tenant,
                conversation_id=message["conversation_id"],
                role=message["role"],
                name=message["name"],
                user_id=message["user_id"],
                content=" ".join(draw.choices(SOUNDS, k=draw.randint(1, 5))),
                metadata=message["metadata"],
                created_at=message["created_at"],
            ),
            importance=message["importance"],
            embedding_status=message["embedding_status"],
        )
        for message in found
    ]
    provider = HashingProvider(DIMENSIONS)
    async with database.transaction(tenant=tenant) as tx:
        stored = await messages.insert_many(tx, tenant, prepared)
        await lexical.insert_many(tx, tenant, "english", stored)
        for table, column in (("messages", "archived_at"), ("message_lexemes", "archived")):
            key = "id" if table == "messages" else "message_id"
            for one, message in zip(stored, found, strict=True):
                if message["archived_at"] is not None:
                    value = message["archived_at"] if column == "archived_at" else True
                    await tx._connection.execute(
                        f"update {table} set {column} = %s where tenant_id = %s and {key} = %s".encode(),
                        (value, tenant, one.id),
                    )
        pinned = [one.id for one, message in zip(stored, found, strict=True) if message["pinned"]]
        await tx._connection.execute(
            "update messages set pinned = true where tenant_id = %s and id = any(%s)", (tenant, pinned)
        )
        vectors: dict[UUID, np.ndarray[Any, Any]] = {
            one.id: provider.encode(provider.windows(one.content))
            for one in stored
            if one.embedding_status == "completed"
        }
        await embeddings.insert_many(tx, tenant, 1, vectors)
    return Stored(tenant, {str(one.id): message for one, message in zip(stored, found, strict=True)})


def asked(draw: Random, nodes: Sequence[Node], *, flat: bool) -> Asked:
    """A search by one of these filters, in one of the texts that say it; with some flat parameters besides."""
    while True:
        node = draw.choice(nodes)
        text = text_for(node, draw)
        if len(text) <= LONGEST and not any(c.operator in {"holds", "reads"} for c in comparisons(node)):
            break
    assert parse(text) == node
    fields: dict[str, Any] = {"filter": text}
    terms: list[Node] = [node]
    if flat and draw.random() < 0.3:
        fields["role"] = draw.choice(["user", "assistant", "system"])
        terms.append(equals("role", fields["role"]))
    if flat and draw.random() < 0.2:
        fields["user_id"] = draw.choice([word for word in WORDS if word])
        terms.append(equals("user_id", fields["user_id"]))
    if flat and draw.random() < 0.2:
        key, value = draw.choice(["a", "b", "c"]), draw.choice(["x", "web", 1, True])
        fields["metadata"] = {key: value}
        terms.append(metadata_holds({key: value}))
    if flat and draw.random() < 0.2:
        key, texts = draw.choice(["a", "b", "0"]), [written(value) or "" for value in draw.choices(WORDS, k=2)]
        fields["metadata_equals"] = [f"{key}={value}" for value in texts]
        terms.append(any_of([metadata_reads(key, value) for value in texts]))
    archived = flat and draw.random() < 0.5
    if archived:
        fields["include_archived"] = True
    as_of = draw.choice(MOMENTS) if flat and draw.random() < 0.2 else None
    candidates = draw.randint(1, 30) if flat and draw.random() < 0.2 else None
    if candidates is not None:
        fields["candidate_limit"] = candidates
    return Asked(fields, all_of(terms), archived, as_of, candidates)
