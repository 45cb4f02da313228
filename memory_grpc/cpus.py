"""The CPUs that this process may run on."""

from __future__ import annotations

import os


def available() -> int:
    """How many there are."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
