"""Error responses: one shared shape, described by the reasons of errors.proto.

The comment of every reason begins with its gRPC code and its HTTP status: ``NOT_FOUND, 404. No such message …``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any

from google.rpc import code_pb2

from tools.codegen.comments import summary
from tools.codegen.contract import OWN_PACKAGE, Contract
from tools.codegen.problem import CodegenError

_CODES: dict[str, int] = dict(code_pb2.Code.items())
_TYPES = "type.googleapis.com/google.rpc."
_HEAD = re.compile(r"([A-Z_]+), (\d{3})(?: over REST)?\. (.+?)(?: \{.*\})?", re.DOTALL)
# Not HTTPStatus.phrase: Python changes those from version to version.
_COMPONENTS = {
    HTTPStatus.BAD_REQUEST: "BadRequest",
    HTTPStatus.UNAUTHORIZED: "Unauthenticated",
    HTTPStatus.FORBIDDEN: "PermissionDenied",
    HTTPStatus.NOT_FOUND: "NotFound",
    HTTPStatus.CONFLICT: "AlreadyExists",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "TooLarge",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "NotJson",
    HTTPStatus.TOO_MANY_REQUESTS: "TooManyRequests",
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE: "HeadersTooLarge",
    HTTPStatus.SERVICE_UNAVAILABLE: "Unavailable",
    HTTPStatus.GATEWAY_TIMEOUT: "DeadlineExceeded",
}
# Statuses with which Envoy refuses a call for a reason that has another status else.
_AT_THE_EDGE = {
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: ("MALFORMED_REQUEST", "The body is not `application/json`."),
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE: (
        "REQUEST_TOO_LARGE",
        "The path and the headers are larger than the server accepts; search with long queries by POST.",
    ),
}

ERROR_SCHEMA: dict[str, Any] = {
    "type": "object",
    "description": "Why a call failed: a google.rpc.Status.",
    "required": ["code", "message", "details"],
    "properties": {
        "code": {"type": "integer", "format": "int32", "description": "The gRPC status code.", "example": 5},
        "message": {"type": "string", "description": "What went wrong, in words.", "example": "no such message"},
        "details": {
            "type": "array",
            "description": "`google.rpc.ErrorInfo` with the reason; `google.rpc.BadRequest` with the broken fields.",
            "items": {
                "type": "object",
                "properties": {"@type": {"type": "string", "description": "Which message of google.rpc this is."}},
                "additionalProperties": True,
            },
        },
    },
}


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason of errors.proto; ``any_call``: not only calls of RPCs that declare it."""

    name: str
    code: str
    status: int
    text: str
    any_call: bool


def reasons(contract: Contract) -> list[Reason]:
    """The reasons of errors.proto in their order, but the unspecified one.

    Raises:
        CodegenError: a comment does not begin as it must.
    """
    found = []
    for value in contract.enums[f"{OWN_PACKAGE}.ErrorReason"]:
        if value.number == 0:
            continue
        head = _HEAD.fullmatch(value.comment)
        if head is None or head[1] not in _CODES:
            raise CodegenError(f"the comment of {value.name} must begin with its code and status: `NOT_FOUND, 404. …`.")
        found.append(Reason(value.name.removeprefix("ERROR_REASON_"), head[1], int(head[2]), head[3], value.any_call))
    return found


def check_declared(contract: Contract) -> None:
    """Holds the reasons that RPCs declare to errors.proto.

    Raises:
        CodegenError: an RPC declares one that any call can give, or none; or nobody gives one.
    """
    own = {reason.name for reason in reasons(contract) if not reason.any_call}
    declared = {name: rpc for rpc in contract.rpcs.values() for name in rpc.facts.reasons}
    for name in sorted(declared.keys() - own):
        raise CodegenError(f"{declared[name].full_name} declares the reason {name}, which any call can give, or none.")
    for name in sorted(own - declared.keys()):
        raise CodegenError(f"no RPC declares the reason {name}: name it where it is given, or say (any_call).")


def component_name(status: int) -> str:
    """Name of the shared response: ``NotFound`` for 404."""
    return _COMPONENTS[HTTPStatus(status)]


def error_responses(contract: Contract, statuses: set[int]) -> dict[str, Any]:
    """The shared responses of ``statuses`` by component name.

    Raises:
        CodegenError: errors.proto has no reason for one of them.
    """
    known = reasons(contract)
    responses = {}
    for status in sorted(statuses):
        of_status = [reason for reason in known if reason.status == status]
        if edge := _AT_THE_EDGE.get(HTTPStatus(status)):
            of_status = [replace(reason, status=status, text=edge[1]) for reason in known if reason.name == edge[0]]
        if not of_status:
            raise CodegenError(f"errors.proto has no reason with status {status}.")
        responses[component_name(status)] = _response(of_status)
    return responses


def _response(of_status: list[Reason]) -> dict[str, Any]:
    """One response; its example is the first reason's."""
    response: dict[str, Any] = {"description": "\n".join(f"- `{reason.name}`: {reason.text}" for reason in of_status)}
    if of_status[0].status == HTTPStatus.TOO_MANY_REQUESTS:
        seconds = {"type": "integer", "minimum": 0}
        response["headers"] = {
            "Retry-After": {"description": "Seconds to wait before the next try.", "schema": seconds}
        }
    schema = {"$ref": "#/components/schemas/Error"}
    response["content"] = {"application/json": {"schema": schema, "example": _example(of_status[0])}}
    return response


def _example(reason: Reason) -> dict[str, Any]:
    details: list[dict[str, Any]] = [
        {"@type": f"{_TYPES}ErrorInfo", "reason": reason.name, "domain": OWN_PACKAGE, "metadata": {}}
    ]
    message = re.split(r" \(|;", summary(reason.text))[0]
    if reason.name == "INVALID_FIELD":
        violation = {"field": "role", "description": "must be one of user, assistant, system"}
        message = f"{violation['field']}: {violation['description']}"
        details.append({"@type": f"{_TYPES}BadRequest", "fieldViolations": [violation]})
    return {"code": _CODES[reason.code], "message": message, "details": details}
