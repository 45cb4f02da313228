"""What operations are made of: every one, with its connections and settings."""

from __future__ import annotations

import time
from uuid import uuid4

from memory_grpc.access import new_key
from memory_grpc.embedding.token_counts import TokenCounter
from memory_grpc.ids import Uuid7
from memory_grpc.operations.audit.list_events import ListEvents
from memory_grpc.operations.audit.trail import Trail
from memory_grpc.operations.context.build import BuildContext
from memory_grpc.operations.erasure.erasures import Erasures
from memory_grpc.operations.health import Health
from memory_grpc.operations.indexes.graphs import Graphs
from memory_grpc.operations.keys.api_keys import Keys
from memory_grpc.operations.keys.keyring import Keyring
from memory_grpc.operations.messages.delete import Delete
from memory_grpc.operations.messages.get import Get
from memory_grpc.operations.messages.ingest import Ingest
from memory_grpc.operations.messages.listing import Listing
from memory_grpc.operations.messages.revisions import Revisions
from memory_grpc.operations.messages.stream_ingest import StreamIngest
from memory_grpc.operations.messages.update import Update
from memory_grpc.operations.models.compare import Compare
from memory_grpc.operations.models.models import Models
from memory_grpc.operations.models.reembeddings import Reembeddings
from memory_grpc.operations.models.registry import Operations
from memory_grpc.operations.models.retry_failed import RetryFailed
from memory_grpc.operations.policy.policies import Policies
from memory_grpc.operations.policy.quotas import Quotas
from memory_grpc.operations.retention.restore import Restore
from memory_grpc.operations.retention.retain import Retain
from memory_grpc.operations.retention.simulate import Simulate
from memory_grpc.operations.search.rerank import Rerank
from memory_grpc.operations.search.search import Search
from memory_grpc.operations.statistics import Statistics
from memory_grpc.operations.transfer.export import Export
from memory_grpc.operations.transfer.import_ import Import
from memory_grpc.pools import Pools
from memory_grpc.reranking import Reranker
from memory_grpc.settings import Settings
from memory_grpc.store import vocabularies


def wired(
    settings: Settings,
    pools: Pools,
    keyring: Keyring,
    models: Models,
    graphs: Graphs,
    counter: TokenCounter,
    reranker: Reranker | None = None,
) -> Operations:
    """One of each operation, with what it needs."""
    database = pools.calls
    policies = Policies(database, settings)
    fresh_policies = Policies(pools.background, settings)
    quotas = Quotas(pools.background, policies)
    ingest = Ingest(
        database,
        models,
        policies,
        quotas,
        Uuid7(),
        embed_later=settings.async_embeddings,
        word_config=vocabularies.named(settings.search_text_config),
        user_id_metadata_key=settings.user_id_metadata_key,
    )
    search = Search(
        pools.reads,
        models,
        policies,
        graphs,
        word_config=vocabularies.named(settings.search_text_config),
        max_answer_bytes=settings.max_answer_bytes,
        rerank=Rerank(reranker, settings.rerank_timeout_ms / 1000) if reranker else None,
    )
    return Operations(
        ingest=ingest,
        stream_ingest=StreamIngest(ingest, settings.request_timeout_seconds),
        get=Get(pools.reads),
        listing=Listing(pools.reads),
        statistics=Statistics(pools.background),
        update=Update(
            database,
            models,
            policies,
            quotas,
            embed_later=settings.async_embeddings,
            word_config=vocabularies.named(settings.search_text_config),
        ),
        revisions=Revisions(pools.reads),
        delete=Delete(database),
        search=search,
        build_context=BuildContext(pools.reads, search, counter),
        graphs=graphs,
        retain=Retain(pools.background, fresh_policies, settings.retention_batch_size),
        simulate=Simulate(pools.background, fresh_policies),
        restore=Restore(pools.background, fresh_policies, settings.retention_batch_size),
        health=Health(database),
        policies=policies,
        retry_failed=RetryFailed(pools.background),
        keyring=keyring,
        keys=Keys(database, keyring, uuid4, new_key),
        reembeddings=Reembeddings(pools.background, models),
        compare=Compare(pools.background, models, search),
        trail=Trail(pools.background, Uuid7(), time.monotonic),
        list_events=ListEvents(database),
        export=Export(
            pools.replicas.over(pools.background) if pools.replicas else pools.background,
            settings.request_timeout_seconds,
        ),
        import_=Import(pools.background, models, quotas, word_config=vocabularies.named(settings.search_text_config)),
        erasures=Erasures(pools.background, Uuid7()),
        written=pools.written,
    )
