"""The largest answers of what reads without searching, and the largest update: long contents in letters of four bytes,
metadata of thousands of values, messages that were changed often."""

from __future__ import annotations

from collections.abc import Iterator

from memory_layer.v1 import context_pb2, listing_pb2, revision_pb2
from memory_layer.v1 import memory_service_pb2 as pb
from memory_layer.v1 import transfer_service_pb2 as transfer_pb
from tests.abuse.instance import ATTACKER, ROOT, Attacker, ingest, keyed
from tests.chaos.harness import connected

LONG = "\U00010348" * 100_000
# Eight thousand values, in 16 KiB of JSON.
MANY = [0] * 8_000
MESSAGES = 50
LONG_MESSAGES = 12
UPDATES = 12
SECONDS = 60


async def attack(instance: Attacker) -> None:
    """Stores the messages, unless they are there, and reads them in every way."""
    memory = instance.attacker.memory
    listed = await memory.ListMessages(
        listing_pb2.ListMessagesRequest(tenant_id=ATTACKER, page_size=1), timeout=SECONDS
    )
    if not listed.messages:
        for batch in _batches():
            await memory.BatchIngestMessages(batch, timeout=SECONDS)
        await _update(instance, UPDATES)
    await _update(instance, 2)
    await memory.ListMessages(listing_pb2.ListMessagesRequest(tenant_id=ATTACKER, page_size=1000), timeout=SECONDS)
    newest = listing_pb2.ListMessagesRequest(tenant_id=ATTACKER, page_size=1000, order_by="created_at desc")
    await memory.ListMessages(newest, timeout=SECONDS)
    one = await _often_changed(instance)
    await memory.ListRevisions(
        revision_pb2.ListRevisionsRequest(tenant_id=ATTACKER, message_id=one, page_size=1000), timeout=SECONDS
    )
    await memory.BuildContext(
        context_pb2.BuildContextRequest(tenant_id=ATTACKER, query="x", max_tokens=32_000), timeout=SECONDS
    )
    await memory.SearchMemories(
        pb.SearchMemoriesRequest(tenant_id=ATTACKER, query="x", top_k=MESSAGES), timeout=SECONDS
    )
    async with connected(instance.address) as root:
        export = keyed(root, ROOT).transfer.Export(transfer_pb.ExportRequest(tenant_id=ATTACKER), timeout=SECONDS)
        async for _ in export:
            pass


def _batches() -> Iterator[pb.BatchIngestMessagesRequest]:
    rich = ingest("x")
    rich.metadata.update({"a": MANY})
    messages = [rich] * MESSAGES + [ingest(LONG, embed_later=True)] * LONG_MESSAGES
    for start in range(0, len(messages), 8):
        yield pb.BatchIngestMessagesRequest(messages=messages[start : start + 8])


async def _often_changed(instance: Attacker) -> str:
    first = listing_pb2.ListMessagesRequest(tenant_id=ATTACKER, page_size=1)
    return str((await instance.attacker.memory.ListMessages(first, timeout=SECONDS)).messages[0].id)


async def _update(instance: Attacker, times: int) -> None:
    """Back and forth between two of the longest texts with the most values each."""
    one = await _often_changed(instance)
    for number in range(times):
        update = revision_pb2.UpdateMessageRequest(
            tenant_id=ATTACKER, message_id=one, content=LONG[:-1] + str(number % 2), embed_later=True
        )
        update.metadata.update({"a": [*MANY[1:], number % 2]})
        await instance.attacker.memory.UpdateMessage(update, timeout=SECONDS)
