"""What a client asks its reads to have seen."""

from __future__ import annotations

from memory_grpc.client.seen import Seen

EVERYTHING = (("x-min-lsn", "FFFFFFFF/FFFFFFFF"),)


def at(position: str) -> tuple[tuple[str, str], ...]:
    return (("x-lsn", position),)


def test_what_was_acknowledged_without_a_position_is_asked_for_until_a_later_write_says_more() -> None:
    seen = Seen()
    assert seen.metadata() == ()
    seen.wrote(at("0/20"), seen.begun())
    seen.wrote(at("0/10"), seen.begun())
    assert seen.metadata() == (("x-min-lsn", "0/20"),)
    earlier = seen.begun()
    seen.acknowledged("stream")
    assert seen.metadata() == EVERYTHING
    seen.wrote(None, seen.begun())
    seen.wrote(at("nonsense"), seen.begun())
    seen.note(at("0/30"))
    assert seen.metadata() == EVERYTHING
    seen.wrote(at("0/35"), earlier)
    assert seen.metadata() == EVERYTHING, "a write that began before the acknowledgement may have come before it"
    seen.wrote(at("0/40"), seen.begun())
    assert seen.metadata() == (("x-min-lsn", "0/40"),)


def test_a_stream_speaks_for_itself_alone() -> None:
    seen = Seen()
    seen.acknowledged("one")
    seen.acknowledged("other")
    seen.ended("other", at("0/10"), well=True)
    assert seen.metadata() == EVERYTHING
    seen.ended("one", None, well=False)
    assert seen.metadata() == EVERYTHING, "it broke off and did not say where"
    seen.ended("one", at("0/20"), well=False)
    assert seen.metadata() == (("x-min-lsn", "0/20"),)


def test_a_later_stream_that_says_where_it_ended_speaks_for_one_that_broke_off_before_it_began() -> None:
    seen = Seen()
    early = seen.begun()
    seen.acknowledged("broken")
    begun = seen.begun()
    seen.ended("broken", None, well=False, begun=early)
    seen.ended("nothing written", at("0/10"), well=True, begun=begun)
    assert seen.metadata() == EVERYTHING
    seen.acknowledged("next")
    seen.ended("next", at("0/20"), well=True, begun=begun)
    assert seen.metadata() == (("x-min-lsn", "0/20"),)


def test_nothing_is_asked_for_where_a_server_knows_of_no_replicas() -> None:
    seen = Seen()
    seen.acknowledged("stream")
    seen.ended("stream", None, well=True)
    assert seen.metadata() == ()
