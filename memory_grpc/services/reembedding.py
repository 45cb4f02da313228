"""The calls of AdminService that change the embedding model."""

from __future__ import annotations

from typing import Any, TypeAlias

import grpc

from memory_grpc.operations.compare import Change, Comparison, Scored
from memory_grpc.operations.reembeddings import ReembeddingReport
from memory_grpc.operations.registry import Slot
from memory_grpc.services import convert
from memory_layer.v1 import admin_service_pb2 as pb

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"

DEFAULT_SAMPLE = 50


class ReembeddingCalls:
    """A part of AdminService."""

    _slot: Slot

    async def StartReembedding(self, request: pb.StartReembeddingRequest, context: Context) -> pb.Reembedding:
        """Opens one."""
        report = await self._slot.operations.reembeddings.start(
            convert.optional(request, "tenant_id", None),
            convert.optional(request, "model", "next"),
            keep_old=request.keep_old,
        )
        return _reembedding(report)

    async def GetReembedding(self, request: pb.GetReembeddingRequest, context: Context) -> pb.Reembedding:
        """Shows one, or the newest."""
        id_ = convert.optional(request, "reembedding_id", None)
        return _reembedding(await self._slot.operations.reembeddings.get(id_))

    async def CompareReembedding(
        self, request: pb.CompareReembeddingRequest, context: Context
    ) -> pb.ReembeddingComparison:
        """Ranks some queries twice."""
        sample = convert.optional(request, "sample", DEFAULT_SAMPLE)
        found = await self._slot.operations.compare(request.reembedding_id, sample, list(request.queries))
        return _comparison(found, details=request.details)

    async def CutOverReembedding(self, request: pb.CutOverReembeddingRequest, context: Context) -> pb.Reembedding:
        """Puts the new vectors to use."""
        return _reembedding(await self._slot.operations.reembeddings.cut_over(request.reembedding_id))

    async def CancelReembedding(self, request: pb.CancelReembeddingRequest, context: Context) -> pb.Reembedding:
        """Ends one."""
        return _reembedding(await self._slot.operations.reembeddings.cancel(request.reembedding_id))


def _reembedding(report: ReembeddingReport) -> pb.Reembedding:
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


def _comparison(found: Comparison, *, details: bool) -> pb.ReembeddingComparison:
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
