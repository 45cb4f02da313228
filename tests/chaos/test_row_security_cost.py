"""What row-level security costs a search: the same statements and calls with it and without, taking turns."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys

import pytest

from tests.chaos.harness import ROOT, item, rounds

pytestmark = pytest.mark.timeout(1200)

# From so many pairs on the promise is asserted. The short form looks for what a policy costs that is not pushed down
# into the scan, or is asked for each row: that is far more than a machine's noise.
STRICT_PAIRS = 100
PROMISED, LOOSE = 1.05, 2.0


@pytest.mark.asyncio
async def test_11_the_cost_of_row_level_security() -> None:
    """``bench/row_security.py``, whose pairs are compared by the fastest fifth of each: least disturbed by others."""
    pairs = rounds("RLS_PAIRS", 20)
    is_strict = pairs >= STRICT_PAIRS
    size, others = (10_000, 10) if is_strict else (1_000, 2)
    with item(11, f"a search with row-level security, {size:,} messages") as result:
        command = [sys.executable, ROOT / "bench" / "row_security.py", "--json"]
        command += ["--size", str(size), "--others", str(others), "--repeat", str(pairs)]
        paths = os.pathsep.join(part for part in (str(ROOT), os.environ.get("PYTHONPATH")) if part)
        done = await asyncio.to_thread(
            subprocess.run,
            command,
            env=os.environ | {"PYTHONPATH": paths},
            capture_output=True,
            text=True,
            timeout=1000,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        measured = {row["what"]: row for row in map(json.loads, done.stdout.splitlines())}
        # The empty transaction is no search: it tells how much longer one gets.
        longer = measured.pop("transaction")
        result.tried = len(measured)
        assert result.tried == 4, "the statements and the calls of both rankings"
        bound = PROMISED if is_strict else LOOSE
        result.held = sum(row["fastest"] <= bound for row in measured.values())
        result.note = ", ".join(f"{name} {row['fastest']:.3f}" for name, row in measured.items())
        result.note += f"; a transaction {1000 * (longer['with_ms'] - longer['without_ms']):+.0f} µs"
        assert result.held == result.tried, result.note
