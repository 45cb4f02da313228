"""How many CPUs there are for a process, by its control groups."""

from __future__ import annotations

import math
import os
from pathlib import Path

import pytest

from memory_grpc import cpus
from memory_grpc.local.processes import count, portion
from memory_grpc.settings import Settings

# What /proc/self/cgroup says, which files there are, and how many CPUs that makes.
V1, V2 = "4:memory:/x\n3:cpu,cpuacct:/docker/abc\n0::/\n", "0::/docker/abc\n"
CASES = [
    (V2, {"docker/abc/cpu.max": "150000 100000\n"}, 1.5),
    (V2, {"docker/abc/cpu.max": "max 100000\n", "docker/cpu.max": "200000 100000\n"}, 2.0),
    (V2, {"docker/abc/cpu.max": "800000 100000\n", "docker/cpu.max": "200000 100000\n"}, 2.0),
    ("0::/../../elsewhere\n", {"cpu.max": "50000 100000\n"}, 0.5),
    (V2, {"docker/abc/cpu.max": "max 100000\n"}, math.inf),
    (V2, {"docker/abc/cpu.max": "garbage"}, math.inf),
    (V2, {}, math.inf),
    ("", {}, math.inf),
    (V1, {"cpu,cpuacct/cpu.cfs_quota_us": "400000\n", "cpu,cpuacct/cpu.cfs_period_us": "100000\n"}, 4.0),
    (V1, {"cpu,cpuacct/cpu.cfs_quota_us": "-1\n", "cpu,cpuacct/cpu.cfs_period_us": "100000\n"}, math.inf),
    ("5:cpuset:/\n", {"cpuset/cpu.max": "100000 100000\n"}, math.inf),
]


@pytest.mark.parametrize(("own", "files", "expected"), CASES)
def test_the_narrowest_group_counts(own: str, files: dict[str, str], expected: float, tmp_path: Path) -> None:
    groups = tmp_path / "groups"
    for name, text in files.items():
        (groups / name).parent.mkdir(parents=True, exist_ok=True)
        (groups / name).write_text(text)
    (tmp_path / "own").write_text(own)
    assert cpus.quota(groups, tmp_path / "own") == expected
    assert cpus.quota(groups, tmp_path / "nowhere") == math.inf


@pytest.mark.parametrize(
    ("cores", "limit", "processes", "threads"),
    [(1, math.inf, 1, 0), (2, math.inf, 1, 0), (8, math.inf, 4, 2), (64, 2.0, 1, 0), (64, 0.5, 1, 0), (64, 7.5, 4, 2)],
)
def test_auto_is_one_process_for_every_two(
    cores: int, limit: float, processes: int, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: range(cores), raising=False)
    monkeypatch.setattr(cpus, "quota", lambda: limit)
    settings = Settings(processes="auto", embedding_workers=0)
    assert count(settings) == processes
    assert portion(settings, processes).embedding_workers == threads  # 0: all that there are, for the one process
    assert count(settings.model_copy(update={"processes": 3})) == 3
