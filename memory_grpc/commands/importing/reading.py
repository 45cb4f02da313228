"""The options of ``import`` that say how a file is read, checked."""

from __future__ import annotations

from collections.abc import Sequence
from zoneinfo import ZoneInfo

import typer

from memory_grpc.commands.importing.detect import Format
from memory_grpc.commands.importing.turns import SKIP, Reading

_ROLES = ("user", "assistant", "system", SKIP)
_DATES = ("dmy", "mdy", "ymd")


def format_of(name: str) -> Format:
    """A format by its name. Raises BadParameter."""
    if name not in set(Format):
        raise typer.BadParameter(f"give one of {', '.join(Format)}", param_hint="--format")
    return Format(name)


def of_options(
    tenant: str | None,
    user: str | None,
    conversation: str | None,
    roles: Sequence[str],
    dates: str | None,
    timezone: str | None,
) -> Reading:
    """The options together. Raises BadParameter for a value that none of them takes."""
    pairs = dict(role.split("=", 1) for role in roles)
    if set(pairs.values()) - set(_ROLES):
        raise typer.BadParameter(f"give a role of the file and one of {', '.join(_ROLES)}", param_hint="--role")
    if dates is not None and dates not in _DATES:
        raise typer.BadParameter(f"give one of {', '.join(_DATES)}", param_hint="--dates")
    return Reading(tenant or "", user, conversation, pairs, dates, None if timezone is None else _zone(timezone))


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, OSError, ValueError):  # unknown, a folder of zones, or no name of one
        raise typer.BadParameter("give a time zone like Europe/Berlin", param_hint="--timezone") from None
