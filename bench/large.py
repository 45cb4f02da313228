"""`make bench-large`: large tenants in one database with many others, their pools against the exact statements, in one
run; and whole searches over gRPC.

Messages are made up (see scaling/synthetic.py). Filling and building take an hour or more, so that `--dir` keeps the
database for the next run, and the exact hits with it. Medians and 95th percentiles of one client, warm; times are of a
noisy machine, the ratios are what counts. Sizes of pools were chosen on the questions of `--seed 1`; those that are
measured by default are others.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from scaling import calling, filling, measuring, report, synthetic
from tqdm import tqdm

from memory_grpc.local.postgres import EmbeddedPostgres
from memory_grpc.store.database import Database
from memory_grpc.store.migrations import migrate

# Of an exact statement, at least so many are timed, and no more than read about so many messages.
LEAST_TIMED, MOST_READ = 3, 3_000_000


async def run(arguments: argparse.Namespace, directory: Path) -> None:
    """Fills, measures, prints."""
    postgres = EmbeddedPostgres(directory, filling.POSTGRES)
    try:
        dsn = postgres.start()
        migrate(dsn)
        database = Database(dsn, min_size=1, max_size=3, max_waiting=10, timeout_seconds=10)
        await database.open()
        tenants = {report.name(size): size for size in arguments.sizes}
        others = {f"other-{i}": arguments.other_size for i in range(arguments.others)}
        await filling.fill(database, others | tenants, arguments.days)
        await filling.build(database)
        if arguments.halve:
            await filling.halve(database, list(tenants))
            await filling.build(database)  # counts the words again, as a server does within a minute
        if not arguments.fill_only:
            filling.read_files(directory)
            await measure(arguments, database, dsn, directory, list(tenants))
        await database.close()
    finally:
        postgres.stop()


async def measure(
    arguments: argparse.Namespace, database: Database, dsn: str, directory: Path, tenants: list[str]
) -> None:
    """Measures every tenant by every ranking that is asked for."""
    truth = measuring.Truth(directory / "exact.json")
    sizes = await filling.sizes(database)
    asked = synthetic.questions(arguments.repeat, arguments.seed)
    warming = synthetic.questions(arguments.warm, arguments.seed + 1000)
    done = []
    with tqdm(total=len(tenants) * len(arguments.rankings), desc="measuring") as progress:
        for ranking in arguments.rankings:
            for tenant in tenants:
                size = sizes[tenant]
                timed = max(LEAST_TIMED, min(len(asked), MOST_READ // size))
                await measuring.warm(
                    database, tenant, size, ranking, warming if size >= filling.THRESHOLD else warming[:3]
                )
                done.append(await measuring.measure(database, tenant, size, ranking, asked, truth, timed))
                progress.update()
    print("\n" + report.table(done, sum(sizes.values())), flush=True)
    if arguments.calls:
        await asyncio.to_thread(calling.ask, dsn, directory, done, warming[:20], asked[: arguments.calls])
        print("\n" + report.table(done, sum(sizes.values())))
    if arguments.plot:
        report.plot(done, arguments.plot)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--sizes",
        type=int,
        nargs="+",
        default=[1_000, 10_000, 100_000, 1_000_000],
        help="messages of the tenants that are measured",
    )
    parser.add_argument("--days", type=int, default=400, help="days over which a tenant's messages were written")
    parser.add_argument("--others", type=int, default=100, help="other tenants")
    parser.add_argument("--other-size", type=int, default=1_000, help="messages of each of them")
    parser.add_argument("--rankings", nargs="+", choices=measuring.RANKINGS, default=measuring.RANKINGS)
    parser.add_argument("--repeat", type=int, default=60, help="questions to a tenant")
    parser.add_argument("--warm", type=int, default=500, help="other questions that are asked of a pool before")
    parser.add_argument("--calls", type=int, default=60, help="whole searches over gRPC for each; 0 for none")
    parser.add_argument("--seed", type=int, default=2, help="of the questions")
    parser.add_argument("--dir", type=Path, help="where to keep the database, filled, for the next run")
    parser.add_argument("--halve", action="store_true", help="delete half of the messages of those tenants first")
    parser.add_argument("--fill-only", action="store_true", help="fill and build, measure another time")
    parser.add_argument("--plot", type=Path, metavar="FILE.svg", help="draw times against sizes")
    arguments = parser.parse_args()
    with ExitStack() as stack:
        directory = arguments.dir or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="memory-bench-")))
        asyncio.run(run(arguments, directory))


if __name__ == "__main__":
    main()
