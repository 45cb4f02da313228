"""A request with more faults than an error names: 20 are told, by every way in, and nobody else notices."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from memory_layer.v1 import memory_service_pb2 as pb
from memory_layer.v1.memory_service_pb2_grpc import MemoryServiceStub
from tests.conftest import StartRest

MOST = 20


def faulty(number: int) -> dict[str, object]:
    """A message that is wrong in every field it may be, with long names."""
    return {
        "tenant_id": "acme",
        "conversation_id": "c" * 2_000,
        "role": "x" * 500,
        "content": "",
        "metadata": {"k" * 1_000 + str(number): "v"},
        "importance_override": 7,
    }


@pytest.mark.asyncio
async def test_many_faults_are_one_400_by_every_way_and_no_stream_of_others_ends(start_rest: StartRest) -> None:
    messages = [faulty(number) for number in range(200)]
    async with start_rest() as rest:
        envoy = f"127.0.0.1:{rest.server.settings.http_port}"
        async with grpc.aio.insecure_channel(envoy) as channel:
            more = asyncio.Event()

            async def others() -> AsyncIterator[pb.StreamIngestRequest]:
                for content in ("before", "after"):
                    message = pb.IngestMessageRequest(
                        tenant_id="other", conversation_id="c", role="user", content=content
                    )
                    yield pb.StreamIngestRequest(message=message)
                    await more.wait()

            stream = MemoryServiceStub(channel).StreamIngest(others())
            assert await stream.read()

            for _ in range(5):
                answer = await rest.http.post("/v1/messages:batch", json={"messages": messages})
                assert answer.status_code == 400
                (bad,) = [d for d in answer.json()["details"] if d["@type"].endswith("BadRequest")]
                assert 0 < len(bad["field_violations"]) <= MOST
                for address in (envoy, rest.server.grpc_address):
                    assert 0 < await told(address, messages) <= MOST

            more.set()
            assert await stream.read(), "the stream of others goes on"
            assert await stream.read() is grpc.aio.EOF


async def told(address: str, messages: list[dict[str, object]]) -> int:
    """How many faults a gRPC caller is told of."""
    request = pb.BatchIngestMessagesRequest(messages=[pb.IngestMessageRequest(**message) for message in messages])  # type: ignore[arg-type]
    async with grpc.aio.insecure_channel(address) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await MemoryServiceStub(channel).BatchIngestMessages(request, timeout=10)
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
    status = rpc_status.from_call(refused.value)
    assert status is not None
    bad = error_details_pb2.BadRequest()
    assert any(detail.Unpack(bad) for detail in status.details)
    return len(bad.field_violations)
