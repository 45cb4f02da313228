import threading

import pytest

from memory_grpc.embedding.batch_queue import BatchQueue
from memory_grpc.embedding.calls import EmbeddingCall, Item, Kind
from memory_grpc.embedding.provider import Window
from memory_grpc.errors import Draining, QueueFull


def queue(
    *,
    batch_size: int = 4,
    batch_length: int = 10_000,
    limit: int = 10,
    padding_cost: float = 1.0,
    batch_wait_seconds: float = 0,
) -> BatchQueue:
    return BatchQueue(
        batch_size=batch_size,
        batch_length=batch_length,
        padding_cost=padding_cost,
        batch_wait_seconds=batch_wait_seconds,
        limit=limit,
        clock=lambda: 0,
    )


def call(*lengths: int, kind: Kind = "ingest", tenant: str = "acme", is_background: bool = False) -> EmbeddingCall:
    windows = [Window(length, None) for length in lengths]
    return EmbeddingCall(kind, windows, lambda: None, tenant, is_background)


def tenants(items: list[Item]) -> set[str]:
    return {item.call.tenant for item in items}


def lengths(items: list[Item]) -> list[int]:
    return [item.window.length for item in items]


def test_a_batch_that_is_full_by_windows_or_by_length_waits_for_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    def waits(self: threading.Condition, timeout: float | None = None) -> bool:
        raise AssertionError("it waits")

    q = queue(batch_size=3, batch_length=20, batch_wait_seconds=1)
    q.submit(call(5))
    assert len(q.take()) == 1  # in the model from here on, so that the next may wait for company
    monkeypatch.setattr(threading.Condition, "wait", waits)
    for full in (call(1, 1, 1), call(12, 12)):
        q.submit(full)
        assert q.take()
        q.drop(full)
    q.submit(call(5, 5))
    with pytest.raises(AssertionError, match="it waits"):
        q.take()


def test_queries_go_first_and_never_mix_with_ingest() -> None:
    q = queue()
    ingest, query = call(5, 5), call(5, kind="query")
    q.submit(ingest)
    q.submit(query)
    assert [item.call for item in q.take()] == [query]
    assert [item.call for item in q.take()] == [ingest, ingest]


def test_a_batch_holds_windows_of_similar_length() -> None:
    q = queue(batch_size=3)
    q.submit(call(10, 200, 11, 210, 12, 205))
    assert sorted(lengths(q.take())) == [200, 205, 210]
    assert sorted(lengths(q.take())) == [10, 11, 12]


def test_windows_of_other_calls_join_when_they_are_of_similar_length() -> None:
    q = queue(batch_size=8)
    first, long, near = call(200), call(10), call(190)
    for c in (first, long, near):
        q.submit(c)
    assert [item.call for item in q.take()] == [first, near]
    assert [item.call for item in q.take()] == [long]


def test_the_padded_length_of_a_batch_is_capped_but_one_window_always_goes() -> None:
    q = queue(batch_size=8, batch_length=500)
    q.submit(call(250, 250, 250))
    assert lengths(q.take()) == [250, 250]
    q.submit(call(900))
    assert lengths(q.take()) == [250]
    assert lengths(q.take()) == [900]


def test_a_provider_that_does_not_pad_takes_all_lengths_together() -> None:
    q = queue(batch_size=8, batch_length=500, padding_cost=0.0)
    q.submit(call(400, 5, 90))
    assert sorted(lengths(q.take())) == [5, 90, 400]


def test_the_cheaper_padding_is_the_more_lengths_differ() -> None:
    for padding_cost, expected in ((1.0, [300, 400]), (0.2, [200, 300, 400])):
        q = queue(batch_size=8, padding_cost=padding_cost)
        q.submit(call(400, 200, 300))
        assert sorted(lengths(q.take())) == expected


def test_a_large_call_does_not_starve_a_small_one() -> None:
    q = queue(batch_size=4, limit=1000)
    large, small = call(*[50] * 100), call(50)
    q.submit(large)
    assert {item.call for item in q.take()} == {large}
    q.submit(small)
    assert small in {item.call for item in q.take()}


def test_every_call_advances_even_when_lengths_never_match() -> None:
    q = queue(batch_size=4, limit=1000)
    large, other = call(*[10] * 100), call(250, 250)
    q.submit(large)
    q.submit(other)
    assert {item.call for item in q.take()} == {large}
    assert {item.call for item in q.take()} == {other}


def test_past_the_limit_a_call_is_refused_at_once_with_a_hint() -> None:
    q = queue(limit=10)
    q.submit(call(*[5] * 9))
    q.submit(call(5))
    with pytest.raises(QueueFull) as caught:
        q.submit(call(5))
    assert 0 < caught.value.retry_after_seconds <= 60
    q.submit(call(5, kind="query"))  # searches have a bound of their own


def test_one_call_of_any_size_is_accepted_when_nothing_waits() -> None:
    q = queue(limit=10, batch_size=64)
    q.submit(call(*[5] * 1000))
    assert len(q.take()) == 64


def test_a_dropped_call_leaves_the_queue_and_its_place_is_free() -> None:
    q = queue(limit=4)
    gone, kept = call(5, 5, 5), call(5)
    q.submit(gone)
    q.submit(kept)
    q.drop(gone)
    q.submit(call(5, 5, 5))
    assert gone not in {item.call for item in q.take()}


def test_dropping_twice_counts_once() -> None:
    q = queue(limit=4)
    gone = call(5, 5)
    q.submit(call(5, 5))
    q.submit(gone)
    q.drop(gone)
    q.drop(gone)
    q.submit(call(5, 5))
    with pytest.raises(QueueFull):
        q.submit(call(5))


def test_closing_hands_out_what_waits_then_nothing() -> None:
    q = queue()
    q.submit(call(5))
    q.close()
    with pytest.raises(Draining):
        q.submit(call(5))
    assert len(q.take()) == 1
    assert q.take() == [] and q.take(queries_only=True) == []


def test_the_query_thread_leaves_ingest_alone() -> None:
    q = queue()
    q.submit(call(5))
    q.close()
    assert q.take(queries_only=True) == []
    assert len(q.take()) == 1


@pytest.mark.parametrize("kind", ["query", "ingest"])
def test_one_tenant_s_thousand_calls_do_not_starve_another_s_one(kind: Kind) -> None:
    q = queue(batch_size=4, limit=10_000)
    for _ in range(1000):
        q.submit(call(250, kind=kind, tenant="attacker"))
    assert tenants(q.take()) == {"attacker"}
    for _ in range(5):
        q.submit(call(10, kind=kind, tenant="victim"))
        assert tenants(q.take()) == {"victim"}, "it had less of the model's work, and is next"
        assert tenants(q.take()) == {"attacker"}


def test_tenants_get_equal_parts_of_the_model_s_work_whatever_they_send() -> None:
    q = queue(batch_size=4, batch_length=1000, limit=100_000)
    q.submit(call(*[250] * 1000, tenant="long"))
    q.submit(call(*[25] * 1000, tenant="short"))
    done = {"long": 0, "short": 0}
    for _ in range(110):
        for item in q.take():
            done[item.call.tenant] += item.window.length
    assert abs(done["long"] - done["short"]) <= 1000, "no more than a batch apart"


def test_a_tenant_that_was_away_has_saved_nothing_up() -> None:
    q = queue(batch_size=1, limit=1000)
    q.submit(call(10, tenant="early"))
    q.take()
    q.submit(call(*[10] * 100, tenant="busy"))
    for _ in range(50):
        q.take()
    q.submit(call(*[10] * 40, tenant="early"))
    assert sum(tenants(q.take()) == {"early"} for _ in range(20)) in (10, 11)


def test_the_places_of_the_queue_are_shared_by_the_tenants_that_have_some() -> None:
    q = queue(limit=10)
    q.submit(call(*[5] * 10, tenant="attacker"))
    q.submit(call(*[5] * 4, tenant="victim"))
    q.submit(call(5, tenant="victim"))
    for tenant in ("attacker", "victim"):
        with pytest.raises(QueueFull):
            q.submit(call(5, tenant=tenant))
    q.submit(call(5, tenant="third"))


def test_what_nobody_waits_for_is_never_refused() -> None:
    q = queue(limit=4)
    q.submit(call(*[5] * 4))
    q.submit(call(*[5] * 100, is_background=True))


def test_tenants_that_have_gone_are_forgotten() -> None:
    q = queue(batch_size=1, limit=100_000)
    q.submit(call(*[1] * 5000, tenant="busy"))
    for number in range(3000):
        q.submit(call(1, tenant=str(number)))
        q.take()
        q.take()
    turns = q._turns["ingest"]
    assert len(turns._accounts) <= 1026
    while turns.windows:
        q.take()
    assert not turns._accounts


def test_a_short_message_is_not_held_up_by_long_ones_beside_it() -> None:
    q = queue(batch_size=4, padding_cost=0.0, limit=1000)
    q.submit(call(*[250] * 100, tenant="attacker"))
    q.take()
    q.submit(call(10, tenant="victim"))
    q.submit(call(20, tenant="other"))
    assert [item.call.tenant for item in q.take()] == ["victim", "other"]
