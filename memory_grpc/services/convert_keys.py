"""API keys: protobuf to domain values and back."""

from __future__ import annotations

from memory_grpc.domain.keys import ApiKey, NewApiKey
from memory_grpc.errors import FieldViolation, InvalidInput
from memory_grpc.services.convert import moment, timestamp
from memory_layer.v1 import api_key_pb2, key_service_pb2


def new_key(request: key_service_pb2.CreateApiKeyRequest) -> NewApiKey:
    """What the request asks for. Raises InvalidInput where its fields contradict each other."""
    tenants = tuple(request.tenant_ids)
    violations = []
    if request.all_tenants == bool(tenants):
        violations.append(FieldViolation("tenant_ids", "give either tenant_ids or all_tenants"))
    if len(set(tenants)) != len(tenants):
        violations.append(FieldViolation("tenant_ids", "must not repeat a tenant"))
    if violations:
        raise InvalidInput(violations)
    return NewApiKey(
        label=request.label,
        role=request.role,
        tenant_ids=None if request.all_tenants else tenants,
        expires_at=moment(request, "expires_at"),
        rate_limit=request.rate_limit,
    )


def api_key(key: ApiKey) -> api_key_pb2.ApiKey:
    """What is told of a key."""
    return api_key_pb2.ApiKey(
        id=str(key.id),
        prefix=key.prefix,
        label=key.label,
        role=key.role,
        tenant_ids=key.tenant_ids or (),
        all_tenants=key.tenant_ids is None,
        created_at=timestamp(key.created_at),
        expires_at=None if key.expires_at is None else timestamp(key.expires_at),
        revoked_at=None if key.revoked_at is None else timestamp(key.revoked_at),
        rate_limit=key.rate_limit,
    )
