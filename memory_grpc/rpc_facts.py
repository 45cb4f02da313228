"""What the option ``(rpc)`` says of an RPC, as plain values: see rpc.proto.

Knows no generated code: the server reads its own descriptors by it, codegen those of a contract that may be newer.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class RpcFacts:
    """The facts of an RPC; what is not declared is empty."""

    kind: str = ""
    """``read``, ``write``, ``stream``, ``admin`` or ``probe``."""
    is_open: bool = False
    """Needs no key."""
    role: str = ""
    """The least role of a key: ``reader``, ``writer`` or ``admin``."""
    reach: str = ""
    """Whose data it touches: ``named_tenants``, ``tenants_of_key`` or ``all_tenants``."""
    http_status: int = 200
    """Of success, over REST."""
    reasons: tuple[str, ...] = ()
    """Those it can fail with besides those of any call, as ``NOT_FOUND``."""
    is_recorded: bool = False
    """Each call is recorded: it says so, or needs the role admin."""
    is_streaming: bool = False
    """In either direction."""


# Of an RPC that says nothing: it is refused to everybody.
UNDECLARED = RpcFacts()


def read(option: Any, *, is_streaming: bool) -> RpcFacts:
    """The facts in an ``Rpc`` message, of the generated class or of another."""
    access = option.access
    return RpcFacts(
        kind=_name(option, "kind", "CALL_KIND_"),
        is_open=access.open,
        role=_name(access, "role", "ROLE_"),
        reach=_name(access, "reach", "REACH_"),
        http_status=option.http_status or 200,
        reasons=tuple(_reason(option, number) for number in option.reasons),
        is_recorded=option.recorded or (_name(access, "role", "ROLE_") == "admin" and not access.open),
        is_streaming=is_streaming,
    )


def faults(facts: RpcFacts) -> Iterator[str]:
    """What is missing, or contradicts itself."""
    if not facts.kind:
        yield "does not say what a call of it counts as: give it (rpc).kind"
    elif (facts.kind == "stream") is not facts.is_streaming:
        yield "must be of the kind CALL_KIND_STREAM if it streams, and of another if it does not"
    if not facts.is_open and not (facts.role and facts.reach):
        yield "does not say which key it needs: give it (rpc).access, with role and reach"
    if not 200 <= facts.http_status < 300:
        yield "must have an http_status of success"
    if facts.is_streaming and facts.http_status != 200:
        yield "streams, and has no http_status of its own then"
    if len(set(facts.reasons)) < len(facts.reasons):
        yield "names a reason twice"


def _name(message: Any, field: str, prefix: str) -> str:
    """The value of an enum field without its prefix, in small letters; empty when it is not declared."""
    number = getattr(message, field)
    values = message.DESCRIPTOR.fields_by_name[field].enum_type.values_by_number
    return str(values[number].name).removeprefix(prefix).lower() if number else ""


def _reason(option: Any, number: int) -> str:
    values = option.DESCRIPTOR.fields_by_name["reasons"].enum_type.values_by_number
    return str(values[number].name).removeprefix("ERROR_REASON_")
