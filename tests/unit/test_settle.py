"""What serves does not stand still for the garbage collector: what was there at the start is out of its sight."""

from __future__ import annotations

import gc

from memory_grpc.app import settle


def test_what_is_there_when_a_server_serves_is_not_walked_through_any_more() -> None:
    try:
        settle()
        assert gc.get_freeze_count() > 10_000
        assert len(gc.get_objects()) < 1_000
    finally:
        gc.unfreeze()
