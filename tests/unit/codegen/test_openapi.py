"""The OpenAPI document is valid and holds everything that the contract says of REST."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from google.api import annotations_pb2
from google.protobuf.descriptor import FieldDescriptor
from openapi_schema_validator import OAS30Validator, oas30_format_checker
from openapi_spec_validator import OpenAPIV30SpecValidator

import memory_grpc
from memory_grpc import resources, rpcs
from memory_layer.v1 import limits_pb2

DOCUMENT: dict[str, Any] = yaml.safe_load(resources.OPENAPI_YAML.read_text())
METHODS = {method.name: method for method in rpcs.METHODS.values()}
OPERATIONS = {(verb, path): operation for path, item in DOCUMENT["paths"].items() for verb, operation in item.items()}
DOCUMENTED = {
    ("post", "/v1/messages"): 202,
    ("post", "/v1/messages:batch"): 202,
    ("get", "/v1/messages/{message_id}"): 200,
    ("patch", "/v1/messages/{message_id}"): 200,
    ("get", "/v1/messages/{message_id}/revisions"): 200,
    ("get", "/v1/messages"): 200,
    ("get", "/v1/conversations"): 200,
    ("get", "/v1/admin/tenants/{tenant_id}/statistics"): 200,
    ("get", "/v1/users"): 200,
    ("delete", "/v1/messages/{message_id}"): 200,
    ("get", "/v1/memory/search"): 200,
    ("post", "/v1/memory/search"): 200,
    ("post", "/v1/memory/context"): 200,
    ("post", "/v1/admin/retention/run"): 200,
    ("post", "/v1/admin/retention/simulate"): 200,
    ("post", "/v1/admin/retention/restore"): 200,
    ("post", "/v1/admin/erasure/plan"): 200,
    ("post", "/v1/admin/erasure/apply"): 200,
    ("get", "/v1/admin/erasure"): 200,
    ("get", "/v1/admin/erasure/receipt"): 200,
    ("post", "/v1/admin/erasure/verify"): 200,
    ("post", "/v1/admin/embeddings/retry"): 200,
    ("get", "/v1/admin/graphs"): 200,
    ("get", "/v1/admin/audit"): 200,
    ("get", "/v1/admin/health"): 200,
    ("get", "/v1/admin/tenants/{tenant_id}/policy"): 200,
    ("put", "/v1/admin/tenants/{tenant_id}/policy"): 200,
    ("post", "/v1/admin/api-keys"): 200,
    ("get", "/v1/admin/api-keys"): 200,
    ("post", "/v1/admin/api-keys/{key_id}:revoke"): 200,
    ("post", "/v1/admin/reembedding/start"): 200,
    ("get", "/v1/admin/reembedding"): 200,
    ("post", "/v1/admin/reembedding/compare"): 200,
    ("post", "/v1/admin/reembedding/cut-over"): 200,
    ("post", "/v1/admin/reembedding/cancel"): 200,
    ("get", "/v1/admin/export"): 200,
    ("post", "/v1/admin/import"): 200,
    ("get", "/metrics"): 200,
    ("get", "/docs"): 200,
    ("get", "/openapi.json"): 200,
}
OPEN = {("get", "/v1/admin/health"), ("get", "/metrics"), ("get", "/docs"), ("get", "/openapi.json")}


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema that a $ref, or the one $ref of an allOf, stands for."""
    reference = schema.get("$ref") or schema.get("allOf", [{}])[0].get("$ref")
    if reference is None:
        return schema
    found: Any = DOCUMENT
    for part in reference.removeprefix("#/").split("/"):
        found = found[part]
    return {**found, **{key: value for key, value in schema.items() if key not in ("$ref", "allOf")}}


def request_fields(operation: dict[str, Any]) -> dict[str, tuple[bool, dict[str, Any]]]:
    """Name → (required, schema) of all that a call may send, wherever it goes."""
    fields = {item["name"]: (item["required"], item["schema"]) for item in operation.get("parameters", [])}
    if "requestBody" in operation:
        body = resolved(operation["requestBody"]["content"]["application/json"]["schema"])
        required = body.get("required", [])
        fields |= {name: (name in required, schema) for name, schema in body["properties"].items()}
    return fields


def rpc_operations() -> list[tuple[str, dict[str, Any]]]:
    return [
        (METHODS[o["operationId"].removesuffix("ByPost")].name, o) for o in OPERATIONS.values() if o["tags"] != ["HTTP"]
    ]


def test_the_document_is_valid() -> None:
    OpenAPIV30SpecValidator(DOCUMENT).validate()
    assert DOCUMENT["openapi"] == "3.0.3"
    assert DOCUMENT["info"]["title"] == "AI Memory Layer"
    assert DOCUMENT["info"]["version"] == memory_grpc.__version__
    assert DOCUMENT["servers"] == [{"url": "/"}]


def test_every_documented_path_is_there_with_its_status() -> None:
    found = {key: next(int(s) for s in operation["responses"] if s < "300") for key, operation in OPERATIONS.items()}
    assert found == DOCUMENTED


def test_every_http_binding_is_there() -> None:
    for method in METHODS.values():
        rule = method.GetOptions().Extensions[annotations_pb2.http]
        for binding in (rule, *rule.additional_bindings):
            verb = binding.WhichOneof("pattern")
            if verb is None:  # gRPC only
                assert method.client_streaming
                continue
            assert (verb, getattr(binding, verb)) in OPERATIONS


def test_only_open_paths_need_no_key() -> None:
    assert DOCUMENT["security"] == [{"apiKey": []}, {"token": []}]
    assert DOCUMENT["components"]["securitySchemes"]["apiKey"]["name"] == "x-api-key"
    assert {key for key, operation in OPERATIONS.items() if operation.get("security") == []} == OPEN


@pytest.mark.parametrize(
    ("rpc", "operation"), rpc_operations(), ids=lambda value: value if isinstance(value, str) else ""
)
def test_every_request_field_is_there_with_its_limits(rpc: str, operation: dict[str, Any]) -> None:
    fields = request_fields(operation)
    # An object has no place in a query string.
    by_body = "requestBody" in operation
    wanted = [
        field
        for field in METHODS[rpc].input_type.fields
        if by_body or field.message_type is None or field.message_type.name != "Struct"
    ]
    assert fields.keys() == {field.name for field in wanted}
    for field in wanted:
        required, schema = fields[field.name]
        option = field.GetOptions().Extensions[limits_pb2.limits]
        assert required == (option.required or option.min_items > 0), field.name
        assert_limits(field, option, schema)


def assert_limits(field: FieldDescriptor, option: limits_pb2.Limits, schema: dict[str, Any]) -> None:
    schema = resolved(schema)
    single = resolved(schema["items"]) if field.is_repeated else schema
    keyword = {"minLength": option.min_length, "maxLength": option.max_length, "enum": list(option.one_of)}
    for name, wanted in keyword.items():
        assert single.get(name) == (wanted or None), (field.full_name, name)
    for name in ("min_items", "max_items"):
        assert schema.get(f"{name[:3]}Items") == (getattr(option, name) or None), field.full_name
    assert single.get("minimum") == (option.min if option.HasField("min") else None), field.full_name
    assert single.get("maximum") == (option.max if option.HasField("max") else None), field.full_name
    if option.uuid:
        assert single["format"] == "uuid"
    if option.max_json_bytes:
        assert f"{option.max_json_bytes:,} bytes" in schema["description"]
    if field.message_type is not None and field.message_type.full_name.startswith("memory_layer"):
        for nested in field.message_type.fields:
            assert_limits(nested, nested.GetOptions().Extensions[limits_pb2.limits], single["properties"][nested.name])


def test_documented_limits_to_the_letter() -> None:
    ingest = DOCUMENT["components"]["schemas"]["IngestMessageRequest"]
    assert ingest["required"] == ["tenant_id", "conversation_id", "role", "content"]
    properties = ingest["properties"]
    assert (properties["tenant_id"]["minLength"], properties["tenant_id"]["maxLength"]) == (1, 64)
    assert (properties["conversation_id"]["minLength"], properties["conversation_id"]["maxLength"]) == (1, 128)
    assert properties["role"]["enum"] == ["user", "assistant", "system"]
    assert (properties["content"]["minLength"], properties["content"]["maxLength"]) == (1, 100000)
    override = properties["importance_override"]
    assert (override["type"], override["minimum"], override["maximum"]) == ("number", 0, 1)
    assert properties["metadata"]["type"] == "object"
    search = {item["name"]: item for item in OPERATIONS["get", "/v1/memory/search"]["parameters"]}
    documented = {"tenant_id", "query", "conversation_id", "top_k", "importance_min", "candidate_limit"}
    assert documented <= search.keys()
    assert {name for name, item in search.items() if item["required"]} == {"tenant_id", "query"}
    assert search["top_k"]["schema"]["type"] == "integer"
    assert "5 when not set" in search["top_k"]["description"]


def test_responses_require_what_is_always_printed() -> None:
    schemas = DOCUMENT["components"]["schemas"]
    assert schemas["SearchMemoriesResponse"]["required"] == ["total", "items", "pending"]
    assert schemas["RunRetentionResponse"]["required"] == ["archived", "deleted", "dry_run"]
    assert "name" not in schemas["Message"]["required"]
    assert "archived_at" not in schemas["Message"]["required"]
    assert "required" not in schemas["RetentionPolicy"]


def test_errors_are_shared_and_complete() -> None:
    everywhere = {"400", "401", "403", "429", "431", "503", "504"}
    for key, operation in OPERATIONS.items():
        if operation["tags"] == ["HTTP"]:
            continue
        # Health is open, and outside the rate limit and the bound on calls inside.
        wanted = everywhere - ({"401", "403", "429"} if key in OPEN else set())
        wanted |= {"413", "415"} if "requestBody" in operation else set()
        one = {"GetMessage", "RevokeApiKey", "GetReembedding", "CompareReembedding", "CutOverReembedding"}
        # A request_id may be of a message that was deleted since.
        one |= {"CancelReembedding", "DeleteMessage", "IngestMessage", "BatchIngestMessages"}
        one |= {"UpdateMessage", "ListRevisions"}
        one |= {"ApplyErasure", "GetErasure", "GetErasureReceipt", "VerifyErasure"}
        wanted |= {"404"} if operation["operationId"] in one else set()
        wanted |= {"409"} if key[1].startswith("/v1/messages") and key[0] in ("post", "patch") else set()
        assert {status for status in operation["responses"] if status >= "400"} == wanted, key
        for status in wanted:
            answer = resolved(operation["responses"][status])
            assert answer["content"]["application/json"]["schema"] == {"$ref": "#/components/schemas/Error"}
    assert "Retry-After" in DOCUMENT["components"]["responses"]["TooManyRequests"]["headers"]
    assert DOCUMENT["components"]["schemas"]["Error"]["required"] == ["code", "message", "details"]


def examples() -> list[tuple[str, dict[str, Any], Any]]:
    """Every example of the document with the schema it stands beside."""
    found: list[tuple[str, dict[str, Any], Any]] = []

    def walk(node: Any, at: str) -> None:
        if isinstance(node, dict):
            schema = node.get("schema") or {key: value for key, value in node.items() if key != "example"}
            if "example" in node and ("schema" in node or "type" in node):
                found.append((at, schema, node["example"]))
            for name, item in node.get("examples", {}).items():
                found.append((f"{at}.{name}", schema, item["value"]))
            for key, value in node.items():
                if key not in ("example", "examples"):
                    walk(value, f"{at}/{key}")
        elif isinstance(node, list):
            for index, value in enumerate(node):
                walk(value, f"{at}/{index}")

    walk(DOCUMENT, "")
    return found


def test_every_example_fits_its_schema() -> None:
    checked = examples()
    assert len(checked) > 80
    for at, schema, example in checked:
        whole = {"components": DOCUMENT["components"], "allOf": [schema]}
        errors = list(OAS30Validator(whole, format_checker=oas30_format_checker).iter_errors(example))
        assert not errors, (at, errors)


def test_the_first_body_example_is_the_least_that_is_accepted() -> None:
    body = OPERATIONS["post", "/v1/messages"]["requestBody"]["content"]["application/json"]
    assert list(body["examples"]) == ["required", "all"]
    assert body["examples"]["required"]["value"].keys() == {"tenant_id", "conversation_id", "role", "content"}
    assert body["examples"]["all"]["value"].keys() >= {"metadata", "importance_override"}


def test_optional_parameters_are_not_filled_in_by_swagger_ui() -> None:
    for parameter in OPERATIONS["get", "/v1/memory/search"]["parameters"]:
        assert ("example" in parameter) == parameter["required"]
        assert "example" not in parameter["schema"]


def test_text_is_for_readers() -> None:
    ingest = OPERATIONS["post", "/v1/messages"]
    assert ingest["summary"] == "Stores one message and embeds it"
    assert ingest["description"].startswith("Atomic: ")
    assert "role `writer` with access to every tenant" in ingest["description"]
    assert [tag["name"] for tag in DOCUMENT["tags"]] == [*(service.name for service in rpcs.SERVICES), "HTTP"]
    assert all(operation["summary"] for operation in OPERATIONS.values())
    assert len({operation["operationId"] for operation in OPERATIONS.values()}) == len(OPERATIONS)
    json.dumps(DOCUMENT)  # nothing in it, such as a YAML timestamp, that JSON has no word for
