"""Messages and fields as OpenAPI 3.0 schemas.

What is required differs by direction. A request requires what ``limits`` requires. A response always holds its
singular scalars and its lists, zeros included, since Envoy prints them; optional and message fields are left out when
they are not set, unless ``limits`` says ``required``.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from typing import Any, Literal

from tools.codegen.contract import Contract, Field, MessageType
from tools.codegen.examples import field_example
from tools.codegen.problem import CodegenError

Schema = dict[str, Any]
Direction = Literal["request", "response"]

# As protobuf's JSON mapping prints them: 64-bit integers are strings.
_SCALARS: dict[str, Schema] = {
    "string": {"type": "string"},
    "bytes": {"type": "string", "format": "byte"},
    "bool": {"type": "boolean"},
    "double": {"type": "number", "format": "double"},
    "float": {"type": "number", "format": "float"},
    "int32": {"type": "integer", "format": "int32"},
    "uint32": {"type": "integer", "format": "int64", "minimum": 0},
    "int64": {"type": "string", "format": "int64"},
    "uint64": {"type": "string", "format": "uint64"},
}
TIMESTAMP = "google.protobuf.Timestamp"
_WELL_KNOWN: dict[str, Schema] = {
    TIMESTAMP: {"type": "string", "format": "date-time"},
    "google.protobuf.Struct": {"type": "object", "additionalProperties": True},
}


class Schemas:
    """Collects the component schemas that the operations refer to."""

    def __init__(self, contract: Contract) -> None:
        self._contract = contract
        self._components: dict[str, Schema] = {}

    @property
    def components(self) -> dict[str, Schema]:
        """Every schema that was referred to, by name."""
        return dict(sorted(self._components.items()))

    def reference(self, full_name: str, direction: Direction, without: AbstractSet[str] = frozenset()) -> Schema:
        """A ``$ref`` to a message, which becomes a component.

        ``without`` leaves out fields that the path carries; the component is then named ``…Body``. A message that
        looks different in requests and in responses becomes two components, the request's named ``…Input``.
        """
        message = self.message(full_name)
        if full_name in _WELL_KNOWN:
            return dict(_WELL_KNOWN[full_name])
        name = f"{message.name.removesuffix('Request')}Body" if without else message.name
        schema = self._object(message, direction, without)
        if self._components.setdefault(name, schema) != schema:
            name += "Input" if direction == "request" else "Output"
            self._components[name] = schema
        return {"$ref": f"#/components/schemas/{name}"}

    def message(self, full_name: str) -> MessageType:
        """The message of that name; well-known types have no fields here."""
        if full_name in _WELL_KNOWN:
            return MessageType(full_name, "", ())
        if full_name not in self._contract.messages:
            raise CodegenError(f"{full_name} has no schema: add it to schemas.py, or use another type.")
        return self._contract.messages[full_name]

    def field(self, field: Field, direction: Direction, *, documented: bool = True) -> Schema:
        """The schema of one field, with its limits; ``documented`` adds its comment and its example."""
        limits = field.limits
        single = self._single(field, direction)
        if "$ref" not in single:
            single |= _limits_of_text(field) | _limits_of_number(field)
        schema = single
        if field.repeated:
            items = {"minItems": limits.min_items, "maxItems": limits.max_items}
            schema = {"type": "array", "items": single, **{key: value for key, value in items.items() if value}}
        if not documented:
            return schema
        notes: Schema = {"description": description(field)} if description(field) else {}
        if limits.example:
            notes["example"] = field_example(field)
        # OpenAPI 3.0 ignores whatever stands beside a $ref.
        return {"allOf": [schema], **notes} if "$ref" in schema and notes else {**schema, **notes}

    def _object(self, message: MessageType, direction: Direction, without: AbstractSet[str]) -> Schema:
        fields = [field for field in message.fields if field.name not in without]
        required = [field.name for field in fields if is_required(field, direction)]
        schema: Schema = {"type": "object"}
        if message.comment:
            schema["description"] = message.comment
        if required:
            schema["required"] = required
        schema["properties"] = {field.name: self.field(field, direction) for field in fields}
        return schema

    def _single(self, field: Field, direction: Direction) -> Schema:
        if field.type == "message":
            return self.reference(field.type_name, direction)
        if field.type == "enum":
            return {"type": "string", "enum": [value.name for value in self._contract.enums[field.type_name]]}
        if field.type not in _SCALARS:
            raise CodegenError(f"{field.name} is of type {field.type}, which has no schema: use another type.")
        return dict(_SCALARS[field.type])


def is_required(field: Field, direction: Direction) -> bool:
    """Whether the field is always there: see the head of this module."""
    if field.limits.required or (direction == "request" and field.limits.min_items > 0):
        return True
    return direction == "response" and not field.optional and (field.repeated or field.type != "message")


def description(field: Field) -> str:
    """The field's comment, and those of its limits that OpenAPI has no keyword for."""
    limits = field.limits
    beyond = []
    if limits.max_json_bytes:
        beyond.append(f"at most {limits.max_json_bytes:,} bytes of compact JSON")
    if limits.max_depth:
        beyond.append(f"nested at most {limits.max_depth} deep")
    sentence = ", ".join(beyond)
    return " ".join(
        part for part in (field.comment, f"{sentence[:1].upper()}{sentence[1:]}." if beyond else "") if part
    )


def _limits_of_text(field: Field) -> Schema:
    limits = field.limits
    schema: Schema = {}
    if limits.uuid:
        schema["format"] = "uuid"
    if limits.one_of:
        schema["enum"] = list(limits.one_of)
    if limits.min_length:
        schema["minLength"] = limits.min_length
    if limits.max_length:
        schema["maxLength"] = limits.max_length
    if limits.path_segment:
        schema["not"] = {"enum": [".", ".."]}  # clients and proxies take these out of paths
    if field.type == "string" and limits.required and not (limits.uuid or limits.one_of):
        schema["pattern"] = r"\S"  # required text holds more than blanks
    return schema


def _limits_of_number(field: Field) -> Schema:
    bounds = {"minimum": field.limits.min, "maximum": field.limits.max}
    return {key: int(bound) if bound == int(bound) else bound for key, bound in bounds.items() if bound is not None}
