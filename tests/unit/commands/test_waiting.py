"""How many messages an import says wait for their embedding."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from memory_grpc.commands.configuration import Target
from memory_grpc.commands.failure import CommandError
from memory_grpc.commands.importing import waiting
from memory_layer.v1 import memory_service_pb2 as pb

HERE = Target("localhost:1", 1.0)


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """What a search says of each tenant; one that is not in it cannot be asked."""
    said: dict[str, int] = {}

    class Service:
        def memory(self, method: str, request: Any) -> Any:
            if request.tenant_id not in said:
                raise CommandError("UNAVAILABLE: no model")
            return pb.SearchMemoriesResponse(pending=said[request.tenant_id])

    @contextmanager
    def client(target: Target) -> Iterator[Service]:
        yield Service()

    monkeypatch.setattr(waiting, "client", client)
    return said


def test_tenants_are_asked_anew(now: dict[str, int]) -> None:
    now |= {"a": 2, "b": 0, "c": 3}
    assert waiting.count({"a": 5, "b": 4}, ["c"], HERE) == 5


def test_a_tenant_that_cannot_be_asked_counts_as_before(now: dict[str, int]) -> None:
    now |= {"a": 1}
    assert waiting.count({"a": 5, "b": 4}, [], HERE) == 5


def test_a_number_that_is_not_counted_further_is_at_least_the_former_one(now: dict[str, int]) -> None:
    now |= {"a": 10_000, "b": 10_000}
    assert waiting.count({"a": 25_000, "b": 7}, [], HERE) == 35_000


def test_of_many_tenants_some_are_asked(now: dict[str, int]) -> None:
    now |= {f"t{n}": 0 for n in range(30)}
    assert waiting.count({f"t{n}": 1 for n in range(30)}, [], HERE) == 20


def test_nobody_is_asked_where_nothing_waits() -> None:
    assert waiting.count({}, [], HERE) == 0
