"""Grouping by tenant, and how far a file is done."""

from __future__ import annotations

from memory_grpc.commands.importing.batches import Batch, Batcher, Ledger
from memory_grpc.commands.importing.records import Mark, Record
from memory_layer.v1.memory_service_pb2 import IngestMessageRequest


def record(number: int, tenant: str = "t", *, content: str = "x", request_id: str | None = None) -> Record:
    return Record(
        f"line {number}",
        Mark(number - 1, str(number - 1), number - 1),
        Mark(number, str(number), number),
        IngestMessageRequest(tenant_id=tenant, content=content, request_id=request_id or f"id-{number}"),
    )


def numbers(batches: list[Batch]) -> list[list[int]]:
    return [[r.after.number for r in batch.records] for batch in batches]


def add_all(batcher: Batcher, records: list[Record]) -> list[Batch]:
    return [batch for r in records for batch in batcher.add(r)]


def test_a_batch_is_full_by_count() -> None:
    batcher = Batcher(2, 10_000)
    assert numbers(add_all(batcher, [record(n) for n in range(1, 6)])) == [[1, 2], [3, 4]]
    assert numbers(batcher.drain()) == [[5]]
    assert batcher.drain() == []


def test_a_batch_is_full_by_bytes() -> None:
    batcher = Batcher(100, 1000)
    ready = add_all(batcher, [record(n, content="x" * 600) for n in range(1, 4)])
    assert numbers(ready) == [[1], [2]]
    assert all(batch.size_bytes <= 1000 for batch in ready)


def test_tenants_that_take_turns_fill_batches_of_their_own() -> None:
    batcher = Batcher(3, 10_000)
    ready = add_all(batcher, [record(n, "ab"[n % 2]) for n in range(6)])
    assert numbers(ready) == [[0, 2, 4], [1, 3, 5]]
    assert [batch.tenant_id for batch in ready] == ["a", "b"]


def test_a_tenant_that_does_not_come_again_is_not_kept_waiting() -> None:
    batcher = Batcher(2, 10_000)
    ready = add_all(batcher, [record(1, "once"), *(record(n) for n in range(2, 7))])
    assert [1] in numbers(ready)


def test_what_waits_is_bounded() -> None:
    batcher = Batcher(1000, 1000)
    ready = add_all(batcher, [record(n, f"tenant-{n}", content="x" * 900) for n in range(50)])
    assert sum(len(batch.records) for batch in batcher.waiting) <= 8
    assert numbers(ready)[0] == [0]


def test_a_request_id_that_comes_again_goes_into_another_batch() -> None:
    batcher = Batcher(10, 10_000)
    ready = add_all(batcher, [record(1, request_id="AB"), record(2, request_id="ab")])
    assert numbers([*ready, *batcher.drain()]) == [[1], [2]]


def test_everything_before_the_first_unacknowledged_record_is_done() -> None:
    ledger = Ledger(Mark())
    first, second = (Batch("t", [record(1), record(2)]), Batch("u", [record(3), record(4)]))
    for batch in (first, second):
        ledger.sent(batch)
    ledger.read(record(4).after)
    ledger.acknowledged(second)
    assert ledger.done([]).number == 0
    ledger.acknowledged(first)
    assert ledger.done([]) == Mark(4, "4")
    assert ledger.done([Batch("v", [record(4)])]).number == 3
