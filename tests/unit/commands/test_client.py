"""How commands call: quick to give up, patient where they are told to be, and in sentences."""

from __future__ import annotations

from collections.abc import Iterator

import grpc
import pytest

from memory_grpc.commands.client import client
from memory_grpc.commands.configuration import Target
from memory_grpc.commands.failure import USAGE, CommandError
from memory_layer.v1 import erasure_service_pb2 as erasure
from memory_layer.v1 import message_pb2, revision_pb2
from tests.unit.client.flaky import Fault, Flaky, flaky_server

ID = "550e8400-e29b-41d4-a716-446655440000"
CHANGE = revision_pb2.UpdateMessageRequest(message_id=ID, tenant_id="acme", update_mask=["content"], content="new")
WORK = erasure.GetErasureRequest(tenant_id="acme", erasure_id=ID)
DOWN = Fault(grpc.StatusCode.UNAVAILABLE, "DATABASE_UNAVAILABLE")


@pytest.fixture
def flaky() -> Iterator[Flaky]:
    with flaky_server() as server:
        yield server


def test_a_failure_of_a_moment_is_waited_out_under_one_request_id(flaky: Flaky):
    flaky.answer, flaky.faults = lambda _: message_pb2.Message(id="m"), [DOWN]
    with client(Target(flaky.address, 20.0)) as service:
        assert service.memory("UpdateMessage", CHANGE).id == "m"
    assert len({one.request_id for one in flaky.requests}) == 1
    assert flaky.requests[0].request_id


def test_one_that_stays_is_a_sentence(flaky: Flaky):
    flaky.faults = [DOWN] * 9
    with pytest.raises(CommandError, match=r"^UNAVAILABLE: no$"), client(Target(flaky.address, 20.0)) as service:
        service.erasure("GetErasure", WORK)
    assert len(flaky.requests) == 3


def test_patience_outlasts_what_a_call_does_not(flaky: Flaky, capsys: pytest.CaptureFixture[str]):
    flaky.answer, flaky.faults = lambda _: erasure.Erasure(state="done"), [DOWN] * 4
    with client(Target(flaky.address, 20.0)) as service:
        patient = service.patient(60.0, is_told=True)
        assert patient.erasure("GetErasure", WORK).state == "done"
    assert capsys.readouterr().err.count("UNAVAILABLE: trying again in ") == 4


def test_fields_that_are_wrong_stand_below(flaky: Flaky):
    flaky.faults = [Fault(grpc.StatusCode.INVALID_ARGUMENT, "INVALID_FIELD", fields=("message_id",))]
    with pytest.raises(CommandError) as raised, client(Target(flaky.address, 20.0)) as service:
        service.memory("UpdateMessage", CHANGE)
    assert str(raised.value) == "INVALID_ARGUMENT: no\n  message_id: is wrong"
    assert raised.value.exit_code == USAGE


def test_what_breaks_the_contract_is_not_sent(flaky: Flaky):
    unowned, refused = erasure.GetErasureRequest(erasure_id=ID), r"^Wrong usage:\n  tenant_id: "
    with pytest.raises(CommandError, match=refused) as raised, client(Target(flaky.address, 20.0)) as service:
        service.erasure("GetErasure", unowned)
    assert (raised.value.exit_code, flaky.requests) == (USAGE, [])


def test_an_address_that_cannot_be_is_a_usage_error():
    with pytest.raises(CommandError, match=r"^--address: ") as raised, client(Target("ftp://a", 1.0)):
        pass
    assert raised.value.exit_code == USAGE
