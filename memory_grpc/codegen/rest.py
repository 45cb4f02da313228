"""What REST adds to the contract and descriptors cannot say, in one place.

The server sets the status header that Envoy turns into 202, auth leaves health open, and Envoy routes the paths of the
HTTP side: whoever changes one of these changes this table.
"""

from __future__ import annotations

from typing import Any

from memory_grpc.codegen.contract import Contract
from memory_grpc.codegen.problem import CodegenError

# RPCs that answer something else than 200.
SUCCESS = {"MemoryService.IngestMessage": 202, "MemoryService.BatchIngestMessages": 202}
# RPCs that need no x-api-key, as they declare it.
OPEN = {"AdminService.GetHealth"}
# Errors that only some RPCs give, by status.
ONLY = {
    404: {
        "MemoryService.GetMessage",
        "KeyService.RevokeApiKey",
        "EmbeddingService.GetReembedding",
        "EmbeddingService.CompareReembedding",
        "EmbeddingService.CutOverReembedding",
        "EmbeddingService.CancelReembedding",
    },
    409: {"MemoryService.IngestMessage", "MemoryService.BatchIngestMessages"},
}
# Errors of every RPC; of those with a key; of those with a body.
ALWAYS = (400, 429, 431, 503, 504)
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


def check_names(contract: Contract) -> None:
    """Refuses a table that names an RPC which the contract does not have.

    Raises:
        CodegenError: with the names.
    """
    named = SUCCESS.keys() | OPEN | set().union(*ONLY.values())
    if unknown := sorted(named - contract.rpcs.keys()):
        raise CodegenError(f"rest.py names RPCs that the contract does not have: {', '.join(unknown)}.")
    if {name for name, rpc in contract.rpcs.items() if rpc.access.open} != OPEN:
        raise CodegenError("OPEN in rest.py must name the RPCs that the contract declares open, and no others.")


def error_statuses(rpc: str, *, has_body: bool) -> list[int]:
    """The error statuses of an RPC, given as ``Service.Rpc``, in ascending order."""
    statuses = {*ALWAYS, *(status for status, rpcs in ONLY.items() if rpc in rpcs)}
    if rpc not in OPEN:
        statuses.update(WITH_KEY)
    if has_body:
        statuses.update(WITH_BODY)
    return sorted(statuses)
