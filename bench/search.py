"""`make bench-search`: the ranking statements against a bare index-only distance scan of the same rows, in one run.

Vectors are random: no statement's cost depends on what they mean. Words matter to the hybrid statement, so the text is
either made up with the shape of real talk (content words by Zipf's law, stop words between them, a speaker's name with
every turn), or taken from a LoCoMo file (`--texts`), whose turns are repeated, conversation by conversation, until
there are enough. Questions are several: rare and frequent words, with and without names and dates.

A tenant lies in the tables either in one piece or between the messages of others, as it does when all of them talk at
once. Medians of `--repeat` runs, one client, warm; times are of a noisy machine, the ratios are what counts. Processor
time, Postgres' and this process's together, is less noisy, and the same work on two cores at once counts twice in it.

At the end all indexes are rebuilt, and the bytes of a message counted once more.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asking
import numpy as np
from pgvector import HalfVector
from psycopg import AsyncConnection, sql

from memory_grpc.commands.evaluating.dataset import read
from memory_grpc.domain.messages import NewMessage, PreparedMessage
from memory_grpc.ids import Uuid7
from memory_grpc.local.postgres import EmbeddedPostgres
from memory_grpc.ranking import HybridWeights, Participants
from memory_grpc.ranking.weights import RECIPE
from memory_grpc.store import embeddings, lexical, messages, models, word_index
from memory_grpc.store.database import EVERY_TENANT, Database, Transaction
from memory_grpc.store.migrations import migrate
from memory_grpc.store.rank import rank
from memory_grpc.store.rank_request import RankRequest

NOW = datetime(2026, 6, 1, tzinfo=UTC)
# As a deployment ranks that says nothing.
DEFAULT = HybridWeights.of(RECIPE)
CONFIG = "english"
DIMENSIONS = 384
MODEL = 1
BARE = b"""
select max(embedding <=> %(query)b::halfvec) from message_embeddings
where tenant_id = %(tenant_id)s and model_id = %(model_id)s
"""
STOP_WORDS = (
    "the",
    "of",
    "and",
    "to",
    "a",
    "in",
    "is",
    "that",
    "it",
    "was",
    "for",
    "on",
    "with",
    "as",
    "at",
    "by",
    "this",
    "had",
    "not",
    "are",
    "but",
    "from",
    "or",
    "have",
    "an",
    "they",
)
Times = dict[str, list[tuple[float, float]]]
"""Of each statement: (milliseconds by the clock, milliseconds of processor time) of each run."""
TABLES = ("messages", "message_embeddings", "message_lexemes")


@dataclass(frozen=True)
class Turn:
    """What one message says, in which conversation, and who says it."""

    conversation: str
    name: str
    content: str


@dataclass(frozen=True)
class Texts:
    """Turns without an end, questions to ask about them, and who speaks."""

    turns: Callable[[], Iterator[Turn]]
    questions: list[str]
    names: tuple[str, ...]


# Texts


def synthetic(rng: np.random.Generator, words: int = 20_000) -> Texts:
    """Turns of 8 to 16 content words by Zipf's law, 20 turns to a conversation of two speakers."""
    parts = ("bcdfghklmnprstvz", "aeiou", "bdfgklmnprtz", "aeiou", "dfgkmnprtz")
    vocabulary = rng.permutation(np.array(["".join(letters) for letters in itertools.product(*parts)]))[:words]
    share = 1 / np.arange(1, words + 1)
    share /= share.sum()
    names = ("Ann", "Bob", "Carla", "Dieter")

    def turns() -> Iterator[Turn]:
        for block in itertools.count():
            lengths = rng.integers(8, 17, 20)
            for i, length in enumerate(lengths):
                content = vocabulary[rng.choice(words, length, p=share)]
                spoken = " ".join(f"{rng.choice(STOP_WORDS)} {word}" for word in content)
                yield Turn(f"conversation-{block}", names[2 * (block % 2) + i % 2], spoken.capitalize() + ".")

    def question(number: int) -> str:
        ranks = np.exp(rng.uniform(0, np.log(words), 2 + number % 5)).astype(int) - 1
        who = f"did {names[number % 4]}" if number % 3 else "did they"
        when = " in May 2026" if number % 4 == 3 else ""
        return f"When {who} {' and the '.join(vocabulary[ranks])}{when}?"

    return Texts(turns, [question(number) for number in range(12)], names)


def real(path: Path, rng: np.random.Generator) -> Texts:
    """The turns of a LoCoMo file, all its samples in one, over and over; twelve of its questions."""
    dataset = read(path)
    said = [
        (memory.tenant_id, record.request)
        for memory in dataset.memories.values()
        for record in memory.turns.values()
        if record.request is not None
    ]

    def turns() -> Iterator[Turn]:
        for cycle in itertools.count():
            for sample, request in said:
                yield Turn(f"{sample}-{request.conversation_id}-{cycle}", request.name, request.content)

    chosen = rng.choice(len(dataset.questions), 12, replace=False)
    names = sorted({name for memory in dataset.memories.values() for name in memory.names})
    return Texts(turns, [dataset.questions[int(i)].text for i in chosen], tuple(names))


# Fill


async def fill(database: Database, rng: np.random.Generator, texts: Texts, tenants: dict[str, int], batch: int) -> None:
    """Stores so many turns of each tenant, `batch` at a time in turn, through the service's own statements."""
    left, sources = dict(tenants), {tenant: texts.turns() for tenant in tenants}
    while left:
        for tenant in list(left):
            size = min(batch, left[tenant])
            started = NOW - timedelta(minutes=left[tenant])
            await _store(database, rng, tenant, started, list(itertools.islice(sources[tenant], size)))
            left[tenant] -= size
            if not left[tenant]:
                del left[tenant]


async def _store(
    database: Database, rng: np.random.Generator, tenant: str, started: datetime, turns: Sequence[Turn]
) -> None:
    ids = Uuid7(lambda: int(started.timestamp() * 1000), rng.bytes)
    drafts = [
        PreparedMessage(
            id=ids(),
            message=NewMessage(
                tenant_id=tenant,
                conversation_id=turn.conversation,
                role="user",
                name=turn.name,
                content=turn.content,
                created_at=started + timedelta(minutes=i),
            ),
            importance=float(rng.random()),
            embedding_status="completed",
        )
        for i, turn in enumerate(turns)
    ]
    vectors = rng.standard_normal((len(turns), DIMENSIONS), dtype=np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    async with database.transaction(tenant=tenant) as tx:
        stored = await messages.insert_many(tx, tenant, drafts)
        await lexical.insert_many(tx, tenant, CONFIG, stored)
        windows = {m.id: v[None, :] for m, v in zip(stored, vectors, strict=True)}
        await embeddings.insert_many(tx, tenant, MODEL, windows)


# Measure


async def measure(database: Database, tenant: str, texts: Texts, repeat: int, rng: np.random.Generator) -> Times:
    """What each statement takes, for all questions `repeat` times."""
    times: Times = {"bare": [], "semantic": [], "count": [], "hybrid": []}
    who = Participants(texts.names, ())
    for run, text in itertools.product(range(-1, repeat), texts.questions):
        vector = rng.standard_normal(DIMENSIONS, dtype=np.float32)
        async with database.transaction(tenant=tenant) as tx:
            connection: AsyncConnection[dict[str, Any]] = tx._connection
            semantic = await asking.request(tx, tenant, text, vector, NOW)
            hybrid = await asking.request(tx, tenant, text, vector, NOW, config=CONFIG, participants=who, parts=DEFAULT)
            counted = replace(semantic, is_counted=True)
            calls: dict[str, Callable[[], Awaitable[Any]]] = {
                "bare": lambda c=connection, v=vector: _bare(c, tenant, v),
                "semantic": lambda tx=tx, request=semantic: rank(tx, request),
                "count": lambda tx=tx, request=counted: rank(tx, request),
                "hybrid": lambda tx=tx, request=hybrid, text=text: _hybrid(tx, tenant, text, request),
            }
            for name, call in calls.items():
                process = connection.info.backend_pid
                started, worked = time.perf_counter(), _processor_ms(process)
                await call()
                if run >= 0:  # the first run warms up
                    times[name].append(((time.perf_counter() - started) * 1000, _processor_ms(process) - worked))
    return times


def _processor_ms(backend: int) -> float:
    """Processor time so far of this process and of one of Postgres, as Linux counts it."""
    return time.process_time() * 1000 + int(Path(f"/proc/{backend}/schedstat").read_text().split()[0]) / 1e6


async def _hybrid(tx: Transaction, tenant: str, text: str, request: RankRequest) -> None:
    await (await word_index.query_words(tx, tenant, CONFIG, text, DEFAULT.shares)).get()
    await rank(tx, request)


async def _bare(connection: AsyncConnection[dict[str, Any]], tenant: str, vector: Any) -> None:
    params = {"query": HalfVector(vector), "tenant_id": tenant, "model_id": MODEL}
    await (await connection.execute(BARE, params)).fetchone()


async def sizes_on_disk(database: Database) -> dict[str, float]:
    """Bytes a message of each table and index."""
    query = b"""
        select coalesce(i.relname, t.relname) as name,
            (case when i.oid is null then pg_table_size(t.oid) else pg_relation_size(i.oid) end)::float8
                / (select count(*) from messages) as bytes
        from pg_class t
        cross join lateral (select null::oid as oid union all select indexrelid from pg_index where indrelid = t.oid) x
        left join pg_class i on i.oid = x.oid
        where t.relname = any (%(tables)s)
        order by bytes desc
    """
    async with database.maintenance() as connection:
        rows = await (await connection.execute(query, {"tables": list(TABLES)})).fetchall()
    return {row["name"]: row["bytes"] for row in rows}


# Print


def print_sizes(count: int, sizes: dict[str, float], how: str) -> None:
    """What a message takes on disk."""
    print(f"{count:,} messages, {how}, {sum(sizes.values()):,.0f} bytes each with indexes:")
    print(", ".join(f"{name} {size:,.0f}" for name, size in sizes.items()))


def print_head() -> None:
    """The head of the table of times."""
    print("| messages of the tenant | stored | bare ms (p95) | semantic ms (p95) | ratio | with the count ", end="")
    print("| hybrid ms (p95) | ratio | processor ms: bare | semantic | hybrid | ratio |")
    print("|---|---|---|---|---|---|---|---|---|---|---|---|")


def print_row(size: int, layout: str, times: Times) -> None:
    """A line of the table of times."""
    median, worked = ({name: statistics.median(run[i] for run in runs) for name, runs in times.items()} for i in (0, 1))
    shown = {n: f"{median[n]:.1f} ({np.quantile([run[0] for run in times[n]], 0.95):.1f})" for n in times}
    counted = median["count"] / median["bare"]
    print(
        f"| {size:,} | {layout} | {shown['bare']} | {shown['semantic']} | {median['semantic'] / median['bare']:.2f} "
        f"| {counted:.2f} | {shown['hybrid']} | {median['hybrid'] / median['bare']:.2f} "
        f"| {worked['bare']:.1f} | {worked['semantic']:.1f} | {worked['hybrid']:.1f} "
        f"| {worked['hybrid'] / worked['bare']:.2f} |",
        flush=True,
    )


def plot(measured: dict[str, Times], file: Path) -> None:
    """How many bare scans each statement takes, beside its aim, as an SVG without scripts."""
    import pygal  # of the development tools, and needed for nothing else

    chart = pygal.HorizontalBar(
        pygal.Config(js=(), legend_at_bottom=True, height=320, explicit_size=True),
        title="A search in bare index-only scans of the same messages",
        x_title="times a bare scan of the distances",
        value_formatter=lambda value: f"{value:.2f}",
        print_values=True,
        disable_xml_declaration=True,
    )
    median = {
        label: {name: statistics.median(wall for wall, _ in runs) for name, runs in times.items()}
        for label, times in measured.items()
    }
    chart.x_labels = ["semantic", "hybrid"]
    chart.add("aim", [1.3, 3])
    for label, of in median.items():
        chart.add(label, [of[name] / of["bare"] for name in ("semantic", "hybrid")])
    file.write_text(chart.render(is_unicode=True) + "\n", encoding="utf-8")


async def run(sizes: list[int], others: int, repeat: int, path: Path | None, svg: Path | None) -> None:
    """Fills a database, measures, prints a table, and draws the plot if it is asked for."""
    rng = np.random.default_rng(1)
    texts = real(path, rng) if path else synthetic(rng)
    with tempfile.TemporaryDirectory(prefix="memory-bench-") as directory:
        postgres = EmbeddedPostgres(Path(directory))
        try:
            dsn = postgres.start()
            migrate(dsn)
            database = Database(dsn, min_size=1, max_size=1, max_waiting=10, timeout_seconds=10)
            await database.open()
            async with database.transaction(tenant=EVERY_TENANT) as tx:
                await models.register(tx, name="m", revision="r", precision="fp32", dimensions=DIMENSIONS, first=True)
            for size in sizes:
                await fill(database, rng, texts, {f"apart-{size}": size}, 1000)
            between = {f"between-{size}": size for size in sizes} | {f"other-{i}": 1000 for i in range(others)}
            await fill(database, rng, texts, between, 20)
            async with database.maintenance() as connection:
                await connection.execute("vacuum analyze")
            count = 2 * sum(sizes) + others * 1000
            print_sizes(count, await sizes_on_disk(database), "as stored")
            print_head()
            measured: dict[str, Times] = {}
            for size, layout in itertools.product(sizes, ("apart", "between")):
                times = await measure(database, f"{layout}-{size}", texts, repeat, rng)
                measured[f"{size:,} messages, {layout}"] = times
                print_row(size, layout, times)
            if svg:
                plot(measured, svg)
            async with database.maintenance() as connection:
                for table in TABLES:
                    await connection.execute(sql.SQL("reindex table concurrently {}").format(sql.Identifier(table)))
            print_sizes(count, await sizes_on_disk(database), "indexes rebuilt")
            await database.close()
        finally:
            postgres.stop()


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 10_000, 100_000], help="messages of a tenant")
    parser.add_argument("--others", type=int, default=100, help="other tenants, of 1,000 messages each")
    parser.add_argument("--repeat", type=int, default=5, help="runs of each statement for each of 12 questions")
    parser.add_argument("--texts", type=Path, help="a LoCoMo file with the turns to store and the questions to ask")
    parser.add_argument("--plot", type=Path, help="an SVG to draw")
    arguments = parser.parse_args()
    asyncio.run(run(arguments.sizes, arguments.others, arguments.repeat, arguments.texts, arguments.plot))


if __name__ == "__main__":
    main()
