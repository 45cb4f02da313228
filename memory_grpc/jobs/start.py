"""Which jobs a server has, and how often each looks for work."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import uuid4

from memory_grpc.jobs import change_words, erase, graphs, reembed, sweep
from memory_grpc.jobs.audit import ExpireAudit
from memory_grpc.jobs.change_words import ChangeWords
from memory_grpc.jobs.erase import Erase
from memory_grpc.jobs.follow_model import FollowModel, Report
from memory_grpc.jobs.graphs import BuildGraphs
from memory_grpc.jobs.lease import Lease
from memory_grpc.jobs.loop import Loop
from memory_grpc.jobs.measure import Measure, MeasureSizes
from memory_grpc.jobs.pending import EmbedPending
from memory_grpc.jobs.reembed import Reembed
from memory_grpc.jobs.sweep import Sweep
from memory_grpc.jobs.words import IndexWords
from memory_grpc.observability import metrics
from memory_grpc.operations.audit.trail import Trail
from memory_grpc.operations.indexes.graphs import REFRESH_SECONDS, Graphs
from memory_grpc.operations.models.models import Models
from memory_grpc.operations.retention.retain import Retain
from memory_grpc.operations.tokens.published_keys import PublishedKeys
from memory_grpc.settings import Settings
from memory_grpc.store import vocabularies
from memory_grpc.store.database import Database
from memory_grpc.store.notifications import listen
from memory_grpc.store.replicas import Reads

# How often a server asks whether a sweep is due, at most; and looks for pending messages without being woken.
_SWEEP_POLL_SECONDS = 30.0
_PENDING_POLL_SECONDS = 2.0
# Two, so that one embeds while the other stores.
_PENDING_WORKERS = 2
# How soon a connection that hears of pending messages is made again.
_LISTEN_SECONDS = 1.0
_MEASURE_SECONDS = 5.0
_MEASURE_SIZES_SECONDS = 60.0
# How long denials and uses of keys wait to be recorded.
_AUDIT_SECONDS = 1.0
_EXPIRE_AUDIT_SECONDS = 3600.0
# How often a server asks whether there is something to re-embed.
_REEMBED_POLL_SECONDS = 1.0
# How often a server asks whether words are stored as they should be.
_CHANGE_WORDS_SECONDS = 5.0
# How often a server asks whether there is something to erase.
_ERASE_POLL_SECONDS = 1.0
# How often a server asks whether it still holds the deployment's model.
_FOLLOW_SECONDS = 2.0
# How often replicas are asked how far they have come: what they were heard to have needs no further question.
_FOLLOW_REPLICAS_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Parts:
    """What jobs are made of."""

    settings: Settings
    conninfo: str
    database: Database
    heartbeats: Database
    models: Models
    graphs: Graphs
    retain: Retain
    trail: Trail
    published_keys: PublishedKeys | None

    def lease(self, name: str, seconds: float) -> Lease:
        """A lease of this server's."""
        return Lease(self.heartbeats, name, uuid4(), seconds)


def loops(parts: Parts) -> list[Loop]:
    """A loop for each job that the settings ask for, none of them started."""
    settings, database = parts.settings, parts.database
    config = vocabularies.named(settings.search_text_config)
    words = IndexWords(database, config)
    found = [
        *_pending(parts),
        Loop("audit", parts.trail.flush, _AUDIT_SECONDS),
        Loop("expire_audit", ExpireAudit(database, settings.audit_days), _EXPIRE_AUDIT_SECONDS),
        Loop("measure", Measure(database), _MEASURE_SECONDS),
        Loop("measure_sizes", MeasureSizes(database), _MEASURE_SIZES_SECONDS),
        Loop(
            "reembed",
            Reembed(database, parts.lease(reembed.LEASE, reembed.LEASE_SECONDS), parts.models),
            _REEMBED_POLL_SECONDS,
        ),
        Loop(
            "change_words",
            ChangeWords(database, parts.lease(change_words.LEASE, change_words.LEASE_SECONDS), words, config),
            _CHANGE_WORDS_SECONDS,
        ),
        Loop("erase", Erase(database, parts.lease(erase.LEASE, erase.LEASE_SECONDS)), _ERASE_POLL_SECONDS),
        Loop("graphs", parts.graphs.refresh, REFRESH_SECONDS),
    ]
    if settings.graph_threshold > 0:
        build = BuildGraphs(
            database,
            parts.lease(graphs.LEASE, graphs.LEASE_SECONDS),
            parts.graphs,
            words,
            threshold=settings.graph_threshold,
            memory_mb=settings.graph_build_memory_mb,
        )
        found.append(Loop("build_graphs", build, settings.graph_check_seconds))
    if (keys := parts.published_keys) is not None:
        refresh = Loop("jwt_keys", keys.refresh, keys.seconds)
        keys.woken_by(refresh.wake)
        found.append(refresh)
    metrics.SWEEP_SCHEDULE_SECONDS.set(settings.retention_schedule_seconds)
    if settings.retention_schedule_seconds > 0:
        sweeper = Sweep(
            database,
            parts.lease(sweep.LEASE, sweep.LEASE_SECONDS),
            parts.retain,
            schedule_seconds=settings.retention_schedule_seconds,
            idempotency_hours=settings.idempotency_hours,
            batch_size=settings.retention_batch_size,
        )
        found.append(Loop("retention", sweeper, min(settings.retention_schedule_seconds, _SWEEP_POLL_SECONDS)))
    return found


def follow_model(database: Database, models: Models, report: Report) -> Loop:
    """The loop for a server that serves: ``report`` tells those who probe it."""
    return Loop("follow_model", FollowModel(database, models, report), _FOLLOW_SECONDS)


def follow_replicas(reads: Reads) -> list[Loop]:
    """The loops that hear how far the nodes have come, one each: one that hangs deafens no other."""
    return [
        Loop(f"follow_node_{number}", follow, _FOLLOW_REPLICAS_SECONDS)
        for number, follow in enumerate(reads.followers())
    ]


def _pending(parts: Parts) -> list[Loop]:
    """The workers of the queue, and what wakes them; the same connection hears of erasures."""
    embed = EmbedPending(parts.database, parts.heartbeats, parts.models, parts.settings.embedding_max_attempts)
    workers = [Loop(f"embed_pending_{i}", embed, _PENDING_POLL_SECONDS) for i in range(_PENDING_WORKERS)]

    def wake() -> None:
        for worker in workers:
            worker.wake()

    async def hear() -> None:
        await listen(parts.conninfo, {"embedding_jobs": wake, "erasures": parts.models.forget})

    return [*workers, Loop("listen", hear, _LISTEN_SECONDS)]
