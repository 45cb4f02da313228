"""`make bench-memory`: what a server holds while callers search a tenant that grows, by the size of the tenant.

Eight callers search one tenant with the hybrid ranking, which reads all messages of a tenant that has no graph. At a
size that stays the same the memory stays the same; what rises there is a leak. The server is a process of its own with
the `hashing` embedder, so that no model is in the figures.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import sys
import tempfile
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from memory_grpc.local.postgres import EmbeddedPostgres
from memory_layer.v1 import memory_service_pb2 as pb
from tests.chaos.harness import Client, connected, message, serving

CALLERS = 8
BATCH = 100
SAMPLES = 8


async def fill(client: Client, stored: int, size: int) -> None:
    """Stores messages until the tenant has ``size``."""
    for start in range(stored, size, BATCH):
        batch = [message(f"turn {start + number}") for number in range(min(BATCH, size - start))]
        await client.memory.BatchIngestMessages(pb.BatchIngestMessagesRequest(messages=batch), timeout=60)


async def searching(client: Client, caller: int, calls: list[int]) -> None:
    """One search after the other, until it is cancelled."""
    for number in itertools.count(caller, CALLERS):
        request = pb.SearchMemoriesRequest(tenant_id="chaos", query=f"turn {number % 5000}", ranking="hybrid")
        await client.memory.SearchMemories(request, timeout=30)
        calls.append(number)


async def measured(client: Client, process: psutil.Process, seconds: float) -> tuple[int, list[float]]:
    """The calls in so many seconds, and samples of the process' RSS in MB."""
    calls: list[int] = []
    callers = [asyncio.ensure_future(searching(client, caller, calls)) for caller in range(CALLERS)]
    samples = []
    for _ in range(SAMPLES):
        await asyncio.wait(callers, timeout=seconds / SAMPLES, return_when=asyncio.FIRST_EXCEPTION)
        samples.append(process.memory_info().rss / 2**20)
    for caller in callers:
        caller.cancel()
    ended = await asyncio.gather(*callers, return_exceptions=True)
    for error in ended:
        if not isinstance(error, asyncio.CancelledError):
            raise SystemExit(f"A search failed: {error}")
    return len(calls), samples


async def run(sizes: list[int], seconds: float) -> None:
    """Prints a line for each size."""
    print("messages   calls   RSS in MB, from first to last")
    with tempfile.TemporaryDirectory() as folder:
        postgres = EmbeddedPostgres(Path(folder) / "postgres")
        try:
            dsn = await asyncio.to_thread(postgres.start)
            async with serving(dsn, Path(folder)) as server, connected(server.address) as client:
                assert server.process is not None
                process, stored = psutil.Process(server.process.pid), 0
                for size in sorted(sizes):
                    await fill(client, stored, size)
                    stored = size
                    calls, samples = await measured(client, process, seconds)
                    print(f"{size:8,}  {calls:6}   " + " ".join(f"{sample:.0f}" for sample in samples), flush=True)
        finally:
            postgres.stop()


def main() -> None:
    """Measures."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0].partition(": ")[2])
    sizes = [1000, 5000, 10_000, 20_000, 40_000]
    parser.add_argument("--sizes", type=int, nargs="+", default=sizes, help="messages of the tenant")
    parser.add_argument("--seconds", type=float, default=30, help="of searches at each size")
    options = parser.parse_args()
    asyncio.run(run(options.sizes, options.seconds))


if __name__ == "__main__":
    main()
