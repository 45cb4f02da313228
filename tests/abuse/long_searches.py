"""As many searches at once as there are connections to the database, each of as many words as fit into one."""

from __future__ import annotations

import asyncio

from memory_layer.v1 import memory_service_pb2 as pb
from tests.abuse.instance import Attacker, ingest, search
from tests.abuse.words import LONGEST_QUERY

_MESSAGES = 200
_SEARCHES = 12


async def attack(instance: Attacker) -> None:
    """Stores messages of numbers and asks for many of them."""
    batch = [ingest(f"{n} {n + 1} {n + 2} hello", conversation_id=f"c{n % 9}") for n in range(_MESSAGES)]
    await instance.attacker.memory.BatchIngestMessages(pb.BatchIngestMessagesRequest(messages=batch), timeout=30)
    queries = (" ".join(map(str, range(i, i + 2200)))[:LONGEST_QUERY] for i in range(_SEARCHES))
    searches = (search(query, ranking="hybrid") for query in queries)
    await asyncio.gather(*(instance.try_(instance.attacker.memory.SearchMemories, one) for one in searches))
