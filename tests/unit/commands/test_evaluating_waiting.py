"""``eval`` asks once everything is embedded: what it waits for, for how long, and what it says."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from memory_grpc.commands import pending
from memory_grpc.commands.evaluating import waiting
from memory_grpc.commands.evaluating.caller import Caller
from memory_grpc.commands.failure import CommandError
from memory_layer.v1 import memory_service_pb2 as pb


class Service(Caller):
    """A server whose tenants have so many messages without an embedding, one number a poll, the last one for ever."""

    def __init__(self, failed: dict[str, int] | None = None, **left: Sequence[int]) -> None:
        self.left = {tenant: list(numbers) for tenant, numbers in left.items()}
        self.failed = failed or {}
        self.asked: list[str] = []

    async def memory(self, method: str, request: Any) -> Any:
        assert method == "SearchMemories"
        if request.filter == pending.FAILED:
            return pb.SearchMemoriesResponse(pending=self.failed.get(request.tenant_id, 0))
        self.asked.append(request.tenant_id)
        numbers = self.left[request.tenant_id]
        count = numbers.pop(0) if len(numbers) > 1 else numbers[0]
        return pb.SearchMemoriesResponse(pending=count, total=len(self.asked))


@pytest.fixture(autouse=True)
def slept(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long was slept, in no time at all: the clock is moved instead."""
    naps: list[float] = []

    async def sleep(seconds: float) -> None:
        naps.append(seconds)

    monkeypatch.setattr(waiting.asyncio, "sleep", sleep)
    monkeypatch.setattr(waiting.time, "monotonic", lambda: sum(naps))
    return naps


def ask(service: Service, patience: float = 10.0) -> list[pb.SearchMemoriesResponse]:
    requests = [pending.request(tenant) for tenant in service.left]
    return asyncio.run(waiting.answers(requests, service, patience))


def test_what_is_embedded_is_not_waited_for(slept: list[float]) -> None:
    service = Service(a=[0], b=[0])
    assert [answer.total for answer in ask(service)] == [1, 2]
    assert slept == []


def test_only_tenants_with_pending_messages_are_asked_again(capsys: pytest.CaptureFixture[str]) -> None:
    service = Service(a=[3, 1, 0], b=[0], c=[2, 0])
    answers = ask(service)
    assert service.asked == ["a", "b", "c", "a", "c", "a"]
    assert [answer.total for answer in answers] == [6, 2, 5]  # in the order of the requests
    assert capsys.readouterr().err == "Waiting for an embedding: 5 messages.\n"


def test_patience_ends_when_no_more_are_embedded_and_the_error_says_how_many_are_left(slept: list[float]) -> None:
    with pytest.raises(CommandError) as caught:
        ask(Service(a=[9, 8, 7, 7], b=[0], c=[1_204]))
    assert str(caught.value).startswith(
        "Without an embedding: 1,211 messages (7 of a, 1,204 of c), and their number has"
    )
    assert "fallen for 10 s" in str(caught.value)
    assert 10 <= sum(slept) < 20


def test_a_queue_that_shrinks_is_waited_for_however_long(slept: list[float]) -> None:
    ask(Service(a=range(100, -1, -1)), patience=3)
    assert sum(slept) > 30


def test_a_queue_that_only_grows_and_shrinks_is_not_waited_for_for_ever() -> None:
    with pytest.raises(CommandError, match="Without an embedding"):
        ask(Service(a=[5, *[7, 6] * 100, 0]))


def test_failed_messages_end_it_at_once(slept: list[float]) -> None:
    with pytest.raises(CommandError) as caught:
        ask(Service({"b": 2}, a=[3], b=[4]))
    assert str(caught.value).startswith("Without an embedding: 7 messages (3 of a, 4 of b). The model refused 2 of b,")
    assert "/v1/admin/embeddings/retry" in str(caught.value)
    assert slept == []
