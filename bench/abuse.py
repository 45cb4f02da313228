"""One caller against all others: a table with a row for each program of tests/abuse (`make abuse`).

Each program attacks a server process of its own, over and over, while a victim of another tenant sends messages and
searches, one after the other. It holds where every call of the victim is served and the 99th percentile of what they
take is at most three times what it is without the attack; programs called envoy_… attack through Envoy, as the victim
then calls. The model takes 5 ms for a window of 256 words.

The attacker shares the machine's processors with those it attacks, which one elsewhere does not: its process gives way
to all others (nice 19). The shares of a processor that each had tell who worked. Figures want a quiet machine; the
short form runs among all other tests. Exit code 1 when something did not hold.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "gen")]

from memory_grpc.local.postgres import EmbeddedPostgres  # noqa: E402 - the path comes first
from tests.abuse.programs import PROGRAMS  # noqa: E402 - the path comes first
from tests.abuse.trial import Trial, instance_of, trial  # noqa: E402

_HEAD = (
    "program",
    "attacks",
    "victim's calls",
    "failed",
    "p99 idle",
    "p99 attacked",
    "times",
    "CPU of attacker, server, Postgres, Envoy",
    "",
)


async def run(names: list[str], seconds: float) -> bool:
    """Prints the table row by row; whether all of it held."""
    print("|", " | ".join(_HEAD), "|")
    print("|" + "---|" * len(_HEAD))
    everything = True
    for name in names:
        result = await _of(name, seconds)
        idle, attacked, cpu = result.idle, result.attacked, result.used
        calls = len(attacked.seconds) + len(attacked.failed)
        everything &= result.holds()
        print(
            f"| {name} | {result.attacks} | {calls} | {_failed(attacked.failed)} | {1000 * idle.p99:.0f} ms "
            f"| {1000 * attacked.p99:.0f} ms | {result.factor:.1f} "
            f"| {result.attacker_share:.2f}, {cpu.server:.2f}, {cpu.postgres:.2f}, {cpu.envoy:.2f} "
            f"| {'' if result.holds() else '**no**'} |",
            flush=True,
        )
    return everything


def _failed(codes: list[str]) -> str:
    counts = Counter(codes)
    return ", ".join(f"{count} {code}" for code, count in sorted(counts.items())) or "0"


async def _of(name: str, seconds: float) -> Trial:
    """A trial on a Postgres of its own."""
    with tempfile.TemporaryDirectory() as directory:
        postgres = EmbeddedPostgres(Path(directory) / "postgres")
        try:
            dsn = await asyncio.to_thread(postgres.start)
            async with instance_of(dsn, Path(directory), name) as instance:
                pid = Path(directory) / "postgres/postgres/postmaster.pid"
                return await trial(instance, seconds, name, postmaster=int(pid.read_text().split()[0]))
        finally:
            await asyncio.to_thread(postgres.stop)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20.0, help="without the attack, and with it")
    parser.add_argument("--only", nargs="+", choices=list(PROGRAMS), default=list(PROGRAMS), help="some programs")
    arguments = parser.parse_args()
    sys.exit(0 if asyncio.run(run(arguments.only, arguments.seconds)) else 1)


if __name__ == "__main__":
    main()
