"""How far the database had come when this client last wrote: what its reads have to see, where they go to replicas."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from memory_grpc import positions

_GIVEN, _ASKED = "x-lsn", "x-min-lsn"


class Seen:
    """Grows with each answer that says more. Threads may share it: one that notes late asks for a little less."""

    def __init__(self) -> None:
        self._position = 0

    def note(self, headers: Iterable[Any] | None) -> None:
        """Headers or trailers of an answer."""
        for key, value in headers or ():
            if key == _GIVEN and isinstance(value, str):
                try:
                    self._position = max(self._position, positions.parse(value))
                except ValueError:
                    return

    def metadata(self) -> tuple[tuple[str, str], ...]:
        """What a call sends along."""
        return ((_ASKED, positions.spelled(self._position)),) if self._position else ()
