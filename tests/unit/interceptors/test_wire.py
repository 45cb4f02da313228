"""Large requests are looked through before they are parsed: what passes is the same message, what does not never costs
more than the look."""

from __future__ import annotations

import time
from typing import Any

import pytest
from google.protobuf import struct_pb2
from google.protobuf.message import Message
from hypothesis import given, settings
from hypothesis import strategies as st

from memory_grpc.errors import InvalidInput, MalformedRequest
from memory_grpc.interceptors import decode, wire
from memory_layer.v1 import memory_service_pb2 as pb

LARGE = 4 * 1024 * 1024
JSON = st.recursive(
    st.none() | st.booleans() | st.floats(-1e9, 1e9) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=8), inner, max_size=5),
    max_leaves=20,
)


def merged(raw: bytes, kind: Any) -> Message:
    """What the pieces of a request are together."""
    message = kind()
    for piece in list(wire.pieces(raw, kind.DESCRIPTOR)):
        message.MergeFromString(piece)
    assert isinstance(message, Message)
    return message


def message(**fields: Any) -> pb.IngestMessageRequest:
    return pb.IngestMessageRequest(
        **({"tenant_id": "t", "conversation_id": "c", "role": "user", "content": "x"} | fields)
    )


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.text(max_size=2000), st.dictionaries(st.text(max_size=8), JSON, max_size=5)), max_size=30))
def test_the_pieces_are_the_request(contents: list[tuple[str, dict[str, Any]]]) -> None:
    request = pb.BatchIngestMessagesRequest(messages=[message(content=text) for text, _ in contents])
    for one, (_, metadata) in zip(request.messages, contents, strict=True):
        one.metadata.update(metadata)
    raw = request.SerializeToString()
    assert merged(raw, pb.BatchIngestMessagesRequest) == request
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(wire, "_PIECE_BYTES", 64)
        assert merged(raw, pb.BatchIngestMessagesRequest) == request


@settings(max_examples=500, deadline=None)
@given(st.binary(max_size=200))
def test_any_bytes_are_the_message_that_they_were_or_are_refused(raw: bytes) -> None:
    try:
        found = merged(raw, pb.SearchMemoriesRequest)
    except Exception:
        return
    assert found == pb.SearchMemoriesRequest.FromString(raw)


def nulls(count: int) -> struct_pb2.Struct:
    result = struct_pb2.Struct()
    result.fields["a"].list_value.values.extend([struct_pb2.Value(null_value=0)] * count)  # type: ignore[arg-type]
    return result


def keys(count: int) -> struct_pb2.Struct:
    result = struct_pb2.Struct()
    for number in range(count):
        result.fields[f"{number:x}"].null_value = 0  # type: ignore[assignment]
    return result


def search(metadata: struct_pb2.Struct) -> bytes:
    return pb.SearchMemoriesRequest(tenant_id="t", query="q", metadata=metadata).SerializeToString()


def in_parts(metadata: struct_pb2.Struct, parts: int) -> bytes:
    """An object field that comes again and again: parsers merge the parts."""
    return b"".join(
        pb.SearchMemoriesRequest(metadata={f"{part}.{key}": None for key in metadata.fields}).SerializeToString()
        for part in range(parts)
    )


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("raw", "kind", "field"),
    [
        (search(nulls(1_000_000)), pb.SearchMemoriesRequest, "metadata"),
        (search(keys(300_000)), pb.SearchMemoriesRequest, "metadata"),
        (in_parts(keys(1000), 200), pb.SearchMemoriesRequest, "metadata"),
        (b"\x0a\x00" * 2_000_000, pb.BatchIngestMessagesRequest, "messages"),
        (b"\x62\x00" * 2_000_000, pb.SearchMemoriesRequest, "metadata_equals"),
        (
            pb.BatchIngestMessagesRequest(messages=[message(), message(metadata=nulls(50_000))]).SerializeToString(),
            pb.BatchIngestMessagesRequest,
            "messages[1].metadata",
        ),
    ],
    ids=["nulls", "keys", "parts", "messages", "texts", "within"],
)
async def test_what_is_too_much_is_refused_unparsed_and_by_its_name(raw: bytes, kind: Any, field: str) -> None:
    started = time.process_time()
    with pytest.raises(InvalidInput) as refused:
        await decode.reader(kind.FromString, LARGE)(raw)
    assert time.process_time() - started < 0.1, "parsing takes up to a second"
    assert [violation.field for violation in refused.value.violations] == [field]


@pytest.mark.asyncio
@pytest.mark.parametrize("raw", [b"\xf8\x07\x01" * 1_300_000, b"\x0b" * 20_000, b"\x0a\xff\xff\xff\x7f" * 4000])
async def test_unknown_fields_without_end_and_broken_bytes_are_malformed(raw: bytes) -> None:
    with pytest.raises(MalformedRequest):
        await decode.reader(pb.SearchMemoriesRequest.FromString, LARGE)(raw)


@pytest.mark.asyncio
async def test_the_largest_requests_that_are_allowed_are_read() -> None:
    read = decode.reader(pb.BatchIngestMessagesRequest.FromString, LARGE)
    many = pb.BatchIngestMessagesRequest(messages=[message(content="word " * 800, name="Ann")] * 1000)
    dense = pb.BatchIngestMessagesRequest(messages=[message(metadata=nulls(3_200))] * 30)
    for request in (many, dense):
        assert await read(request.SerializeToString()) == request


@pytest.mark.asyncio
async def test_objects_of_a_request_have_a_hundred_thousand_values_together() -> None:
    read = decode.reader(pb.BatchIngestMessagesRequest.FromString, LARGE)
    for messages, is_read in ((33, True), (34, False)):
        request = pb.BatchIngestMessagesRequest(messages=[message(metadata=nulls(2_999))] * messages)
        if is_read:
            assert await read(request.SerializeToString()) == request
            continue
        with pytest.raises(InvalidInput, match=r"messages\[33\]\.metadata: has too many values together"):
            await read(request.SerializeToString())
