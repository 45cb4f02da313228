"""`make bench-ingest`: what the service adds to the model when it stores messages, with everything real.

The server runs with its defaults in a process of its own, before a real Postgres and behind a real Envoy. The callers
and the bare model are other processes on the same cores: what they take is taken from the server, so every ratio counts
the whole machine. Each measurement stands between two runs of the bare model on the same texts, and is divided by their
mean.

Parts: 1 rates, 2 one caller, 3 searches during an import, 4 memory, 5 an import that is killed, 6 processor time
without a model.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("HF_HUB_OFFLINE", "1")
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from ingesting import machine, parts, report
from ingesting.bare import Bare
from ingesting.clients import Texts
from ingesting.own_cost import own_cost

PARTS = (1, 2, 3, 4, 5, 6)


async def run(bench: parts.Bench, only: set[int], postgres_pid: int) -> list[str]:
    """The parts asked for; the lines of part 6, which has a table of its own."""
    if only & {1, 2}:
        bare = Bare(bench.precision)
        try:
            if 1 in only:
                sample = [r.content for r in bench.texts.some(128)]
                form = await asyncio.to_thread(bare.choose, sample)
                bench.say(f"bare: {form.name}, the fastest form, {form.texts_per_second:.0f} texts/s")
                await parts.rates(bench, bare, form)
            if 2 in only:
                await parts.alone(bench, bare)
        finally:
            bare.close()
    for number, part in ((3, parts.searching), (4, parts.memory), (5, parts.killed)):
        if number in only:
            await part(bench)
    return await own_cost(bench, postgres_pid) if 6 in only else []


def main() -> int:
    """The command line; 1 when --check was asked for and an aim is not met."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path, help="LoCoMo data")
    parser.add_argument("--only", type=int, nargs="+", choices=PARTS, default=PARTS, metavar="N", help="parts")
    parser.add_argument("--messages", type=int, default=1024, help="messages of one measurement")
    parser.add_argument("--rounds", type=int, default=3, help="rounds of part 1; the median is taken")
    parser.add_argument("--lines", type=int, default=100_000, help="messages of parts 4 and 5")
    parser.add_argument("--tenant-size", type=int, default=10_000, help="messages of part 3's tenant")
    parser.add_argument(
        "--precision", choices=("fp32", "bf16"), default="fp32", help="of the service and the bare model"
    )
    parser.add_argument("--kills", type=int, default=10, help="of part 5")
    parser.add_argument("--seed", type=int, default=1, help="of the places where part 5 kills")
    parser.add_argument("--plot", type=Path, metavar="FILE.svg", help="draw part 1")
    parser.add_argument("--check", action="store_true", help="exit code 1 when an aim is not met")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="memory-bench-") as name, machine.machine(Path(name)) as (dsn, pid):
        bench = parts.Bench(
            texts=Texts.of(arguments.file),
            dsn=dsn,
            directory=Path(name),
            precision=arguments.precision,
            messages=arguments.messages,
            rounds=arguments.rounds,
            lines=arguments.lines,
            tenant_size=arguments.tenant_size,
            seed=arguments.seed,
            kills=arguments.kills,
        )
        own = asyncio.run(run(bench, set(arguments.only), pid))
    cores = len(os.sched_getaffinity(0))
    print(f"{arguments.precision}, {cores} cores, {platform.machine()}, {arguments.messages} messages a measurement\n")
    if bench.figures:
        print(report.table(bench.figures))
    if own:
        print("\nProcessor time of a message without a model:\n")
        print("\n".join(own))
    if arguments.plot:
        report.plot(
            bench.figures, f"Ingest against the bare model ({arguments.precision}, {cores} cores)", arguments.plot
        )
    return int(arguments.check and not all(figure.is_met for figure in bench.figures))


if __name__ == "__main__":
    sys.exit(main())
