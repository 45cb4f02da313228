"""``memory-grpc policy``: a tenant's limits, weights and ranking."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from memory_grpc.commands import output
from memory_grpc.commands.client import Client, check, client
from memory_grpc.commands.configuration import Target
from memory_grpc.commands.failure import OK
from memory_layer.v1 import policy_service_pb2 as pb

_SECTIONS = ("retention", "importance_weights", "score_weights", "hybrid_weights", "quota")


def show(tenant_id: str, target: Target, *, as_json: bool) -> int:
    """Prints the policy that holds for a tenant."""
    with client(target) as service:
        policy = service.policy("GetTenantPolicy", pb.GetTenantPolicyRequest(tenant_id=tenant_id))
    _print(policy, as_json=as_json)
    return OK


def change(tenant_id: str, values: Mapping[str, float | str], target: Target, *, reset: bool, as_json: bool) -> int:
    """Sets values (``retention.max_age_days``) and keeps the tenant's others, or forgets those first (``reset``).

    The contract replaces the whole policy: two of these at once keep the later one's view.
    """
    with client(target) as service:
        _print(put(service, tenant_id, values, reset=reset), as_json=as_json)
    return OK


def put(service: Client, tenant_id: str, values: Mapping[str, float | str], *, reset: bool = False) -> Any:
    """The policy after the change."""
    request = pb.SetTenantPolicyRequest(tenant_id=tenant_id)
    for name, value in values.items():
        _set(request, name, value)
    check(request)  # before the first call
    if not reset:
        policy = service.policy("GetTenantPolicy", pb.GetTenantPolicyRequest(tenant_id=tenant_id))
        for name in policy.overrides:
            if name not in values:
                _set(request, name, _get(policy, name))
    return service.policy("SetTenantPolicy", request)


def _get(policy: Any, name: str) -> Any:
    section, _, field = name.rpartition(".")
    return getattr(getattr(policy, _section(section)) if section else policy, field)


def _set(request: Any, name: str, value: float | str) -> None:
    section, _, field = name.rpartition(".")
    setattr(getattr(request, _section(section)) if section else request, field, value)


def _section(name: str) -> str:
    """The field of the contract: overrides may name the section in short."""
    return next((section for section in _SECTIONS if section.partition("_")[0] == name.partition("_")[0]), name)


def _shown(value: float | bool | str) -> str:
    if isinstance(value, str):
        return value
    return f"{value:g}" if isinstance(value, float) else str(int(value))


def _print(policy: Any, *, as_json: bool) -> None:
    if as_json:
        output.write_json(output.as_dict(policy))
        return
    values = [
        (f"{section}.{field.name}", _shown(value))
        for section in _SECTIONS
        for field, value in getattr(policy, section).ListFields()
    ]
    if policy.ranking:  # a server of an earlier version has none
        values.append(("ranking", policy.ranking))
    if policy.time_zone:
        values.append(("time_zone", policy.time_zone))
    if policy.language:
        values.append(("language", policy.language))
    rows = [(name, value + (" (the tenant's own)" if name in policy.overrides else "")) for name, value in values]
    if policy.HasField("updated_at"):
        rows.append(("updated_at", output.moment(policy.updated_at)))
    output.console().print(output.pairs(policy.tenant_id, rows))
