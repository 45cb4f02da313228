"""What is remembered of how far a node had come, and which nodes are copies of the primary."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from memory_grpc.store.follow import Followed
from memory_grpc.store.node import Node

PRIMARY = Node(position=7, cluster=1, is_primary=True, started_at=datetime(2026, 1, 1, tzinfo=UTC), timeline=1)
LATER = PRIMARY.started_at + timedelta(microseconds=1)
STANDBY = replace(PRIMARY, is_primary=False, started_at=LATER)


def test_where_it_was_is_remembered_for_so_long_and_no_longer() -> None:
    now = 0.0
    node = Followed("", "primary", lambda: now, remembered_seconds=10)
    assert node.position_then() == 0
    for tick in range(100_000):
        now = tick / 100
        node.note(replace(PRIMARY, position=tick + 1))
        if tick < 1000:
            assert node.position_then() == 1  # at first: what it had when it was first heard of
        assert len(node._past) <= 103
    assert 98_990 - 20 <= node.position_then() <= 99_000
    replica = Followed("", "replica", lambda: now)
    for _ in range(1000):
        now += 1
        replica.note(STANDBY)
    assert len(replica._past) == 1


@pytest.mark.parametrize(
    ("changes", "copies"),
    [
        ({}, True),
        ({"cluster": 2}, False),
        ({"timeline": 2}, False),
        ({"is_primary": True, "started_at": LATER}, False),
        ({"is_primary": True, "started_at": PRIMARY.started_at}, True),
        ({"is_primary": True, "started_at": PRIMARY.started_at, "cluster": 2}, False),
    ],
)
def test_a_copy_is_on_the_primarys_timeline_and_takes_no_writes_unless_it_is_the_primary(
    changes: dict[str, Any], copies: bool
) -> None:
    assert replace(STANDBY, **changes).copies(PRIMARY) is copies


def test_nothing_is_read_before_the_primary_was_heard_of() -> None:
    primary = Followed("", "primary", lambda: 0.0)
    replica = Followed("", "replica", lambda: 0.0, primary=primary)
    replica.note(STANDBY)
    assert replica.is_up and not replica.may_be_read
    primary.note(PRIMARY)
    assert replica.may_be_read
    primary.lose()
    assert replica.may_be_read  # it is read while the primary is away
    primary.note(replace(PRIMARY, timeline=2))
    assert not replica.may_be_read
