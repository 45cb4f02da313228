"""What is remembered of how far a node had come."""

from __future__ import annotations

from memory_grpc.store.follow import Followed


def test_where_it_was_is_remembered_for_so_long_and_no_longer() -> None:
    now = 0.0
    node = Followed("", "primary", lambda: now, remembered_seconds=10)
    assert node.position_then() == 0
    for tick in range(100_000):
        now = tick / 100
        node.note(tick)
        assert len(node._past) <= 103
    assert 98_990 - 20 <= node.position_then() <= 98_999
    replica = Followed("", "replica", lambda: now)
    for _ in range(1000):
        now += 1
        replica.note(7)
    assert len(replica._past) == 1
