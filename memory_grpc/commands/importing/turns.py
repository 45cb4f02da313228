"""What the formats of other programs yield, and how they read fields: what is wrong is named and never shown."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from zoneinfo import ZoneInfo

from memory_grpc.commands.importing.records import Fault

SKIP = "skip"


class Malformed(Exception):
    """A file is not of its format from some place on: nothing in it can be believed."""

    def __init__(self, place: str, description: str) -> None:
        super().__init__(f"{place}: {description}")
        self.place = place
        self.description = description


class Wrong(Exception):
    """One item is not as its format has it."""

    def __init__(self, name: str, description: str) -> None:
        super().__init__(f"{name}: {description}")
        self.fault = Fault(name, description)


@dataclass(frozen=True, slots=True)
class Reading:
    """How to read the files of other programs, which say neither whose they are nor what they mean.

    ``roles`` maps roles as the file has them, to SKIP where they are to be left out. ``dates`` is the order of day,
    month and year (``dmy``, ``mdy``, ``ymd``) and ``timezone`` what their times mean, where a format does not say.
    """

    tenant_id: str = ""
    user_id: str | None = None
    conversation_id: str | None = None
    roles: Mapping[str, str] = field(default_factory=dict)
    dates: str | None = None
    timezone: ZoneInfo | None = None


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn as a file has it. ``id`` is what the file calls it, where it does; ``created_at`` RFC 3339.

    ``left_out`` names what of it is not text and does not come along: the whole turn, where ``content`` is empty.
    """

    place: str
    conversation_id: str = ""
    role: str = ""
    content: str = ""
    id: str = ""
    name: str | None = None
    created_at: str | None = None
    user_id: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()
    faults: tuple[Fault, ...] = ()


def attempt(place: str, build: Callable[[], Turn]) -> Turn:
    """What is built, or a turn of that place with what was wrong."""
    try:
        return build()
    except Wrong as wrong:
        return Turn(place, faults=(wrong.fault,))


def as_object(value: Any, name: str = "") -> Mapping[str, Any]:
    """A value that must be an object."""
    if not isinstance(value, dict):
        raise Wrong(name, "must be an object")
    return value


def object_at(of: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """An object under a name; empty where there is none."""
    value = of.get(name)
    return {} if value is None else as_object(value, name)


def list_at(of: Mapping[str, Any], name: str) -> list[Any]:
    """A list under a name; empty where there is none."""
    value = of.get(name)
    if value is None:
        return []
    if not isinstance(value, list):
        raise Wrong(name, "must be a list")
    return value


def text_at(of: Mapping[str, Any], *names: str) -> str:
    """The text under the first of these names that is there; whole numbers are ids. Empty where there is none."""
    for name in names:
        value = of.get(name)
        if value is None:
            continue
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        if not isinstance(value, str):
            raise Wrong(name, "must be text")
        return value
    return ""


def needed_text(of: Mapping[str, Any], *names: str) -> str:
    """The same, where there must be one."""
    found = text_at(of, *names)
    if not found:
        raise Wrong(names[0], "is missing")
    return found


def present(**fields: Any) -> dict[str, Any]:
    """The fields that say something."""
    return {name: value for name, value in fields.items() if value not in (None, "", [], {})}
