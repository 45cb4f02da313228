"""What a client asks its reads to have seen."""

from __future__ import annotations

from memory_grpc.client.seen import Seen

EVERYTHING = (("x-min-lsn", "FFFFFFFF/FFFFFFFF"),)


def test_what_was_acknowledged_without_a_position_is_asked_for_until_a_later_write_says_more() -> None:
    seen = Seen()
    assert seen.metadata() == ()
    seen.note((("x-lsn", "0/20"),), wrote=True)
    seen.note((("x-lsn", "0/10"),), wrote=True)
    assert seen.metadata() == (("x-min-lsn", "0/20"),)
    seen.acknowledged()
    assert seen.metadata() == EVERYTHING
    seen.note(None, wrote=True)
    seen.note((("x-lsn", "nonsense"),), wrote=True)
    seen.note((("x-lsn", "0/30"),), wrote=False)
    assert seen.metadata() == EVERYTHING
    seen.note((("x-lsn", "0/40"),), wrote=True)
    assert seen.metadata() == (("x-min-lsn", "0/40"),)
