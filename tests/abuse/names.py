"""A tenant of a thousand names of many words, and the longest query of a script that puts no blanks between words."""

from __future__ import annotations

import itertools
import string

from memory_layer.v1 import memory_service_pb2 as pb
from tests.abuse.instance import Attacker, ingest, search

LONGEST_QUERY = 10_000


async def attack(instance: Attacker) -> None:
    """Stores the names and searches."""
    words = ("".join(letters) for letters in itertools.product(string.ascii_lowercase, repeat=3))
    names = [" ".join(next(words) for _ in range(16)) for _ in range(1000)]
    batch = pb.BatchIngestMessagesRequest(messages=[ingest("x", name=name, embed_later=True) for name in names])
    await instance.attacker.memory.BatchIngestMessages(batch, timeout=30)
    for letter in ("一", names[0][0], f"{names[0]} "):
        query = (letter * LONGEST_QUERY)[:LONGEST_QUERY]
        await instance.try_(instance.attacker.memory.SearchMemories, search(query, ranking="hybrid"))
