"""Messages as frozen dataclasses of Python: what the client takes and returns."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator

from tools.codegen.contract import OWN_PACKAGE, Contract, Field, MessageType
from tools.codegen.problem import CodegenError

WIDTH = 120
_SCALARS = {
    "string": ("str", '""'),
    "bytes": ("bytes", 'b""'),
    "bool": ("bool", "False"),
    "double": ("float", "0.0"),
    "float": ("float", "0.0"),
    "int32": ("int", "0"),
    "int64": ("int", "0"),
    "uint32": ("int", "0"),
    "uint64": ("int", "0"),
}
_TIMESTAMP, _OBJECT = "google.protobuf.Timestamp", "google.protobuf.Struct"
_HEAD = '''"""What the client takes and returns, as dataclasses. Written by `make gen` from the protos; do not edit."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from datetime import datetime
from typing import Any
'''


def dataclasses_of(contract: Contract) -> str:
    """The module ``memory_layer.client.types``: every message that an answer or a part of a request can be."""
    names = sorted(_needed(contract))
    listed = "".join(f'    "{_short(name)}",\n' for name in names)
    parts = [f"{_HEAD}\n__all__ = [\n{listed}]\n"]
    parts += ["\n".join(_dataclass(contract.messages[name])) + "\n" for name in names]
    return "\n\n\n".join(part.rstrip("\n") for part in parts) + "\n"


def _needed(contract: Contract) -> set[str]:
    """Answers, and what they and requests are made of. A request itself is the arguments of its method."""
    waiting = [rpc.response for rpc in contract.rpcs.values()]
    for rpc in contract.rpcs.values():
        waiting += parts_of(contract.messages[rpc.request])
    found: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += parts_of(contract.messages[name])
    return found


def parts_of(message: MessageType) -> list[str]:
    """The messages of ours that a message holds."""
    return [field.type_name for field in message.fields if field.type_name.startswith(f"{OWN_PACKAGE}.")]


def _dataclass(message: MessageType) -> Iterator[str]:
    yield "@dataclass(frozen=True, slots=True, kw_only=True)"
    yield f"class {message.name}:"
    yield from docstring(message.comment, "    ")
    for field in message.fields:
        yield ""
        yield f"    {field.name}: {_annotation(field)}"
        yield from docstring(field.comment, "    ")


def _annotation(field: Field) -> str:
    """The type of an attribute and its default; what an answer always has and a request needs has none."""
    if field.repeated:
        return f"tuple[{single(field)}, ...] = ()"
    if field.type_name == _OBJECT:
        return "dict[str, Any] = dataclasses.field(default_factory=dict)"
    if field.limits.required and field.name != "tenant_id":
        return single(field)
    if field.optional or field.type == "message":
        return f"{single(field)} | None = None"
    return f"{single(field)} = {_SCALARS[field.type][1]}"


def argument(field: Field, prefix: str = "types.") -> str:
    """The same as an argument of a method: the name, the type, and a default where there is one.

    A tenant may always be left out: it is the client's then.
    """
    if field.repeated:
        default = "" if field.limits.min_items else " = ()"
        return f"{field.name}: Iterable[{single(field, prefix)}]{default}"
    kind = "Mapping[str, Any]" if field.type_name == _OBJECT else single(field, prefix)
    if field.limits.required and field.name != "tenant_id":
        return f"{field.name}: {kind}"
    if field.optional or field.type == "message" or field.name == "tenant_id":
        return f"{field.name}: {kind} | None = None"
    return f"{field.name}: {kind} = {_SCALARS[field.type][1]}"


def single(field: Field, prefix: str = "") -> str:
    """The type of one value of a field. Raises CodegenError for one that the client does not know."""
    if field.type_name == _TIMESTAMP:
        return "datetime"
    if field.type_name == _OBJECT:
        return "dict[str, Any]"
    if field.type == "message" and field.type_name.startswith(f"{OWN_PACKAGE}."):
        return prefix + _short(field.type_name)
    if field.type in _SCALARS:
        return _SCALARS[field.type][0]
    raise CodegenError(f"{field.name} is of type {field.type_name or field.type}, which the client has no type for.")


def docstring(text: str, indent: str, arguments: Iterable[tuple[str, str]] = ()) -> list[str]:
    """A comment as a docstring, with what is said of arguments below it; nothing where there is nothing to say."""
    lines: list[str] = []
    for paragraph in text.split("\n\n") if text else ():
        lines += [*([""] if lines else []), *_wrapped(paragraph, WIDTH - len(indent) - 4)]
    for number, (name, meaning) in enumerate(arguments):
        lines += [*([""] if lines else []), "Args:"] if number == 0 else []
        first, *others = _wrapped(f"{name}: {meaning}", WIDTH - len(indent) - 8)
        lines += [f"    {first}", *(f"        {line}" for line in others)]
    if not lines:
        return []
    prefix = 'r"""' if any("\\" in line for line in lines) else '"""'
    lines = [line.replace('"""', "'''") for line in lines]
    if len(lines) == 1 and len(indent) + len(prefix) + len(lines[0]) + 3 <= WIDTH and not lines[0].endswith('"'):
        return [f'{indent}{prefix}{lines[0]}"""']
    return [f"{indent}{prefix}{lines[0]}", *(f"{indent}{line}".rstrip() for line in lines[1:]), f'{indent}"""']


def _wrapped(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)


def _short(full_name: str) -> str:
    return full_name.rpartition(".")[2]
