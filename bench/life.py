"""`make bench-life`: the calls of a message's life in a small and in a large tenant: a page, an update, a delete, a
context, beside a search and an ingest of the same run.

Whole calls over gRPC with the real model, one caller, the calls in turn; medians. With the --dir of bench-filters its
database is used.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import grpc
from ingesting import machine
from scaling import filling, report, synthetic
from tqdm import tqdm

from memory_grpc.local.postgres import EmbeddedPostgres
from memory_grpc.store.database import Database
from memory_grpc.store.migrations import migrate
from memory_layer.v1 import admin_service_pb2_grpc, context_pb2, listing_pb2, revision_pb2, statistics_pb2
from memory_layer.v1 import memory_service_pb2 as pb
from memory_layer.v1.memory_service_pb2_grpc import MemoryServiceStub

WARM_UP = 3
# A page is asked for from the start, and after so many pages.
FAR = 20
USER = "user-7"


class Caller:
    """The calls of one tenant, each timed."""

    def __init__(self, channel: grpc.Channel, tenant: str) -> None:
        self.times: dict[str, list[float]] = defaultdict(list)
        self._memory = MemoryServiceStub(channel)
        self._admin = admin_service_pb2_grpc.AdminServiceStub(channel)
        self._tenant = tenant
        self._token = ""

    def timed(self, name: str, call: Callable[[Any], Any], request: Any) -> Any:
        """The answer; the time goes under the name."""
        started = time.perf_counter()
        answer = call(request, timeout=120)
        self.times[name].append((time.perf_counter() - started) * 1000)
        return answer

    def go_far(self) -> None:
        """Finds the place of a page in the middle."""
        for _ in range(FAR):
            request = listing_pb2.ListMessagesRequest(
                tenant_id=self._tenant, page_size=50, page_token=self._token, order_by="created_at desc"
            )
            self._token = self._memory.ListMessages(request).next_page_token

    def round(self, question: str) -> None:
        """Every call once."""
        memory, tenant = self._memory, self._tenant
        new = {"tenant_id": tenant, "conversation_id": "bench", "role": "user", "user_id": USER}
        message = self.timed(
            "ingest", memory.IngestMessage, pb.IngestMessageRequest(content=f"{question} ingest", **new)
        )
        for ranking in ("semantic", "hybrid"):
            query = f"{question} {ranking}"
            search = pb.SearchMemoriesRequest(tenant_id=tenant, query=query, ranking=ranking, top_k=10)
            self.timed(f"search, {ranking}", memory.SearchMemories, search)
            for whose, user in (("", None), (", one user", USER)):
                context = context_pb2.BuildContextRequest(
                    tenant_id=tenant, query=f"{query}{whose}", ranking=ranking, user_id=user, conversation_id="bench"
                )
                self.timed(f"context of 1,000 tokens, {ranking}{whose}", memory.BuildContext, context)
        page = {"tenant_id": tenant, "page_size": 50, "order_by": "created_at desc"}
        lists: dict[str, dict[str, Any]] = {
            "messages, the first 50": {},
            "messages, 50 after 1,000": {"page_token": self._token},
            "messages, 50 of one user": {"user_id": USER},
            "messages, 50 by metadata": {"filter": 'metadata.tag = "tag-7"'},
        }
        for name, more in lists.items():
            self.timed(name, memory.ListMessages, listing_pb2.ListMessagesRequest(**page, **more))
        several = {"tenant_id": tenant, "page_size": 50}
        self.timed("50 conversations", memory.ListConversations, listing_pb2.ListConversationsRequest(**several))
        self.timed("50 users", memory.ListUsers, listing_pb2.ListUsersRequest(**several))
        change = revision_pb2.UpdateMessageRequest(message_id=message.id, tenant_id=tenant)
        change.content = f"{question} updated"
        self.timed("update of the text", memory.UpdateMessage, change)
        pin = revision_pb2.UpdateMessageRequest(message_id=message.id, tenant_id=tenant, pinned=True)
        self.timed("update of a pin", memory.UpdateMessage, pin)
        gone = pb.DeleteMessageRequest(message_id=message.id, tenant_id=tenant)
        self.timed("delete", memory.DeleteMessage, gone)
        wanted = statistics_pb2.GetStatisticsRequest(tenant_id=tenant)
        self.timed("statistics", self._admin.GetStatistics, wanted)


def table(callers: dict[str, Caller]) -> str:
    """A line for each call, a column for each tenant: the median, and the 95th percentile."""
    first = next(iter(callers.values()))
    lines = [f"| call, ms (p95) | {' | '.join(callers)} |", f"|---|{'---|' * len(callers)}"]
    for name in first.times:
        cells = []
        for caller in callers.values():
            times = caller.times[name][WARM_UP:]
            cells.append(f"{statistics.median(times):.1f} ({statistics.quantiles(times, n=20)[-1]:.1f})")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


async def run(arguments: argparse.Namespace, directory: Path) -> None:
    """Fills, measures, prints."""
    postgres = EmbeddedPostgres(directory, filling.POSTGRES)
    try:
        dsn = postgres.start()
        migrate(dsn)
        database = Database(dsn, min_size=1, max_size=3, max_waiting=10, timeout_seconds=10)
        await database.open()
        tenants = [report.name(size) for size in arguments.sizes]
        await filling.fill(database, dict(zip(tenants, arguments.sizes, strict=True)), 400)
        await filling.build(database)
        async with database.maintenance() as connection:
            await connection.execute("vacuum analyze")
        await database.close()
        asked = synthetic.questions(arguments.calls + WARM_UP, 11)
        with machine.serving(machine.url(dsn), directory) as server, grpc.insecure_channel(server.address) as channel:
            callers = {tenant: Caller(channel, tenant) for tenant in tenants}
            for caller in callers.values():
                await asyncio.to_thread(caller.go_far)
            for question in tqdm(asked, desc="calling"):
                for tenant, caller in callers.items():
                    await asyncio.to_thread(caller.round, f"{question.text} {tenant}")
        print("\n" + table(callers), flush=True)
    finally:
        postgres.stop()


def main() -> None:
    """Runs it in the directory that is named, or in one that goes with it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dir", type=Path, help="keep the database here, and use what is there")
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 1_000_000], help="messages of the tenants")
    parser.add_argument("--calls", type=int, default=20, help="calls of each kind")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="memory-bench-") as temporary:
        directory = arguments.dir or Path(temporary)
        directory.mkdir(parents=True, exist_ok=True)
        asyncio.run(run(arguments, directory))


if __name__ == "__main__":
    main()
