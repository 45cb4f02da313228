"""What REST adds to the contract, in one place: the errors of Envoy, and the paths of the HTTP side that it routes."""

from __future__ import annotations

from typing import Any

from memory_grpc.rpc_facts import RpcFacts

# Errors of every RPC; of all but probes; of those with a key; of those with a body.
ALWAYS = (400, 431, 503, 504)
LIMITED = (429,)
WITH_KEY = (401, 403)
WITH_BODY = (413, 415)

HTTP_TAG = "HTTP"
HTTP_TAG_DESCRIPTION = "Documentation and metrics, over HTTP only. Need no key."

# Paths that are served without gRPC.
HTTP_PATHS: dict[str, dict[str, Any]] = {
    "/metrics": {
        "operationId": "GetMetrics",
        "summary": "Returns the metrics of this server for Prometheus",
        "media": {"text/plain": {"schema": {"type": "string"}}},
    },
    "/docs": {
        "operationId": "GetDocs",
        "summary": "Shows this document in Swagger UI",
        "media": {"text/html": {"schema": {"type": "string"}}},
    },
    "/openapi.json": {
        "operationId": "GetOpenApi",
        "summary": "Returns this document as JSON",
        "media": {"application/json": {"schema": {"type": "object", "additionalProperties": True}}},
    },
}


def error_statuses(facts: RpcFacts, of_reasons: set[int], *, has_body: bool) -> list[int]:
    """The error statuses of an RPC in ascending order; ``of_reasons`` are those of the reasons that it declares."""
    statuses = {*ALWAYS, *of_reasons}
    if facts.kind != "probe":
        statuses.update(LIMITED)
    if not facts.is_open:
        statuses.update(WITH_KEY)
    if has_body:
        statuses.update(WITH_BODY)
    return sorted(statuses)
