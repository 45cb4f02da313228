"""Re-embeddings and comparisons of models: the operations' values to protobuf."""

from __future__ import annotations

from memory_grpc.operations.models.compare import Change, Comparison, Scored
from memory_grpc.operations.models.reembeddings import ReembeddingReport
from memory_grpc.services import convert
from memory_layer.v1 import reembedding_pb2 as pb


def reembedding(report: ReembeddingReport) -> pb.Reembedding:
    """What is told of a change of model."""
    work = report.reembedding
    previous, model = (
        pb.EmbeddingModel(name=m.name, revision=m.revision, precision=m.precision, dimensions=m.dimensions)
        for m in (report.previous, report.model)
    )
    result = pb.Reembedding(
        id=work.id,
        tenant_id=work.tenant_id,
        state=work.state,
        previous_model=previous,
        model=model,
        total=work.total,
        embedded=work.embedded,
        refused=work.refused,
        keep_old=work.keep_old,
        last_error=work.last_error or "",
        started_at=convert.timestamp(work.started_at),
    )
    for name in ("cut_over_at", "finished_at"):
        if (value := getattr(work, name)) is not None:
            getattr(result, name).CopyFrom(convert.timestamp(value))
    return result


def comparison(found: Comparison, *, details: bool) -> pb.ReembeddingComparison:
    """How the hits change; each query only with ``details``."""
    return pb.ReembeddingComparison(
        asked=found.asked,
        compared=len(found.changes),
        overlap=found.overlap,
        first_changed=found.first_changed,
        rank_change=found.rank_change,
        details=[_change(change) for change in found.changes] if details else [],
    )


def _change(change: Change) -> pb.QueryComparison:
    return pb.QueryComparison(
        tenant_id=change.query.tenant_id,
        message_id=str(change.query.message_id or ""),
        overlap=change.overlap,
        first_changed=change.first_changed,
        before=[_scored(hit) for hit in change.before],
        after=[_scored(hit) for hit in change.after],
    )


def _scored(hit: Scored) -> pb.ScoredMessage:
    return pb.ScoredMessage(message_id=str(hit.message_id), score=hit.score)
