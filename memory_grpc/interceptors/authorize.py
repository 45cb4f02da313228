"""What a key may do, as the contract declares it beside each RPC (``access.proto``): its role, and its tenants.

The role is asked before the request is read. The tenants are taken from the decoded message, whatever way they came
(path, query, body, each message of a stream): it is what the operation will work with.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import cache

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message

from memory_grpc.access import Grant
from memory_grpc.errors import PermissionDenied, TenantNotAllowed, Unauthenticated
from memory_grpc.interceptors.call import OPEN_SERVICES, UNKNOWN_METHOD, Call
from memory_grpc.rpcs import METHODS
from memory_layer.v1.access_pb2 import (
    REACH_ALL_TENANTS,
    REACH_NAMED_TENANTS,
    REACH_TENANTS_OF_KEY,
    ROLE_UNSPECIFIED,
    Access,
    access,
)

# Fields of requests that name tenants.
TENANT_FIELDS = frozenset({"tenant_id", "tenant_ids"})
_OWN = "memory_layer.v1."

# Full method name -> what it needs. Every RPC is here; one that declares nothing is refused to everybody.
RULES: dict[str, Access] = {name: method.GetOptions().Extensions[access] for name, method in METHODS.items()}


@asynccontextmanager
async def authorize(call: Call) -> AsyncIterator[None]:
    """The interceptor. Raises PermissionDenied when no request of this RPC is allowed to the key."""
    if call.service not in OPEN_SERVICES and call.method != UNKNOWN_METHOD:
        rule = RULES.get(call.method, Access())
        if not rule.open:
            _check_key(rule, _grant(call))
    yield


def check_request(call: Call, request: Message) -> None:
    """Raises TenantNotAllowed when a decoded, valid request names a tenant that the key does not reach, or none."""
    if call.service in OPEN_SERVICES:
        return
    rule = RULES.get(call.method, Access())
    if rule.open:
        return
    grant = _grant(call)
    # Asked again: a stream may have got another grant since it began.
    _check_key(rule, grant)
    if grant.tenants is None or rule.reach != REACH_NAMED_TENANTS:
        return
    named = list(tenants(request))
    if not named or not all(map(grant.reaches, named)):
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


def _check_key(rule: Access, grant: Grant) -> None:
    if rule.role == ROLE_UNSPECIFIED or grant.role < rule.role:
        raise PermissionDenied
    if rule.reach == REACH_ALL_TENANTS:
        if grant.tenants is not None:
            raise PermissionDenied
    elif rule.reach not in (REACH_NAMED_TENANTS, REACH_TENANTS_OF_KEY):
        raise PermissionDenied


def _grant(call: Call) -> Grant:
    if call.grant is None:  # authenticate lets nobody come this far without one
        raise Unauthenticated
    return call.grant
