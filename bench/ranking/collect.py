"""What the service reads of a memory for each question of some files, stored, embedded and read by its own code.

It is kept in a file beside the database, in a folder of the embedding model, and read again as long as the data are the
same.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import pickle
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path

import asking
from tqdm import tqdm

from memory_grpc.app import running
from memory_grpc.commands import client
from memory_grpc.commands.configuration import Target
from memory_grpc.commands.evaluating.caller import Caller
from memory_grpc.commands.evaluating.dataset import Dataset, Question
from memory_grpc.commands.evaluating.loading import load
from memory_grpc.commands.evaluating.sources import Source, read_all
from memory_grpc.commands.failure import complain
from memory_grpc.embedding import Embedder, create_provider
from memory_grpc.local.postgres import EmbeddedPostgres
from memory_grpc.observability.logging import configure
from memory_grpc.ranking import HybridWeights, Participants, plan_query
from memory_grpc.ranking.fusion import Memory
from memory_grpc.ranking.lexemes import is_unspaced
from memory_grpc.settings import Settings
from memory_grpc.store import hybrid_columns, lexical
from memory_grpc.store.database import Database

PARTS = HybridWeights.of("surroundings")
"""What is read does not depend on weights, but for dates (graded, or not) and names (as "I", or not)."""
_NAMELESS = ", no names"
_PATIENCE_SECONDS = 120.0
# The settings that make another model, or other vectors of the same one.
_MODEL = ("provider", "model_name", "dimensions", "query_prompt", "document_prompt", "precision")


@dataclass(frozen=True, slots=True)
class Asked:
    """A question and all that its ranking is made of; ``evidence`` are ids of messages, as Memory has them in bytes."""

    set: str
    sample: str
    category: int
    unspaced: bool
    evidence: frozenset[bytes]
    memory: Memory


def collect(sources: Sequence[Source], folder: Path) -> list[Asked]:
    """The questions of all files; those of LoCoMo's format without names, too, as a set of their own."""
    settings = Settings(
        grpc_port=0, metrics_port=0, global_rate_limit="", retention_schedule_seconds=0, log_level="WARNING"
    )
    folder = folder_of(folder, settings)
    folder.mkdir(parents=True, exist_ok=True)
    kept = {source: folder / f"{source.name}-{_digest(source)}.pickle" for source in sources}
    missing = [source for source in sources if not kept[source].exists()]
    if missing:
        configure("WARNING", "console")
        asyncio.run(_collect({source: kept[source] for source in missing}, folder, settings))
    return [asked for source in sources for asked in pickle.loads(kept[source].read_bytes())]


def folder_of(folder: Path, settings: Settings) -> Path:
    """Where what one embedding model makes of the files is kept, and its database."""
    given = json.dumps([getattr(settings, f"embedding_{name}") for name in _MODEL])
    return folder / hashlib.sha256(given.encode()).hexdigest()[:16]


def _digest(source: Source) -> str:
    digest = hashlib.sha256(source.questions.read_bytes())
    digest.update(source.messages.read_bytes() if source.messages else b"")
    return digest.hexdigest()[:16]


async def _collect(kept: Mapping[Source, Path], folder: Path, settings: Settings) -> None:
    postgres = EmbeddedPostgres(folder)
    try:
        dsn = postgres.start()
        memories = read_all(list(kept)).memories
        async with running(settings, dsn) as application:
            target = Target(f"127.0.0.1:{application.grpc_port}", 60.0, None)
            async with client.connected_aio(target) as channel:
                caller = Caller(channel, target, complain)
                await load(list(memories.values()), caller, target, "study", _PATIENCE_SECONDS)
        async with _reading(settings, dsn) as (database, embedder):
            ids = await _ids(database)
            for source, file in kept.items():
                data = read_all([source])
                asked = [(question, question.set) for question in data.questions]
                if source.messages is None:
                    nameless = read_all([source], without_names=True).questions
                    asked += [(question, question.set + _NAMELESS) for question in nameless]
                found = [
                    await _asked(database, embedder, data, question, set_, ids)
                    for question, set_ in tqdm(asked, desc=source.name)
                ]
                partial = file.with_suffix(".partial")
                partial.write_bytes(pickle.dumps(found))
                partial.rename(file)
    finally:
        postgres.stop()


@asynccontextmanager
async def _reading(settings: Settings, dsn: str) -> AsyncIterator[tuple[Database, Embedder]]:
    async with AsyncExitStack() as stack:
        database = Database(dsn, min_size=1, max_size=1, max_waiting=10, timeout_seconds=30)
        await database.open()
        stack.push_async_callback(database.close)
        embedder = Embedder.of(create_provider(settings), settings)
        await embedder.start()
        stack.push_async_callback(embedder.close)
        yield database, embedder


async def _ids(database: Database) -> dict[tuple[str, str], bytes]:
    """The messages by tenant and dia_id."""
    async with database.maintenance() as connection:
        rows = await connection.execute(b"select tenant_id, id, metadata ->> 'dia_id' as dia_id from messages")
        return {(row["tenant_id"], row["dia_id"]): row["id"].bytes for row in await rows.fetchall()}


async def _asked(
    database: Database,
    embedder: Embedder,
    data: Dataset,
    question: Question,
    set_: str,
    ids: dict[tuple[str, str], bytes],
) -> Asked:
    tenant, as_of = question.tenant_id, data.as_of(question)
    as_of = as_of if as_of.tzinfo else as_of.replace(tzinfo=UTC)
    async with database.transaction(tenant=tenant) as tx:
        names, roles, _ = await (await lexical.participants(tx, tenant)).get()
        who = Participants(names, roles)
        plan = plan_query(question.text, who, as_of, PARTS)
        vector = await embedder.embed_query(plan.embedding_text, tenant=tenant)
        request = await asking.request(
            tx, tenant, question.text, vector, as_of, config="english", participants=who, parts=PARTS
        )
        assert request.hybrid is not None
        memory = await hybrid_columns.whole(tx, request, request.hybrid)
    evidence = frozenset(ids[tenant, dia_id] for dia_id in question.evidence)
    return Asked(set_, tenant, question.category, is_unspaced(question.text), evidence, memory)
