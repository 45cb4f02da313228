"""What is compared: rankings, and rankings with weights changed through the tenants' policies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from memory_layer.v1 import policy_pb2
from memory_layer.v1 import policy_service_pb2 as pb

RANKINGS = ("semantic", "hybrid")
_OFF: Mapping[str, float] = {
    "lexical": 0.0,
    "conversation": 0.0,
    "date": 0.0,
    "speaker": 0.0,
    "previous": 0.0,
    "names_to_i": False,
}
_WEIGHTS = ("score_weights.", "hybrid_weights.")


@dataclass(frozen=True, slots=True)
class Variant:
    """A ranking under a policy: ``weights`` (by path, as ``hybrid_weights.date``) on top of the tenants' own."""

    label: str
    ranking: str
    weights: Mapping[str, float] = field(default_factory=dict)

    def is_shown_by(self, explanation: Any) -> bool:
        """Whether a search was ranked by these weights: a server may still remember the policy before."""
        # Named as `similarity` and `relevance.lexical`.
        used = {weight.name.rpartition(".")[2]: weight.weight for weight in explanation.weights}
        return not any(used.get(path.partition(".")[2]) for path, weight in self.weights.items() if weight == 0)


COSINE = Variant(
    "cosine alone",
    "semantic",
    {"score_weights.similarity": 1.0, "score_weights.importance": 0.0, "score_weights.decay": 0.0},
)


def variants(rankings: Sequence[str], *, ablation: bool, cosine: bool) -> list[Variant]:
    """The rankings, then ``cosine alone``, then hybrid with one part off at a time."""
    found = [Variant(name, name) for name in rankings]
    if cosine or ablation:
        found.append(COSINE)
    if ablation:
        found += [
            Variant(f"hybrid without {part}", "hybrid", {f"hybrid_weights.{part}": off}) for part, off in _OFF.items()
        ]
    return found


def own_policy(policy: policy_pb2.TenantPolicy) -> pb.SetTenantPolicyRequest:
    """The request that gives the tenant the policy of its own that it has now."""
    request = pb.SetTenantPolicyRequest(tenant_id=policy.tenant_id)
    for path in policy.overrides:
        section, _, name = path.rpartition(".")
        if section:
            setattr(getattr(request, section), name, getattr(getattr(policy, section), name))
        else:
            setattr(request, name, getattr(policy, name))
    return request


def with_weights(own: pb.SetTenantPolicyRequest, weights: Mapping[str, float]) -> pb.SetTenantPolicyRequest:
    """The same policy with weights changed."""
    request = pb.SetTenantPolicyRequest()
    request.CopyFrom(own)
    for path, weight in weights.items():
        section, _, name = path.partition(".")
        setattr(getattr(request, section), name, weight)
    return request


def own_weights(policy: policy_pb2.TenantPolicy) -> list[str]:
    """The weights of a search that are the tenant's own, as ``score_weights.decay=0``."""
    paths = [path for path in policy.overrides if path.startswith(_WEIGHTS)]
    return [f"{path}={getattr(getattr(policy, path.partition('.')[0]), path.partition('.')[2]):g}" for path in paths]
