"""Example values, assembled from the examples that stand beside the fields.

A field without an example of its own is left out, unless it is a message: then its fields' examples make it up. That
is how the contract keeps what is usually not set (``archived_at``) out of the examples.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from typing import Any

from tools.codegen.contract import Contract, Field, MessageType
from tools.codegen.problem import CodegenError

_NOTHING: Any = object()


def field_example(field: Field) -> Any:
    """The field's own example.

    Raises:
        CodegenError: it is no JSON.
    """
    try:
        return json.loads(field.limits.example)
    except json.JSONDecodeError:
        raise CodegenError(f"the example of {field.name} is no JSON: {field.limits.example}") from None


def message_example(
    contract: Contract,
    message: MessageType,
    without: AbstractSet[str] = frozenset(),
    only: Callable[[Field], bool] = lambda field: True,
) -> dict[str, Any]:
    """An example of a message but the fields in ``without``; ``only`` chooses among its fields, at every depth."""
    fields = [field for field in message.fields if field.name not in without and only(field)]
    values = {field.name: _value(contract, field, only) for field in fields}
    return {name: value for name, value in values.items() if value is not _NOTHING}


def _value(contract: Contract, field: Field, only: Callable[[Field], bool]) -> Any:
    if field.limits.example:
        return field_example(field)
    nested = contract.messages.get(field.type_name)
    if nested is None:
        return _NOTHING
    example = message_example(contract, nested, only=only)
    return [example] if field.repeated else example
