"""Arguments and dataclasses into messages, and back."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta, timezone

import pytest

from memory_grpc.client import convert, types
from memory_grpc.client.rpc import Rpc
from memory_grpc.rpcs import METHODS
from memory_layer.client import rpcs
from memory_layer.v1 import memory_service_pb2 as pb
from memory_layer.v1 import message_pb2, revision_pb2, transfer_service_pb2

MOMENT = datetime(2026, 11, 14, 20, 30, 0, 123456, tzinfo=UTC)


def ids():
    return iter(["first", "second", "third"]).__next__


def test_every_message_that_an_answer_can_be_has_a_dataclass_with_its_fields():
    for method in METHODS.values():
        kinds, waiting = set(), [method.output_type]
        while waiting:
            kind = waiting.pop()
            if kind.name in kinds or kind.file.package != "memory_layer.v1":
                continue
            kinds.add(kind.name)
            fields = [field.name for field in dataclasses.fields(getattr(types, kind.name))]
            assert fields == [field.name for field in kind.fields], kind.name
            waiting += [field.message_type for field in kind.fields if field.message_type is not None]


def test_an_answer_says_what_is_not_set():
    answer = message_pb2.Message(id="m", content="x", importance_score=0.5)
    answer.created_at.FromDatetime(MOMENT)
    answer.metadata.update({"source": "web", "n": 1, "list": [1.5, None, {"a": True}]})
    found = convert.result(answer)
    assert found.created_at == MOMENT
    assert found.created_at.tzinfo is UTC
    assert found.metadata == {"source": "web", "n": 1, "list": [1.5, None, {"a": True}]}
    assert (found.name, found.archived_at, found.pinned) == (None, None, None)
    assert convert.result(message_pb2.Message(pinned=False)).pinned is False
    with pytest.raises(dataclasses.FrozenInstanceError):
        found.content = "y"


def test_answers_within_answers():
    record = transfer_service_pb2.TransferRecord(header=transfer_service_pb2.TransferHeader(version=1, tenant_id="t"))
    found = convert.result(record)
    assert found == types.TransferRecord(header=types.TransferHeader(version=1, tenant_id="t"))
    page = pb.SearchMemoriesResponse(total=1, items=[pb.MemoryHit(message_id="m", score=0.5)])
    assert [hit.score for hit in convert.result(page).items] == [0.5]


def test_arguments_become_fields():
    request = convert.filled(
        revision_pb2.UpdateMessageRequest(),
        {
            "message_id": "m",
            "update_mask": ("name", "pinned"),
            "metadata": {},
            "pinned": False,
            "expires_at": MOMENT.astimezone(timezone(timedelta(hours=2))),
            "content": None,
        },
    )
    assert list(request.update_mask) == ["name", "pinned"]
    assert request.HasField("metadata")
    assert request.HasField("pinned")
    assert not request.HasField("content")
    assert request.expires_at.ToDatetime(tzinfo=UTC) == MOMENT


@pytest.mark.parametrize(
    ("values", "error", "path"),
    [
        ({"content": 5}, TypeError, "content"),
        ({"content": b"\xff"}, ValueError, "content"),
        ({"pinned": "secret"}, TypeError, "pinned"),
        ({"expires_at": "secret"}, TypeError, "expires_at"),
        ({"expires_at": datetime(2026, 1, 1)}, ValueError, "expires_at"),
        ({"metadata": "secret"}, (TypeError, ValueError), "metadata"),
        ({"metadata": {"a": object()}}, (TypeError, ValueError), "metadata"),
        ({"update_mask": "secret"}, TypeError, "update_mask"),
        ({"update_mask": [5]}, TypeError, r"update_mask\[0\]"),
    ],
)
def test_a_value_that_does_not_fit_is_named_and_not_shown(values, error, path):
    with pytest.raises(error, match=f"^{path}: ") as raised:
        convert.filled(revision_pb2.UpdateMessageRequest(), values)
    assert "secret" not in str(raised.value)


def test_a_fault_within_a_list_names_its_place():
    messages = [
        types.IngestMessageRequest(conversation_id="c", role="user", content="x"),
        types.IngestMessageRequest(conversation_id="c", role="user", content="x", created_at=datetime(2026, 1, 1)),
    ]
    with pytest.raises(ValueError, match=r"^messages\[1\]\.created_at: give a time with a time zone$"):
        convert.filled(pb.BatchIngestMessagesRequest(), {"messages": messages})
    with pytest.raises(TypeError, match=r"^messages\[0\]: "):
        convert.filled(pb.BatchIngestMessagesRequest(), {"messages": [{"content": "x"}]})


def test_tenant_and_request_ids_are_added_where_they_are_missing():
    request = pb.BatchIngestMessagesRequest(
        messages=[pb.IngestMessageRequest(), pb.IngestMessageRequest(tenant_id="other", request_id="mine")]
    )
    convert.complete(request, "acme", ids())
    assert [(one.tenant_id, one.request_id) for one in request.messages] == [("acme", "first"), ("other", "mine")]
    stream = pb.StreamIngestRequest(message=pb.IngestMessageRequest())
    convert.complete(stream, None, ids())
    assert (stream.message.tenant_id, stream.message.request_id) == ("", "first")
    search = convert.complete(pb.SearchMemoriesRequest(query="x"), "acme", ids())
    assert search == pb.SearchMemoriesRequest(query="x", tenant_id="acme")


def test_every_rpc_has_a_request_that_can_be_completed():
    named = [rpc for rpc in vars(rpcs).values() if isinstance(rpc, Rpc)]
    assert {rpc.path for rpc in named} == METHODS.keys()
    for rpc in named:
        convert.complete(rpc.request(), "acme", ids())
