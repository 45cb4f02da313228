"""Metadata that is small to send and large to look at: lists of nulls, objects in objects, many keys."""

from __future__ import annotations

from collections.abc import Iterator

from google.protobuf.struct_pb2 import ListValue, Struct, Value

from memory_layer.v1 import memory_service_pb2 as pb
from tests.abuse.instance import Attacker, ingest, search

_MEGABYTES = 3_900_000


async def attack(instance: Attacker) -> None:
    """Searches by it and stores it, alone and in a batch of many that each are allowed."""
    for struct in _structs():
        request = search("q")
        request.metadata.CopyFrom(struct)
        await instance.try_(instance.attacker.memory.SearchMemories, request)
        message = ingest("x")
        message.metadata.CopyFrom(struct)
        await instance.try_(instance.attacker.memory.IngestMessage, message)
    await instance.attacker.memory.BatchIngestMessages(_batch(), timeout=30)


def _structs() -> Iterator[Struct]:
    null = Value(null_value=0)  # type: ignore[arg-type]
    yield Struct(fields={"a": Value(list_value=ListValue(values=[null] * (_MEGABYTES // 4)))})
    yield Struct(fields={f"{number:x}": null for number in range(_MEGABYTES // 16)})
    deep = Value(list_value=ListValue(values=[null]))
    for _ in range(40):
        deep = Value(list_value=ListValue(values=[deep]))
    yield Struct(fields={"a": Value(list_value=ListValue(values=[deep] * 20_000))})


def _batch() -> pb.BatchIngestMessagesRequest:
    """As many values as a request may hold, in as many messages."""
    message = ingest("x", embed_later=True)
    message.metadata.update({"a": [0.5] * 90})
    return pb.BatchIngestMessagesRequest(messages=[message] * 1000)
