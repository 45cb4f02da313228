"""Which time zones have a name."""

from __future__ import annotations

from functools import cache
from typing import Final
from zoneinfo import available_timezones

WANTED: Final = "must be a time zone of the IANA database, such as Europe/Berlin"
# What the machine's own zone is called, and what stands for none.
_NO_PLACES: Final = {"localtime", "Factory"}


def is_known(name: str) -> bool:
    """Whether a zone of the IANA database has that name. The machine's own has none: every server answers alike."""
    return name in _names()


@cache
def _names() -> frozenset[str]:
    return frozenset(available_timezones() - _NO_PLACES)
