"""The OpenAPI 3.0.3 document (3.0, because that is what Swagger UI 4 shows), from the contract only."""

from __future__ import annotations

from typing import Any

import yaml

import memory_grpc
from tools.codegen import rest
from tools.codegen.comments import summary
from tools.codegen.contract import Contract
from tools.codegen.failures import ERROR_SCHEMA, check_declared, error_responses, reasons
from tools.codegen.operations import Operations
from tools.codegen.schemas import Schemas

OPENAPI = "openapi.yaml"
_HEAD = "# Generated from proto/ by `python -m tools.codegen`. Do not edit.\n"
_LONG = 100
_ERRORS = "memory_layer/v1/errors.proto"


def document(contract: Contract) -> dict[str, Any]:
    """The whole document.

    Raises:
        CodegenError: the contract holds what cannot be documented.
    """
    check_declared(contract)
    schemas = Schemas(contract)
    paths = Operations(contract, schemas).paths() | _http_paths()
    statuses = {int(status) for path in paths.values() for item in path.values() for status in item["responses"]}
    return {
        "openapi": "3.0.3",
        "info": {
            "title": "AI Memory Layer",
            "version": memory_grpc.__version__,
            "description": _description(contract),
            "license": {"name": "MIT"},
        },
        "servers": [{"url": "/"}],
        "security": [{"apiKey": []}, {"token": []}],
        "tags": [
            *({"name": service.name, "description": service.comment} for service in contract.services),
            {"name": rest.HTTP_TAG, "description": rest.HTTP_TAG_DESCRIPTION},
        ],
        "paths": paths,
        "components": {
            "securitySchemes": {
                "apiKey": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "x-api-key",
                    "description": "Needed once the deployment has keys: from MEMORY_API_KEYS, or from CreateApiKey.",
                },
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "Instead of a key, if the deployment accepts tokens (MEMORY_JWT_*).",
                },
            },
            "responses": error_responses(contract, {status for status in statuses if status >= 400}),
            "schemas": schemas.components | {"Error": ERROR_SCHEMA},
        },
    }


def dump(tree: dict[str, Any]) -> str:
    """The document as YAML, in its own order, with nothing abbreviated by anchors."""
    text = yaml.dump(tree, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120, default_flow_style=False)
    return f"{_HEAD}{text}"


def _description(contract: Contract) -> str:
    """What the services say of themselves in a line each, then how every call can fail."""
    services = "\n".join(f"- **{service.name}**: {summary(service.comment)}." for service in contract.services)
    errors = contract.file_comments.get(_ERRORS, "")
    known = "\n".join(
        f"- `{reason.name}` ({reason.code}, {reason.status}): {reason.text}" for reason in reasons(contract)
    )
    return f"{services}\n\n## Errors\n\n{errors}\n\n{known}"


def _http_paths() -> dict[str, dict[str, Any]]:
    paths: dict[str, dict[str, Any]] = {}
    for path, known in rest.HTTP_PATHS.items():
        answer = {"description": f"{known['summary'].split(' ', 1)[0]} it.", "content": known["media"]}
        operation = {"tags": [rest.HTTP_TAG], "operationId": known["operationId"], "summary": known["summary"]}
        paths[path] = {"get": {**operation, "security": [], "responses": {"200": answer}}}
    return paths


class _Dumper(yaml.SafeDumper):
    """Writes long text as blocks, and repeats what occurs twice."""

    def ignore_aliases(self, data: object) -> bool:
        return True


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else ">" if len(text) > _LONG else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Dumper.add_representer(str, _represent_text)
