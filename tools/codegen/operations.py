"""RPCs as OpenAPI operations: their paths, parameters, bodies and answers."""

from __future__ import annotations

import re
from typing import Any

from memory_grpc.rpc_facts import RpcFacts
from tools.codegen import rest
from tools.codegen.comments import remainder, summary
from tools.codegen.contract import Binding, Contract, Field, MessageType, Rpc
from tools.codegen.examples import field_example, message_example
from tools.codegen.failures import component_name, reasons
from tools.codegen.problem import CodegenError
from tools.codegen.schemas import TIMESTAMP, Schemas, description, is_required

_REACHES = {
    "named_tenants": " with access to every tenant named in the request (403 otherwise)",
    "tenants_of_key": "; what belongs to tenants that it has no access to is not found (404)",
    "all_tenants": " for all tenants (403 otherwise)",
}
_VARIABLE = re.compile(r"\{([^}=]+)(?:=[^}]*)?\}")


class Operations:
    """Turns the RPCs of one contract into operations; their schemas are collected in ``schemas``."""

    def __init__(self, contract: Contract, schemas: Schemas) -> None:
        self._contract = contract
        self._schemas = schemas
        self._statuses = {reason.name: reason.status for reason in reasons(contract)}

    def paths(self) -> dict[str, dict[str, Any]]:
        """Operations by path and verb, in the order of the contract."""
        paths: dict[str, dict[str, Any]] = {}
        for rpc in self._contract.rpcs.values():
            for index, binding in enumerate(rpc.bindings):
                # Names must be unique in the document, and the first binding owns the RPC's.
                name = rpc.name if index == 0 else f"{rpc.name}By{binding.verb.title()}"
                path = _VARIABLE.sub(r"{\1}", binding.path)
                paths.setdefault(path, {})[binding.verb] = self._operation(rpc, binding, name)
        return paths

    def _operation(self, rpc: Rpc, binding: Binding, name: str) -> dict[str, Any]:
        request = self._schemas.message(rpc.request)
        in_path = _VARIABLE.findall(binding.path)
        operation: dict[str, Any] = {"tags": [rpc.service], "operationId": name, "summary": summary(rpc.comment)}
        said = [remainder(rpc.comment), access_sentence(rpc.facts), self._reasons_sentence(rpc.facts)]
        operation["description"] = "\n\n".join(filter(None, said))
        if rpc.facts.is_open:
            operation["security"] = []
        if parameters := self._parameters(request, in_path, binding.body):
            operation["parameters"] = parameters
        if binding.body:
            operation["requestBody"] = self._body(request, frozenset(in_path), binding.body)
        operation["responses"] = self._responses(rpc, has_body=bool(binding.body))
        return operation

    def _parameters(self, request: MessageType, in_path: list[str], body: str) -> list[dict[str, Any]]:
        """Path variables, then as query parameters whatever the body does not carry."""
        fields = {field.name: field for field in request.fields}
        if missing := [name for name in in_path if name not in fields]:
            raise CodegenError(f"{request.full_name} has no field for the path variable {missing[0]}.")
        for name in in_path:
            if not (fields[name].limits.path_segment or fields[name].limits.uuid):
                raise CodegenError(
                    f"{request.full_name}.{name} stands in a path, where . and .. cannot: give it path_segment or uuid."
                )
        parameters = [self._parameter(fields[name], "path") for name in in_path]
        if body != "*":
            rest_of_fields = [field for name, field in fields.items() if name not in {*in_path, body}]
            parameters += [self._parameter(field, "query") for field in rest_of_fields if _fits_query(field)]
        return parameters

    def _parameter(self, field: Field, where: str) -> dict[str, Any]:
        required = where == "path" or is_required(field, "request")
        parameter: dict[str, Any] = {"name": field.name, "in": where, "required": required}
        text = description(field)
        if field.limits.example and not required:
            # Swagger UI fills examples in when one tries a call, and a filter that nobody chose finds nothing: an
            # optional parameter's example is part of its description instead.
            text += f" Example: `{_plain(field_example(field))}`."
        if text := text.strip():
            parameter["description"] = text
        parameter["schema"] = self._schemas.field(field, "request", documented=False)
        if field.limits.example and required:
            parameter["example"] = field_example(field)
        return parameter

    def _body(self, request: MessageType, in_path: frozenset[str], body: str) -> dict[str, Any]:
        if body == "*":
            schema = self._schemas.reference(request.full_name, "request", in_path)
            message, without = request, in_path
            required = any(is_required(field, "request") for field in request.fields if field.name not in in_path)
        else:
            field = next(field for field in request.fields if field.name == body)
            schema = self._schemas.field(field, "request")
            message, without = self._schemas.message(field.type_name), frozenset()
            required = is_required(field, "request")
        content = {"schema": schema, "examples": self._examples(message, without)}
        return {"required": required, "content": {"application/json": content}}

    def _examples(self, message: MessageType, without: frozenset[str]) -> dict[str, Any]:
        """The least that is accepted, and everything. The least comes first: it is what Swagger UI sends on a click."""
        least = message_example(self._contract, message, without, only=lambda field: is_required(field, "request"))
        most = message_example(self._contract, message, without)
        examples = {"required": {"summary": "Required fields only", "value": least}} if least and least != most else {}
        return {**examples, "all": {"summary": "Every field", "value": most}}

    def _responses(self, rpc: Rpc, *, has_body: bool) -> dict[str, Any]:
        response = self._schemas.message(rpc.response)
        content = {
            "schema": self._schemas.reference(rpc.response, "response"),
            "example": message_example(self._contract, response),
        }
        success = {"description": response.comment or "Done.", "content": {"application/json": content}}
        responses: dict[str, Any] = {str(rpc.facts.http_status): success}
        of_reasons = {self._statuses[name] for name in rpc.facts.reasons}
        for status in rest.error_statuses(rpc.facts, of_reasons, has_body=has_body):
            responses[str(status)] = {"$ref": f"#/components/responses/{component_name(status)}"}
        return responses

    def _reasons_sentence(self, facts: RpcFacts) -> str:
        if not facts.reasons:
            return ""
        named = ", ".join(f"`{name}` ({self._statuses[name]})" for name in facts.reasons)
        return f"Can fail with {named}, besides the reasons common to all calls."


def access_sentence(facts: RpcFacts) -> str:
    """Which key an RPC needs, in words."""
    if facts.is_open:
        return "Needs no key."
    return f"Needs a key of the role `{facts.role}`{_REACHES[facts.reach]}."


def _fits_query(field: Field) -> bool:
    """Scalars, enums and timestamps; objects have no agreed spelling in a query."""
    return field.type != "message" or (field.type_name == TIMESTAMP and not field.repeated)


def _plain(value: Any) -> str:
    """A value as one types it into a query."""
    return value if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else str(value)
