"""Who used the processors: seconds that the processes of a trial were on them, from /proc."""

from __future__ import annotations

import os
from dataclasses import astuple, dataclass
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")
# Fields of /proc/PID/stat behind the name: the parent, and the time of the process and of its children that ended.
_PARENT, _OWN, _ENDED = 1, slice(11, 13), slice(13, 15)


@dataclass(frozen=True, slots=True)
class Used:
    """Seconds of processors."""

    victim: float = 0.0
    server: float = 0.0
    postgres: float = 0.0
    envoy: float = 0.0

    def since(self, before: Used) -> Used:
        """What was used from then to now."""
        return Used(*(now - then for now, then in zip(astuple(self), astuple(before), strict=True)))

    def during(self, seconds: float) -> Used:
        """Of a processor, on an average over so many seconds."""
        return Used(*(used / seconds for used in astuple(self)))


def used(server: int, postmaster: int | None, envoy: int | None) -> Used:
    """Until now: of this process, of a server, of a Postgres with its backends, the ended ones too, and of an Envoy."""
    return Used(
        sum(os.times()[:2]),
        _own(server),
        0.0 if postmaster is None else _family(postmaster),
        0.0 if envoy is None else _own(envoy),
    )


def _own(process: int) -> float:
    return _ticks(_stat(process)[_OWN]) / _TICK


def _family(process: int) -> float:
    total = _ticks(_stat(process)[_OWN]) + _ticks(_stat(process)[_ENDED])
    for path in Path("/proc").glob("[0-9]*"):
        try:
            stat = _stat(int(path.name))
        except (FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
            continue
        if int(stat[_PARENT]) == process:
            total += _ticks(stat[_OWN])
    return total / _TICK


def _ticks(fields: list[str]) -> int:
    return sum(map(int, fields))


def _stat(process: int) -> list[str]:
    return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
