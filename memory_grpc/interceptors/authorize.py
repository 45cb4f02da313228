"""What a key may do, as the contract declares it beside each RPC (``rpc.proto``): its role, and its tenants.

The role is asked before the request is read. The tenants are taken from the decoded message, whatever way they came
(path, query, body, each message of a stream): it is what the operation will work with.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import cache

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from memory_grpc.access import Grant, Role
from memory_grpc.errors import PermissionDenied, TenantNotAllowed, Unauthenticated
from memory_grpc.interceptors.call import UNKNOWN_METHOD, Call
from memory_grpc.rpc_facts import RpcFacts

# Fields of requests that name tenants.
TENANT_FIELDS = frozenset({"tenant_id", "tenant_ids"})
_OWN = "memory_layer.v1."


@asynccontextmanager
async def authorize(call: Call) -> AsyncIterator[None]:
    """The interceptor. Raises PermissionDenied when no request of this RPC is allowed to the key."""
    if not call.is_standard and call.method != UNKNOWN_METHOD:
        _check_key(call.facts, call)
    yield


def check_request(call: Call, request: Message) -> None:
    """Raises TenantNotAllowed when a decoded, valid request names a tenant that the key does not reach, or none."""
    if call.is_standard:
        return
    # Asked again: a stream may have got another grant since it began.
    grant = _check_key(call.facts, call)
    if grant is None:
        return
    is_held = grant.tenants is not None and call.facts.reach == "named_tenants"
    if is_held or call.facts.is_recorded:
        named = dict.fromkeys(tenants(request))
        call.tenants = tuple(name for name in named if name)
        if is_held and not (named and all(map(grant.reaches, named))):
            raise TenantNotAllowed


def tenants(message: Message) -> Iterator[str]:
    """Every tenant that a message names, at any depth; an empty text where a field that could name one does not."""
    for field in _fields(message.DESCRIPTOR):
        value = getattr(message, field.name)
        if field.message_type is not None:
            for item in value if field.is_repeated else [value]:
                yield from tenants(item)
        elif field.is_repeated:
            yield from value
        else:
            yield value


@cache
def _fields(descriptor: Descriptor) -> list[FieldDescriptor]:
    """The fields of a message that name tenants, or lead to some that do."""
    return [
        field
        for field in descriptor.fields
        if (field.message_type is None and field.name in TENANT_FIELDS)
        or (
            field.message_type is not None
            and field.message_type.full_name.startswith(_OWN)
            and _fields(field.message_type)
        )
    ]


def _check_key(facts: RpcFacts, call: Call) -> Grant | None:
    """The call's grant, which has the role and the reach that the RPC needs; None where it needs none."""
    if facts.is_open:
        return None
    if not facts.role:  # it declares nothing
        raise PermissionDenied
    if call.grant is None:  # authenticate lets nobody come this far without one
        raise Unauthenticated
    if call.grant.role < Role[facts.role.upper()]:
        raise PermissionDenied
    if facts.reach == "all_tenants" and call.grant.tenants is not None:
        raise PermissionDenied
    return call.grant
