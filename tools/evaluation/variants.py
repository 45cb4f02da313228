"""What is compared: rankings, and rankings with weights changed through the tenants' policies."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from memory_grpc.commands.evaluating.caller import Caller
from memory_grpc.commands.evaluating.run import Variant
from memory_grpc.commands.failure import CommandError
from memory_layer.v1 import memory_service_pb2 as pb
from memory_layer.v1 import policy_pb2, policy_service_pb2

# Within 10 seconds every server follows a change of policy: so the contract.
_FOLLOWING_SECONDS = 15

_OFF: Mapping[str, float] = {
    "lexical": 0.0,
    "near": 0.0,
    "after": 0.0,
    "conversation": 0.0,
    "coverage": 0.0,
    "date": 0.0,
    "speaker": 0.0,
    "asks_when": 0.0,
    "first_person": 0.0,
    "question": 0.0,
    "previous": 0.0,
    "names_to_i": False,
}


@dataclass(frozen=True)
class Weighted(Variant):
    """A ranking under a policy: ``weights`` (by path, as ``hybrid_weights.date``) on top of the tenants' own."""

    weights: Mapping[str, float] = field(default_factory=dict)

    async def search(self, request: pb.SearchMemoriesRequest, caller: Caller) -> pb.SearchMemoriesResponse:
        """Searches by these weights, which the tenants' policies have by now. Raises CommandError when a server does
        not follow them.
        """
        if not self.weights:
            return await super().search(request, caller)
        request.explain = True
        for _ in range(_FOLLOWING_SECONDS):
            found = await super().search(request, caller)
            if self.is_shown_by(found.explanation):
                return found
            await asyncio.sleep(1)
        raise CommandError(f"The server does not follow the policy of {request.tenant_id} ({self.label}).")

    def is_shown_by(self, explanation: Any) -> bool:
        """Whether a search was ranked by these weights: a server may still remember the policy before."""
        # Named as `similarity` and `relevance.lexical`.
        used = {weight.name.rpartition(".")[2]: weight.weight for weight in explanation.weights}
        return not any(used.get(path.partition(".")[2]) for path, weight in self.weights.items() if weight == 0)


COSINE = Weighted(
    "cosine alone",
    "semantic",
    {"score_weights.similarity": 1.0, "score_weights.importance": 0.0, "score_weights.decay": 0.0},
)


def variants(rankings: Sequence[str], *, ablation: bool, cosine: bool) -> list[Weighted]:
    """The rankings, then ``cosine alone``, then hybrid with one part off at a time."""
    found = [Weighted(name, name) for name in rankings]
    if cosine or ablation:
        found.append(COSINE)
    if ablation:
        found += [
            Weighted(f"hybrid without {part}", "hybrid", {f"hybrid_weights.{part}": off}) for part, off in _OFF.items()
        ]
    return found


def own_policy(policy: policy_pb2.TenantPolicy) -> policy_service_pb2.SetTenantPolicyRequest:
    """The request that gives the tenant the policy of its own that it has now."""
    request = policy_service_pb2.SetTenantPolicyRequest(tenant_id=policy.tenant_id)
    for path in policy.overrides:
        section, _, name = path.rpartition(".")
        if section:
            setattr(getattr(request, section), name, getattr(getattr(policy, section), name))
        else:
            setattr(request, name, getattr(policy, name))
    return request


def with_weights(
    own: policy_service_pb2.SetTenantPolicyRequest, weights: Mapping[str, float]
) -> policy_service_pb2.SetTenantPolicyRequest:
    """The same policy with weights changed."""
    request = policy_service_pb2.SetTenantPolicyRequest()
    request.CopyFrom(own)
    for path, weight in weights.items():
        section, _, name = path.partition(".")
        setattr(getattr(request, section), name, weight)
    return request
