"""The composition root: what a server is made of, and in which order it starts and stops."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import structlog

from memory_grpc.embedding import Embedder, create_provider
from memory_grpc.embedding.token_counts import TokenCounter
from memory_grpc.errors import StartupError
from memory_grpc.jobs.audit import flushed
from memory_grpc.jobs.loop import at_work
from memory_grpc.jobs.start import Parts, follow_model, follow_replicas, loops
from memory_grpc.observability import tracing_sdk
from memory_grpc.observability.http import HttpSide
from memory_grpc.observability.loop_lag import watched
from memory_grpc.operations.indexes.graphs import Graphs
from memory_grpc.operations.keys.keyring import Keyring
from memory_grpc.operations.keys.open_access import check_open_access
from memory_grpc.operations.models.register_models import register_models
from memory_grpc.operations.models.registry import Operations, Slot
from memory_grpc.operations.tokens.configured import identity
from memory_grpc.operations.tokens.published_keys import PublishedKeys
from memory_grpc.pools import Place, opened
from memory_grpc.reranking import create_reranker
from memory_grpc.server import Server
from memory_grpc.settings import Settings
from memory_grpc.store.citus import asked_whether_distributed
from memory_grpc.store.database import Database
from memory_grpc.store.durability import check_durability
from memory_grpc.store.migrations import migrate
from memory_grpc.store.poolers import shares_sessions
from memory_grpc.wiring import wired

log = structlog.get_logger(__name__)

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
    published_keys: PublishedKeys | None


@asynccontextmanager
async def running(settings: Settings, conninfo: str, *, processes: int = 1) -> AsyncIterator[Application]:
    """A server that serves inside the block, and has drained when the block has ended; one of ``processes`` alike.

    Order: listen (probes are answered, NOT_SERVING) → migrate → durability → pool → model → background loops → SERVING;
    and the other way round at the end. Raises StartupError with one clear sentence.
    """
    sys.setswitchinterval(_SWITCH_SECONDS)
    slot = Slot()
    async with AsyncExitStack() as stack:
        # Ends last, in a thread: to send what is left may take seconds.
        stack.push_async_callback(asyncio.to_thread, tracing_sdk.start(settings.environment))
        http_side = HttpSide(settings.host, settings.metrics_port)
        metrics_port = http_side.start()
        stack.callback(http_side.close)
        believed = identity(settings)
        server = Server(settings, slot, believed.tokens if believed else None, processes=processes)
        grpc_port = await server.start()
        stack.push_async_callback(server.drain)

        direct = settings.direct_conninfo or conninfo
        for name in await _migrate(direct):
            log.info("migration_applied", migration=name)
        for setting in await asyncio.to_thread(check_durability, direct, settings.accept_data_loss_with):
            log.warning("data_loss_accepted", setting=setting)
        distributed = await asyncio.to_thread(asked_whether_distributed, direct)
        if distributed:
            settings = settings_on_citus(settings)
        shared = direct != conninfo and await asyncio.to_thread(shares_sessions, conninfo)
        pools = await opened(stack, settings, Place(conninfo, direct, shared, distributed=distributed))
        keyring = Keyring(pools.keys)
        await check_open_access(settings, keyring)

        current = await _embedder(stack, settings)
        next_settings = settings.with_next_model
        next_ = await _embedder(stack, next_settings) if next_settings else None
        models = await register_models(pools.calls, current, next_)

        graphs = Graphs(pools.background)
        await graphs.refresh()
        counter = TokenCounter.of(settings.context_tokenizer, settings.embedding_model_name, current.tokenizer)
        reranker = await asyncio.to_thread(create_reranker, settings)
        if reranker:
            stack.push_async_callback(reranker.close)
        operations = wired(settings, pools, keyring, models, graphs, counter, reranker)
        slot.fill(operations)
        # At the end, when the loops have ended: what still waits to be recorded.
        stack.push_async_callback(flushed, operations.trail)
        parts = Parts(
            settings,
            direct,
            pools.background,
            pools.heartbeats,
            models,
            graphs,
            operations.retain,
            operations.trail,
            believed.keys if believed else None,
        )
        await stack.enter_async_context(at_work(loops(parts)))
        if pools.replicas:
            await stack.enter_async_context(at_work(follow_replicas(pools.replicas)))
        if believed:
            # The loop goes on reading them; the first calls should not come before the first keys.
            await believed.keys.begin()
        # From here on, as starting takes what it takes.
        await stack.enter_async_context(watched())
        await server.open()
        # Pushed again, to be the first thing that happens at the end: everything else is still there for calls in
        # flight. Draining twice is harmless.
        stack.push_async_callback(server.drain)
        # What is reported while draining would contradict it.
        await stack.enter_async_context(at_work([follow_model(pools.background, models, server.report)]))
        log.info("serving", grpc_port=grpc_port, metrics_port=metrics_port, environment=settings.environment)
        yield Application(grpc_port, metrics_port, server, pools.calls, operations, parts.published_keys)
        log.info("draining")


async def _migrate(conninfo: str) -> list[str]:
    """Migrates in a thread, which does not outlast this: the end of the process waits for its threads."""
    stopped = threading.Event()
    try:
        return await asyncio.to_thread(migrate, conninfo, stopped=stopped)
    finally:
        stopped.set()


def settings_on_citus(settings: Settings) -> Settings:
    """What a server on distributed tables does without: graphs and word indexes of large tenants are not built there,
    and every search scans its tenant. Raises StartupError where read replicas are asked for."""
    if settings.read_conninfos:
        raise StartupError(
            "MEMORY_DATABASE_READ_URLS cannot be combined with a database that Citus distributes: unset it."
        )
    log.info("graphs_off", reason="the tables are distributed by Citus")
    return settings.model_copy(update={"graph_threshold": 0})


def settle() -> None:
    """Takes all that is there now out of the garbage collector's sight; for a process that does nothing but serve.

    A model and its libraries are 200,000 objects that stay. Walking through them holds every thread up for a tenth to a
    third of a second, whenever the collector thinks it time: under load that is every few seconds.
    """
    gc.collect()
    gc.freeze()


async def _embedder(stack: AsyncExitStack, settings: Settings) -> Embedder:
    """The model that the settings name, loaded and at work. Raises StartupError."""
    embedder = Embedder.of(await asyncio.to_thread(create_provider, settings), settings)
    await embedder.start()
    stack.push_async_callback(embedder.close)
    return embedder
