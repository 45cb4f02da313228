"""Erasures: requests to filters, and the operations' values to protobuf."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from memory_grpc import filtering
from memory_grpc.access import Grant
from memory_grpc.domain.erasure import Check, Erasure, Plan, Rows
from memory_grpc.errors import FieldViolation, InvalidInput
from memory_grpc.filtering import Node
from memory_grpc.services import convert
from memory_layer.v1 import erasure_service_pb2 as pb

_SELECTORS: tuple[Literal["filter", "user_id", "conversation_id"], ...] = ("filter", "user_id", "conversation_id")
_UNREACHABLE = (
    ("write-ahead log and its archive", "keep the archive for a bounded time"),
    ("backups and dumps", "keep them for a bounded time; after a restore, erase again what was erased since"),
    ("replicas", "deletions are replicated: watch the lag"),
    ("rows that a transaction older than the erasure still sees", "end such transactions and vacuum"),
    ("caches of clients, and logs of proxies", "they are yours: the service logs no content"),
)
_KEPT = (
    "digests of the erased ids and request ids, so that none comes back",
    "this receipt, and the audit trail, which holds no content",
    "keys of several tenants, and the record of revoked ones",
    "which changes of model there were",
)


def scope_and_where(request: pb.PlanErasureRequest) -> tuple[str, Node]:
    """What kind of thing is to be erased, and what its messages pass.

    Raises InvalidInput unless there is exactly one, and for a filter that cannot be read or that everything passes.
    """
    present: dict[str, bool] = {name: request.HasField(name) for name in _SELECTORS}
    given = [name for name, is_given in (present | {"whole_tenant": request.whole_tenant}).items() if is_given]
    if len(given) != 1:
        wanted = "give exactly one of filter, user_id, conversation_id and whole_tenant"
        raise InvalidInput([FieldViolation(name, wanted) for name in given or ["filter"]])
    if request.whole_tenant:
        return "whole_tenant", filtering.EVERYTHING
    if request.HasField("user_id"):
        return "user", filtering.compare("user_id", "=", request.user_id)
    if request.HasField("conversation_id"):
        return "conversation", filtering.compare("conversation_id", "=", request.conversation_id)
    node = filtering.parse(request.filter)
    if not filtering.conjuncts(node):
        raise InvalidInput.of("filter", "must set a condition; to erase everything, use whole_tenant")
    return "filter", node


def key_of(grant: Grant) -> str:
    """Who calls, as a receipt names it."""
    if grant.is_anonymous:
        return "none"
    return "settings" if grant.key_id is None else str(grant.key_id)


def erasure(found: Erasure) -> pb.Erasure:
    """What is told of an erasure."""
    result = pb.Erasure(
        erasure_id=str(found.id),
        tenant_id=found.tenant_id,
        scope=found.scope,
        state=found.state,
        planned=found.planned,
        erased=found.erased,
        planned_rows=_rows(found.planned_rows),
        erased_rows=_rows(found.erased_rows),
        planned_at=convert.timestamp(found.planned_at),
        expires_at=convert.timestamp(found.expires_at),
        last_error=found.last_error or "",
    )
    for name in ("applied_at", "finished_at"):
        if (value := getattr(found, name)) is not None:
            getattr(result, name).CopyFrom(convert.timestamp(value))
    return result


def plan(found: Plan) -> pb.PlanErasureResponse:
    """A plan, with its sample."""
    return pb.PlanErasureResponse(
        erasure=erasure(found.erasure), sample=[convert.stored_message(message) for message in found.sample]
    )


def receipt(found: Erasure) -> pb.ErasureReceipt:
    """What can be kept of one that is done."""
    return pb.ErasureReceipt(
        erasure=erasure(found),
        ids_digest=(found.ids_digest or b"").hex(),
        planned_by=found.planned_by,
        applied_by=found.applied_by or "",
        erased_at=convert.timestamp(found.erased_at) if found.erased_at else None,
        kept=_KEPT,
    )


def verified(found: Erasure, checks: Sequence[Check]) -> pb.VerifyErasureResponse:
    """What was found, and what could not be looked into."""
    return pb.VerifyErasureResponse(
        clean=found.state == "done" and not any(check.found for check in checks),
        checks=[pb.ErasureCheck(place=check.place, found=check.found, how=check.how) for check in checks],
        unreachable=[pb.ErasureLimit(place=place, advice=advice) for place, advice in _UNREACHABLE],
    )


def _rows(rows: Rows) -> list[pb.TableRows]:
    return [pb.TableRows(table=name, rows=rows[name]) for name in sorted(rows)]
