"""`make bench-filters`: whole searches with every kind of filter against the same search without one, in one run.

Tenants of some sizes in one database, with a graph where they are large; a tenth of each is archived. Messages are made
up (see scaling/synthetic.py). Whole calls over gRPC with the real model, one caller, every query new; medians. A filter
that leaves at most 2,000 messages is also asked in a tenant that holds only those. Recall is that of the score's ten
best, against all that pass scored one by one.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import asking
import grpc
from google.protobuf.timestamp_pb2 import Timestamp
from ingesting import machine
from scaling import filling, report, synthetic
from scaling.synthetic import NAMES, NOW, Question
from tqdm import tqdm

from memory_grpc.deadline import within
from memory_grpc.domain.search import SearchFilters
from memory_grpc.local.postgres import EmbeddedPostgres
from memory_grpc.ranking import Participants
from memory_grpc.services import convert
from memory_grpc.store.database import Database
from memory_grpc.store.hybrid import Hybrid
from memory_grpc.store.migrations import migrate
from memory_grpc.store.rank import bounded, rank
from memory_grpc.store.rank_request import ALL
from memory_grpc.store.search import Semantic
from memory_layer.v1 import memory_service_pb2 as pb
from memory_layer.v1.memory_service_pb2_grpc import MemoryServiceStub

TOP_K = 10
RANKINGS = ("semantic", "hybrid")
SIZES: dict[str, int] = {}
FEW = 2_000
_EXACT_SECONDS = 600
# More are not fused one by one while a transaction waits.
_MOST_EXACT_HYBRID = 300_000
# What a filter leaves, and the request that asks for it.
# ``{n}`` is a conversation of the newest tenth, ``{m}`` the next.
FILTERS: dict[str, dict[str, Any]] = {
    "no filter": {},
    "conversation_id (20 messages)": {"conversation_id": "conversation-{n}"},
    "user_id": {"user_id": "user-7"},
    "user_id AND role": {"filter": 'user_id = "user-7" AND role = "user"'},
    "metadata.tag (200 messages)": {"filter": 'metadata.tag = "tag-7"'},
    "metadata {tag}": {"metadata": {"tag": "tag-7"}},
    "two conversations (OR)": {
        "filter": 'conversation_id = "conversation-{n}" OR conversation_id = "conversation-{m}"'
    },
    "metadata.channel (2 %)": {"filter": 'metadata.channel = "channel-7"'},
    "metadata.rating >= 990 (1 %)": {"filter": "metadata.rating >= 990"},
    "importance_min 0.85 (4 %)": {"importance_min": 0.85},
    "a day": {"created_after": "2026-05-31T00:00:00Z"},
    "a week": {"created_after": "2026-05-25T00:00:00Z"},
    "a month, two months ago": {"created_after": "2026-03-01T00:00:00Z", "created_before": "2026-04-01T00:00:00Z"},
    "name (25 %)": {"filter": 'name = "Ann"'},
    "metadata.source (33 %)": {"filter": 'metadata.source = "web"'},
    "NOT metadata.source (67 %)": {"filter": 'NOT metadata.source = "web"'},
    "role (50 %)": {"role": "user"},
    "candidate_limit 200": {"candidate_limit": 200},
    "candidate_limit 200, role": {"candidate_limit": 200, "role": "user"},
    "include_archived": {"include_archived": True},
    "archived only": {"filter": "archived = true"},
}
ARCHIVE = b"""
with old as (
    select tenant_id, id from messages where tenant_id = %(tenant_id)s order by created_at, id limit %(count)s
), words as (
    update message_lexemes l set archived = true from old where l.tenant_id = old.tenant_id and l.message_id = old.id
), vectors as (
    update message_embeddings e set archived = true from old where e.tenant_id = old.tenant_id and e.message_id = old.id
)
update messages m set archived_at = m.created_at + interval '30 days'
from old where m.tenant_id = old.tenant_id and m.id = old.id
"""
COPIES = (
    b"""
    insert into messages
    select %(copy)s, id, conversation_id, role, name, content, metadata, importance, embedding_status, created_at,
        updated_at, user_id, archived_at, pinned, expires_at, revision
    from messages where tenant_id = %(tenant_id)s and id = any (%(ids)s)
    """,
    b"""
    insert into message_embeddings
    select %(copy)s, message_id, created_at, importance, conversation_key, user_key, expires_at, chunk, model_id,
        archived, role, embedding
    from message_embeddings where tenant_id = %(tenant_id)s and message_id = any (%(ids)s)
    """,
    b"""
    insert into message_lexemes
    select %(copy)s, message_id, config, part, conversation_id, created_at, name, parts, length, lexemes, archived
    from message_lexemes where tenant_id = %(tenant_id)s and message_id = any (%(ids)s)
    """,
)


@dataclass
class Measured:
    """One filter of one tenant by one ranking: milliseconds of whole calls, and what they are compared with."""

    tenant: str
    name: str
    ranking: str
    passing: int
    calls: list[float] = field(default_factory=list)
    alone: list[float] = field(default_factory=list)
    """Of the same searches in a tenant that holds only what passes."""
    recalls: list[float] = field(default_factory=list)


def request(tenant: str, name: str, ranking: str, query: str) -> pb.SearchMemoriesRequest:
    """A search as a client sends it."""
    fields = dict(FILTERS[name])
    recent = SIZES[tenant.partition(" ")[0]] // synthetic.TURNS * 19 // 20
    for key, value in fields.items():
        if isinstance(value, str):
            fields[key] = value.replace("{n}", str(recent)).replace("{m}", str(recent + 1))
    made = pb.SearchMemoriesRequest(tenant_id=tenant, query=query, ranking=ranking, top_k=TOP_K)
    made.as_of.FromDatetime(NOW)
    for moment in ("created_after", "created_before"):
        if moment in fields:
            stamp = Timestamp()
            stamp.FromJsonString(fields.pop(moment))
            getattr(made, moment).CopyFrom(stamp)
    if "metadata" in fields:
        made.metadata.update(fields.pop("metadata"))
    for field_, value in fields.items():
        setattr(made, field_, value)
    return made


def filters_of(tenant: str, name: str) -> SearchFilters:
    """The same as the operations see it."""
    return convert.search_request(request(tenant, name, "semantic", "?")).filters


async def archive(database: Database, tenant: str, size: int) -> None:
    """Archives the oldest tenth, unless that was done."""
    async with database.maintenance() as connection:
        row = await (
            await connection.execute(
                "select exists (select from messages where tenant_id = %s and archived_at is not null) as done",
                (tenant,),
            )
        ).fetchone()
        if row and not row["done"]:
            await connection.execute(ARCHIVE, {"tenant_id": tenant, "count": size // 10})
            await connection.execute("vacuum analyze")


async def passing(database: Database, tenant: str, name: str) -> list[Any]:
    """The ids of the messages that pass, 2,001 at most where the filter is no matter of one conversation."""
    only = filters_of(tenant, name)
    async with database.transaction(tenant=tenant, plan="each") as tx:
        wanted = await asking.request(tx, tenant, "?", synthetic.questions(1, 1)[0].vector, NOW, only=only)
        wanted = replace(wanted, filter=await bounded(tx, wanted))
        row = await tx.one("search.count", wanted.params, parts=wanted.filter.parts)
        count = int(row["candidates"]) if row else 0
        if count > FEW or not count:
            return [None] * count
        ranked = await rank(tx, asking_all(wanted))
    return [hit.message_id for hit in ranked.hits]


def asking_all(wanted: Any) -> Any:
    """The same request for everything that passes."""
    return replace(wanted, top_k=FEW)


async def copy(database: Database, tenant: str, name: str, ids: list[Any]) -> str:
    """A tenant that holds only some messages of another."""
    made = f"{tenant} only {name}"
    async with database.maintenance() as connection:
        row = await (
            await connection.execute("select count(*) as count from messages where tenant_id = %s", (made,))
        ).fetchone()
        if row and row["count"] != len(ids):
            for statement in COPIES:
                await connection.execute(statement, {"copy": made, "tenant_id": tenant, "ids": ids})
    return made


async def recalls(
    database: Database, tenant: str, name: str, ranking: str, asked: list[Question], *, has_graph: bool
) -> list[float]:
    """The share of the ten best that a search finds, question by question."""
    found = []
    for question in asked:
        # A statement ends after half a minute otherwise; all of a million messages take longer.
        with within(_EXACT_SECONDS):
            found.append(await recall(database, tenant, name, ranking, question, has_graph=has_graph))
    return found


async def recall(
    database: Database, tenant: str, name: str, ranking: str, question: Question, *, has_graph: bool
) -> float:
    """The same of one question."""
    async with database.transaction(tenant=tenant, plan="each") as tx:
        config = filling.CONFIG if ranking == "hybrid" else None
        wanted = await asking.request(
            tx,
            tenant,
            question.text,
            question.vector,
            NOW,
            config=config,
            participants=Participants(NAMES, ()),
            has_graph=has_graph,
            top_k=TOP_K,
            only=filters_of(tenant, name),
        )
        ranked = await rank(tx, wanted)
        wanted = replace(wanted, filter=await bounded(tx, wanted))
        ways = Hybrid(tx, wanted, wanted.hybrid) if wanted.hybrid else Semantic(tx, wanted)
        exact = await ways.whole() or await ways.of_few(ALL)
    assert exact is not None
    best = {hit.message_id for hit in exact.hits}
    return len(best & {hit.message_id for hit in ranked.hits}) / max(1, len(best))


def call(
    stub: MemoryServiceStub, measured: list[Measured], copies: dict[tuple[str, str], str], asked: list[Question]
) -> None:
    """Asks every question of every filter, the filters in turn, so that all meet the same machine."""

    def timed(tenant: str, one: Measured, question: Question, salt: str) -> float:
        wanted = request(tenant, one.name, one.ranking, f"{question.text} {one.name} {tenant} {salt}")
        started = time.perf_counter()
        stub.SearchMemories(wanted, timeout=120)
        return (time.perf_counter() - started) * 1000

    for number, question in enumerate(tqdm(asked, desc="calling")):
        for one in measured:
            spent = timed(one.tenant, one, question, one.ranking)
            alone = copies.get((one.tenant, one.name))
            beside = timed(alone, one, question, one.ranking) if alone else None
            if number >= 3:  # the first ones warm up
                one.calls.append(spent)
                one.alone += [] if beside is None else [beside]


def table(measured: list[Measured]) -> str:
    """A line for each filter, as Markdown."""
    lines = [
        "| tenant | filter | passing | ranking | call ms (p95) | to no filter | to a tenant of those | recall@10 |",
        "|---|---|---|---|---|---|---|---|",
    ]
    plain = {(m.tenant, m.ranking): statistics.median(m.calls) for m in measured if m.name == "no filter"}
    for m in measured:
        median = statistics.median(m.calls)
        p95 = statistics.quantiles(m.calls, n=20)[-1]
        alone = f"{median / statistics.median(m.alone):.2f}" if m.alone else ""
        recall = f"{statistics.fmean(m.recalls):.3f}" if m.recalls else ""
        lines.append(
            f"| {m.tenant} | {m.name} | {m.passing:,} | {m.ranking} | {median:.1f} ({p95:.1f}) "
            f"| {median / plain[m.tenant, m.ranking]:.2f} | {alone} | {recall} |"
        )
    return "\n".join(lines)


async def run(arguments: argparse.Namespace, directory: Path) -> None:
    """Fills, measures, prints."""
    postgres = EmbeddedPostgres(directory, filling.POSTGRES)
    try:
        dsn = postgres.start()
        migrate(dsn)
        database = Database(dsn, min_size=1, max_size=3, max_waiting=10, timeout_seconds=10)
        await database.open()
        tenants = {report.name(size): size for size in arguments.sizes}
        SIZES.update(tenants)
        others = {f"other-{i}": 1_000 for i in range(arguments.others)}
        await filling.fill(database, others | tenants, 400)
        for tenant, size in tenants.items():
            await archive(database, tenant, size)
        await filling.build(database)
        filling.read_files(directory)
        asked = synthetic.questions(arguments.calls + 3, 5)
        measured, copies = [], {}
        for tenant, size in tenants.items():
            for name in FILTERS if not arguments.filters else arguments.filters:
                ids = await passing(database, tenant, name)
                if 0 < len(ids) <= FEW and size >= filling.THRESHOLD:
                    copies[tenant, name] = await copy(database, tenant, name, ids)
                for ranking in arguments.rankings:
                    one = Measured(tenant, name, ranking, len(ids))
                    if arguments.recall and (ranking == "semantic" or size <= _MOST_EXACT_HYBRID):
                        some = asked[: arguments.recall]
                        one.recalls = await recalls(
                            database, tenant, name, ranking, some, has_graph=size >= filling.THRESHOLD
                        )
                    measured.append(one)
        async with database.maintenance() as connection:
            await connection.execute("vacuum analyze")
        await database.close()
        with machine.serving(machine.url(dsn), directory) as server, grpc.insecure_channel(server.address) as channel:
            await asyncio.to_thread(call, MemoryServiceStub(channel), measured, copies, asked)
        print("\n" + table(measured), flush=True)
    finally:
        postgres.stop()


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--sizes", type=int, nargs="+", default=[10_000, 200_000, 1_000_000], help="messages of the tenants"
    )
    parser.add_argument("--others", type=int, default=20, help="other tenants of 1,000 messages")
    parser.add_argument("--filters", nargs="+", choices=FILTERS, help="only these")
    parser.add_argument("--rankings", nargs="+", choices=RANKINGS, default=RANKINGS)
    parser.add_argument("--calls", type=int, default=20, help="questions to each")
    parser.add_argument("--recall", type=int, default=10, help="questions that recall is measured on; 0 for none")
    parser.add_argument("--dir", type=Path, help="where to keep the database, filled, for the next run")
    arguments = parser.parse_args()
    with ExitStack() as stack:
        directory = arguments.dir or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="memory-bench-")))
        asyncio.run(run(arguments, directory))


if __name__ == "__main__":
    main()
