"""How far the database had come when this client last wrote: what its reads have to see, where they go to replicas."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from memory_grpc import positions

_GIVEN, _ASKED = "x-lsn", "x-min-lsn"


class Seen:
    """Grows with each answer that says more. Threads may share it: one that notes late asks for a little less.

    A stream acknowledges writes before it says where they ended, and one that breaks off may never say it. From then on
    everything is asked for, until what is written later says where it ended: the primary has it.
    """

    def __init__(self) -> None:
        self._position = 0
        self._is_open = False

    def acknowledged(self) -> None:
        """Something was written, nobody knows yet where."""
        self._is_open = True

    def note(self, headers: Iterable[Any] | None, *, wrote: bool) -> None:
        """Headers or trailers of an answer; ``wrote`` when it is certain that the call stored something."""
        for key, value in headers or ():
            if key == _GIVEN and isinstance(value, str):
                try:
                    self._position = max(self._position, positions.parse(value))
                except ValueError:
                    return
                self._is_open = self._is_open and not wrote

    def metadata(self) -> tuple[tuple[str, str], ...]:
        """What a call sends along."""
        asked = positions.UNKNOWN if self._is_open else self._position
        return ((_ASKED, positions.spelled(asked)),) if asked else ()
