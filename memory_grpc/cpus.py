"""The CPUs that this process may use."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path

_GROUPS, _OWN = Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")


def available() -> int:
    """How many there are: those it may run on (taskset, cpuset), or as many as its container has the time of."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, math.ceil(min(cores, quota())))


def quota(groups: Path = _GROUPS, own: Path = _OWN) -> float:
    """CPU seconds in a second that the control groups of this process allow, by cgroup v1 or v2; infinite without any.

    The path that a container is told can be the host's, which is not there: what is mounted is then its own.
    """
    try:
        lines = own.read_text().splitlines()
    except OSError:  # not Linux
        return math.inf
    return min((limit for line in lines for limit in _limits(groups, *line.split(":", 2)[1:])), default=math.inf)


def _limits(groups: Path, controllers: str, path: str) -> Iterator[float]:
    is_v1 = "cpu" in controllers.split(",")
    if controllers and not is_v1:
        return
    mounted = groups / controllers if is_v1 else groups
    inner = Path(path.strip("/"))
    for directory in (inner, *inner.parents):
        files = ("cpu.cfs_quota_us", "cpu.cfs_period_us") if is_v1 else ("cpu.max",)
        try:
            amount, period = " ".join((mounted / directory / file).read_text() for file in files).split()
        except (OSError, ValueError):
            continue
        if amount not in ("max", "-1"):
            yield int(amount) / int(period)
