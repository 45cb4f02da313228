"""Contexts: protobuf to domain values and back."""

from __future__ import annotations

from memory_grpc import filtering
from memory_grpc.domain import context
from memory_grpc.domain.context import Context, ContextRequest
from memory_grpc.services.convert import moment, optional, stored_message, timestamp
from memory_grpc.services.convert_language import language
from memory_grpc.services.convert_time_zone import time_zone
from memory_layer.v1 import context_pb2 as pb


def request(message: pb.BuildContextRequest) -> ContextRequest:
    """A valid request as what to build. Raises InvalidInput for a filter that cannot be read, for an unknown
    time zone and for a language that is no tag."""
    return ContextRequest(
        tenant_id=message.tenant_id,
        query=message.query,
        user_id=optional(message, "user_id", None),
        conversation_id=optional(message, "conversation_id", None),
        where=filtering.parse(message.filter) if message.filter.strip() else None,
        max_tokens=optional(message, "max_tokens", context.MAX_TOKENS),
        recent_turns=optional(message, "recent_turns", context.RECENT_TURNS),
        recent_share=optional(message, "recent_share", context.RECENT_SHARE),
        ranking=optional(message, "ranking", None),
        min_score=optional(message, "min_score", None),
        neighbours=optional(message, "neighbours", 0),
        as_of=moment(message, "as_of"),
        zone=time_zone(message),
        language=language(message),
    )


def response(built: Context) -> pb.BuildContextResponse:
    """A context as the contract shows it."""
    return pb.BuildContextResponse(
        total_tokens=built.total_tokens,
        messages=[
            pb.ContextMessage(
                message=stored_message(part.message), reason=part.reason, score=part.score, tokens=part.tokens
            )
            for part in built.parts
        ],
        text=built.text,
        left_out=pb.LeftOut(
            too_long=built.too_long,
            repeated_text=built.repeated_text,
            low_score=built.low_score,
            best=[
                pb.LeftOutMessage(message_id=str(missed.message_id), reason=missed.reason, tokens=missed.tokens)
                for missed in built.best_missed
            ],
        ),
        tokenizer=built.tokenizer,
        ranking=built.ranking,
        as_of=timestamp(built.as_of),
        pending=built.pending,
        reranked=built.reranked,
    )
