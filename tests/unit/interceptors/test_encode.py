"""The same answer is the same bytes, in whatever process and in whatever order its maps were filled."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
from google.protobuf.empty_pb2 import Empty
from google.protobuf.json_format import MessageToDict
from google.protobuf.message import Message as AnyMessage
from google.protobuf.struct_pb2 import Struct
from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc import error_details_pb2

from memory_grpc.encode import encode, encode_in_steps
from memory_grpc.interceptors.chain import Chain
from memory_grpc.interceptors.translate import _packed
from memory_layer.v1 import context_pb2, listing_pb2
from memory_layer.v1 import memory_service_pb2 as pb
from memory_layer.v1.message_pb2 import Message

# A set of texts has another order for each PYTHONHASHSEED.
PROGRAM = """
from memory_grpc.encode import encode
from memory_layer.v1.message_pb2 import Message

def names():
    return {f"key {number}" for number in range(300)}

message = Message(id="1")
for name in names():
    message.metadata[name] = name
message.metadata["key 7"] = {"inner": [{name: name for name in names()}], **{name: name for name in names()}}
print(",".join(names()))
print(encode(message).hex())
"""


def run(seed: str) -> list[str]:
    """The order in which the maps were filled, and the bytes."""
    environment = {**os.environ, "PYTHONHASHSEED": seed}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout.split("\n")[:2]


def test_two_processes_give_the_same_bytes() -> None:
    (one, first), (two, second), (three, third) = (run(seed) for seed in ("1", "2", "3"))
    assert len({one, two, three}) == 3, "the maps were filled in the same order, which proves nothing"
    assert first
    assert first == second == third


def struct(*names: str) -> Struct:
    """An object and an object within it, their keys set in this order."""
    result = Struct()
    for name in names:
        result[name] = name
    result["within"] = {name: [dict.fromkeys(names, 1)] for name in names}
    return result


NAMES = [f"key {number}" for number in range(100)]
MESSAGE = Message(id="1", content="x" * 300, metadata=struct(*NAMES), pinned=True, created_at=Timestamp(seconds=7))


@pytest.mark.parametrize(
    "message",
    [
        Empty(),
        MESSAGE,
        struct(*NAMES),
        listing_pb2.ListMessagesResponse(messages=[MESSAGE] * 3, next_page_token="t", total_size=9),
        pb.SearchMemoriesResponse(
            total=2, items=[pb.MemoryHit(content="a", score=0.5), pb.MemoryHit()], pending=1, relevance=0.0
        ),
        context_pb2.BuildContextResponse(
            text="a\nb", messages=[context_pb2.ContextMessage(message=MESSAGE)], left_out=context_pb2.LeftOut()
        ),
        listing_pb2.ListUsersResponse(next_page_token="t"),
        listing_pb2.Conversation(conversation_id="c", user_ids=["u-1", "", "u-2"]),
    ],
    ids=lambda message: message.DESCRIPTOR.name,
)
def test_written_in_steps_it_is_the_same_bytes(message: AnyMessage) -> None:
    assert encode_in_steps(message) == encode(message)


def test_the_order_in_which_keys_were_set_does_not_show() -> None:
    assert struct(*NAMES).SerializeToString() != struct(*reversed(NAMES)).SerializeToString(), "or this proves nothing"
    assert encode(struct(*NAMES)) == encode(struct(*reversed(NAMES)))
    assert MessageToDict(Struct.FromString(encode(struct(*NAMES)))) == MessageToDict(struct(*NAMES))


def test_error_details_too() -> None:
    one, two = (
        _packed(error_details_pb2.ErrorInfo(reason="R", metadata={name: name for name in names}))
        for names in (NAMES, NAMES[::-1])
    )
    assert one.value == two.value


@pytest.mark.asyncio
async def test_every_kind_of_rpc_answers_by_it() -> None:
    async def unary(request: Any, context: Any) -> Struct:
        return struct(*reversed(NAMES))

    async def stream(request: Any, context: Any) -> AsyncIterator[Struct]:
        yield struct(*reversed(NAMES))

    kinds = {
        "unary_unary": (grpc.unary_unary_rpc_method_handler, unary),
        "unary_stream": (grpc.unary_stream_rpc_method_handler, stream),
        "stream_stream": (grpc.stream_stream_rpc_method_handler, stream),
    }
    handlers = {
        kind: make(method, Empty.FromString, Struct.SerializeToString) for kind, (make, method) in kinds.items()
    }
    server = grpc.aio.server(interceptors=[Chain([], 1024)])
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("test.Maps", handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    expected = encode(struct(*NAMES))
    try:
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            assert await channel.unary_unary("/test.Maps/unary_unary")(b"", timeout=10) == expected
            answers = [
                channel.unary_stream("/test.Maps/unary_stream")(b"", timeout=10),
                channel.stream_stream("/test.Maps/stream_stream")(iter([b""]), timeout=10),
            ]
            for answer in answers:
                assert [item async for item in answer] == [expected]
    finally:
        await server.stop(0)
