"""How far the database had come when this client last wrote: what its reads have to see, where they go to replicas."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from memory_grpc import positions

_GIVEN, _ASKED = "x-lsn", "x-min-lsn"


class Seen:
    """Grows with each answer that says more. Threads may share it: one that notes late asks for a little less.

    A stream acknowledges writes before it says where they ended, and one that breaks off may never say it. From then on
    everything is asked for, which the primary has, until the stream ends or a write that began later says where it
    ended.
    """

    def __init__(self) -> None:
        self._position = 0
        self._acknowledged = 0
        self._open: dict[object, int] = {}
        """Of streams that have not said where their writes ended, the number of their last acknowledgement."""

    def begun(self) -> int:
        """To be given to ``wrote`` when a write that begins now has ended well."""
        return self._acknowledged

    def acknowledged(self, stream: object) -> None:
        """A stream has written something, nobody knows yet where."""
        self._acknowledged += 1
        self._open[stream] = self._acknowledged

    def wrote(self, headers: Iterable[Any] | None, begun: int) -> None:
        """The headers of a write that ended well: it comes after all that was acknowledged before it began."""
        if self.note(headers):
            self._close(begun)

    def ended(self, stream: object, trailers: Iterable[Any] | None, *, well: bool, begun: int = 0) -> None:
        """The trailers of a stream. One that ended well and says nothing knows of no replicas; one that wrote and says
        where is a write as others are."""
        is_write, is_told = stream in self._open, self.note(trailers)
        if is_told or well:
            self._open.pop(stream, None)
        if is_told and is_write:
            self._close(begun)

    def _close(self, begun: int) -> None:
        for stream, number in list(self._open.items()):
            if number <= begun:
                self._open.pop(stream, None)

    def note(self, headers: Iterable[Any] | None) -> bool:
        """Headers or trailers of an answer; whether they give a position."""
        for key, value in headers or ():
            if key == _GIVEN and isinstance(value, str):
                try:
                    self._position = max(self._position, positions.parse(value))
                except ValueError:
                    return False
                return True
        return False

    def metadata(self) -> tuple[tuple[str, str], ...]:
        """What a call sends along."""
        asked = positions.UNKNOWN if self._open else self._position
        return ((_ASKED, positions.spelled(asked)),) if asked else ()
