"""Queries of as many distinct words, and of as many dates, as fit into one."""

from __future__ import annotations

from memory_layer.v1 import memory_service_pb2 as pb
from tests.abuse.instance import Attacker, ingest, search

LONGEST_QUERY = 10_000
_MESSAGES = 200
_DATES = ("1 ", "in the ", "last ", "1 to ", "may ", "1 may to ", "last 5 ", "2 days before ", "in" + " " * 9990)


async def attack(instance: Attacker) -> None:
    """Stores messages of numbers and asks for all of them."""
    batch = [ingest(f"{n} {n + 1} {n + 2} hello", conversation_id=f"c{n % 9}") for n in range(_MESSAGES)]
    await instance.attacker.memory.BatchIngestMessages(pb.BatchIngestMessagesRequest(messages=batch), timeout=30)
    numbers = " ".join(map(str, range(2500)))[:LONGEST_QUERY].rpartition(" ")[0]
    for query in (numbers, *((date * LONGEST_QUERY)[:LONGEST_QUERY].strip() for date in _DATES)):
        await instance.try_(instance.attacker.memory.SearchMemories, search(query, ranking="hybrid"))
