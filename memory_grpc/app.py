"""The composition root: what a server is made of, and in which order it starts and stops."""

from __future__ import annotations

import asyncio
import gc
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from uuid import uuid4

import structlog

from memory_grpc.access import new_key
from memory_grpc.background import Loop
from memory_grpc.embedding import Embedder, create_provider
from memory_grpc.ids import Uuid7
from memory_grpc.observability import metrics
from memory_grpc.observability.http import HttpSide
from memory_grpc.operations.build_graphs import BuildGraphs
from memory_grpc.operations.compare import Compare
from memory_grpc.operations.embed_pending import EmbedPending
from memory_grpc.operations.get import Get
from memory_grpc.operations.graphs import REFRESH_SECONDS, Graphs
from memory_grpc.operations.health import Health
from memory_grpc.operations.held_models import hold_models
from memory_grpc.operations.ingest import Ingest
from memory_grpc.operations.keyring import Keyring
from memory_grpc.operations.keys import Keys
from memory_grpc.operations.models import Models
from memory_grpc.operations.policy import Policies
from memory_grpc.operations.reembed import Reembed
from memory_grpc.operations.reembeddings import Reembeddings
from memory_grpc.operations.registry import Operations, Slot
from memory_grpc.operations.retain import Retain
from memory_grpc.operations.retry_failed import RetryFailed
from memory_grpc.operations.search import Search
from memory_grpc.operations.stream_ingest import StreamIngest
from memory_grpc.retention.sweep import Sweep
from memory_grpc.server import Server
from memory_grpc.settings import Settings
from memory_grpc.store.database import Database
from memory_grpc.store.durability import check_durability
from memory_grpc.store.migrations import migrate
from memory_grpc.store.notifications import listen

log = structlog.get_logger(__name__)

# How often a server asks whether a sweep is due, at most; and looks for pending messages without being woken.
_SWEEP_POLL_SECONDS = 30.0
_PENDING_POLL_SECONDS = 2.0
# Two, so that one embeds while the other stores.
_PENDING_WORKERS = 2
_MEASURE_SECONDS = 5.0
_KEYRING_CONNECTIONS = 2
# How often a server asks whether there is something to re-embed.
_REEMBED_POLL_SECONDS = 1.0
# How often a server asks whether it still holds the deployment's model.
_FOLLOW_SECONDS = 2.0
# How long a thread keeps the interpreter from another that wants it. An inference thread wants it between two batches;
# behind a busy event loop it waits up to this long each time, its core idle. Python's own value is 5 ms, with which
# batches of 256 are embedded at 1.21 of the bare rate instead of 1.31.
_SWITCH_SECONDS = 0.0005


@dataclass(frozen=True, slots=True)
class Application:
    """A server that serves: where it listens, and its parts for those who run it."""

    grpc_port: int
    metrics_port: int
    server: Server
    database: Database
    operations: Operations


@asynccontextmanager
async def running(settings: Settings, conninfo: str) -> AsyncIterator[Application]:
    """A server that serves inside the block, and has drained when the block has ended.

    Order: listen (probes are answered, NOT_SERVING) → migrate → durability → pool → model → background loops → SERVING;
    and the other way round at the end. Raises StartupError with one clear sentence.
    """
    sys.setswitchinterval(_SWITCH_SECONDS)
    slot = Slot()
    async with AsyncExitStack() as stack:
        http_side = HttpSide(settings.host, settings.metrics_port)
        metrics_port = http_side.start()
        stack.callback(http_side.close)
        server = Server(settings, slot)
        grpc_port = await server.start()
        stack.push_async_callback(server.drain)

        for name in await asyncio.to_thread(migrate, conninfo):
            log.info("migration_applied", migration=name)
        for setting in await asyncio.to_thread(check_durability, conninfo, settings.accept_data_loss_with):
            log.warning("data_loss_accepted", setting=setting)
        database = await _database(
            stack, settings, conninfo, settings.database_pool_min_size, settings.database_pool_max_size
        )
        stack.callback(metrics.POOLS.add(database.pool.get_stats))
        # Of its own: while slow calls hold every other connection, callers are still told apart.
        keyring = Keyring(await _database(stack, settings, conninfo, 1, _KEYRING_CONNECTIONS))

        current = await _embedder(stack, settings)
        next_settings = settings.with_next_model
        next_ = await _embedder(stack, next_settings) if next_settings else None
        models = await hold_models(database, current, next_)

        graphs = Graphs(database)
        await graphs.refresh()
        operations = _operations(stack, settings, conninfo, database, models, graphs, keyring)
        slot.fill(operations)
        await server.open()
        # Pushed again, to be the first thing that happens at the end: everything else is still there for calls in
        # flight. Draining twice is harmless.
        stack.push_async_callback(server.drain)
        following = Loop("follow_model", _follow_model(models, server), _FOLLOW_SECONDS)
        following.start()
        stack.push_async_callback(following.stop)
        log.info("serving", grpc_port=grpc_port, metrics_port=metrics_port, environment=settings.environment)
        yield Application(grpc_port, metrics_port, server, database, operations)
        log.info("draining")


def settle() -> None:
    """Takes all that is there now out of the garbage collector's sight; for a process that does nothing but serve.

    A model and its libraries are 200,000 objects that stay. Walking through them holds every thread up for a tenth to a
    third of a second, whenever the collector thinks it time: under load that is every few seconds.
    """
    gc.collect()
    gc.freeze()


async def _database(stack: AsyncExitStack, settings: Settings, conninfo: str, min_size: int, max_size: int) -> Database:
    """An open pool, closed at the end of the stack."""
    database = Database(
        conninfo,
        min_size=min_size,
        max_size=max_size,
        max_waiting=settings.database_pool_max_waiting,
        timeout_seconds=settings.database_pool_timeout_seconds,
    )
    await database.open()
    stack.push_async_callback(database.close)
    return database


def _operations(
    stack: AsyncExitStack,
    settings: Settings,
    conninfo: str,
    database: Database,
    models: Models,
    graphs: Graphs,
    keyring: Keyring,
) -> Operations:
    """Builds the operations and starts the loops that run some of them."""
    policies = Policies(database, settings)
    retain = Retain(database, policies, settings.retention_batch_size)
    ingest = Ingest(
        database,
        models,
        policies,
        Uuid7(),
        embed_later=settings.async_embeddings,
        text_config=settings.search_text_config,
        user_id_metadata_key=settings.user_id_metadata_key,
    )

    pending = EmbedPending(database, models, settings.embedding_max_attempts)
    workers = [Loop(f"embed_pending_{i}", pending, _PENDING_POLL_SECONDS) for i in range(_PENDING_WORKERS)]

    async def listening() -> None:
        def wake() -> None:
            for worker in workers:
                worker.wake()

        await listen(conninfo, wake)

    loops = [
        *workers,
        Loop("listen", listening, 1.0),
        Loop("measure_pending", pending.measure, _MEASURE_SECONDS),
        Loop("reembed", Reembed(database, models, uuid4()), _REEMBED_POLL_SECONDS),
        Loop("graphs", graphs.refresh, REFRESH_SECONDS),
    ]
    if settings.graph_threshold > 0:
        build = BuildGraphs(
            database,
            graphs,
            uuid4(),
            threshold=settings.graph_threshold,
            memory_mb=settings.graph_build_memory_mb,
            text_config=settings.search_text_config,
        )
        loops.append(Loop("build_graphs", build, settings.graph_check_seconds))
    if settings.retention_schedule_seconds > 0:
        sweep = Sweep(
            database,
            retain,
            uuid4(),
            schedule_seconds=settings.retention_schedule_seconds,
            idempotency_hours=settings.idempotency_hours,
            batch_size=settings.retention_batch_size,
        )
        loops.append(Loop("retention", sweep, min(settings.retention_schedule_seconds, _SWEEP_POLL_SECONDS)))
    for loop in loops:
        loop.start()
        stack.push_async_callback(loop.stop)

    search = Search(database, models, policies, graphs, text_config=settings.search_text_config)
    return Operations(
        ingest=ingest,
        stream_ingest=StreamIngest(ingest, settings.request_timeout_seconds),
        get=Get(database),
        search=search,
        graphs=graphs,
        retain=retain,
        health=Health(database),
        policies=policies,
        retry_failed=RetryFailed(database),
        keyring=keyring,
        keys=Keys(database, keyring, uuid4, new_key),
        reembeddings=Reembeddings(database, models),
        compare=Compare(database, models, search),
    )


def _follow_model(models: Models, server: Server) -> Callable[[], Awaitable[None]]:
    """A server that a cut-over has left behind says so to whoever probes it."""
    held = True

    async def follow() -> None:
        nonlocal held
        holds = await models.holds_the_deployments()
        if holds is not held:
            if not holds:
                log.error("embedding_model_not_held")
            await server.report(serving=holds)
            held = holds

    return follow


async def _embedder(stack: AsyncExitStack, settings: Settings) -> Embedder:
    """The model that the settings name, loaded and at work. Raises StartupError."""
    embedder = Embedder.of(await asyncio.to_thread(create_provider, settings), settings)
    await embedder.start()
    stack.push_async_callback(embedder.close)
    return embedder
