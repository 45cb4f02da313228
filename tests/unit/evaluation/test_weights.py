"""Experiments on the weights: what they change, and that the tenants' policies hold again afterwards."""

from __future__ import annotations

import asyncio
from contextlib import nullcontext
from typing import Any

import pytest
from typer.testing import CliRunner

from memory_grpc.commands.evaluating.run import Answer
from memory_grpc.commands.failure import CommandError
from memory_layer.v1 import memory_service_pb2 as pb
from memory_layer.v1 import policy_pb2, policy_service_pb2
from tests.unit.commands import test_evaluating
from tests.unit.commands.test_evaluating import DATASET
from tools.evaluation.__main__ import app
from tools.evaluation.asking import ask_weighted
from tools.evaluation.variants import COSINE, own_policy, variants, with_weights


def test_the_former_policy_is_the_overrides_alone() -> None:
    policy = policy_pb2.TenantPolicy(
        tenant_id="t", ranking="hybrid", overrides=["retention.max_age_days", "hybrid_weights.date", "ranking"]
    )
    policy.retention.max_age_days, policy.retention.delete_after_days = 5, 90
    policy.hybrid_weights.date, policy.hybrid_weights.lexical = 0.1, 0.25
    own = own_policy(policy)
    expected = policy_service_pb2.SetTenantPolicyRequest(tenant_id="t", ranking="hybrid")
    expected.retention.max_age_days, expected.hybrid_weights.date = 5, 0.1
    assert own == expected
    changed = with_weights(own, {"hybrid_weights.date": 0.0, "score_weights.decay": 0.0})
    assert (changed.hybrid_weights.date, changed.score_weights.HasField("decay")) == (0, True)
    assert (changed.retention.max_age_days, own) == (5, expected)


def test_an_ablation_switches_one_part_off_at_a_time() -> None:
    found = variants(["hybrid"], ablation=True, cosine=False)
    assert [variant.label for variant in found] == [
        "hybrid",
        "cosine alone",
        *(
            f"hybrid without {part}"
            for part in (
                "lexical",
                "near",
                "after",
                "conversation",
                "coverage",
                "date",
                "speaker",
                "asks_when",
                "first_person",
                "question",
                "previous",
                "names_to_i",
            )
        ),
    ]
    assert [dict(variant.weights) for variant in found[2:4]] == [
        {"hybrid_weights.lexical": 0.0},
        {"hybrid_weights.near": 0.0},
    ]
    assert variants(["semantic"], ablation=False, cosine=True)[1:] == [COSINE]


def test_weights_are_recognised_in_an_explanation() -> None:
    without_date = variants([], ablation=True, cosine=False)[6]
    assert without_date.label == "hybrid without date"
    used = pb.SearchExplanation(weights=[pb.ScoreWeight(name="relevance.date", weight=0.3)])
    assert not without_date.is_shown_by(used)
    used.weights[0].weight = 0
    assert without_date.is_shown_by(used)


class Service(test_evaluating.Service):
    """A server in memory: one tenant with a policy; a search with weights changed ends as ``end`` says."""

    def __init__(self, end: str = "") -> None:
        super().__init__()
        self.own = policy_pb2.TenantPolicy(tenant_id="t", overrides=["ranking"], ranking="hybrid")
        self.policies: list[policy_service_pb2.SetTenantPolicyRequest] = []
        self.end = end
        self.main: asyncio.Task[None] | None = None

    async def memory(self, method: str, request: Any) -> Any:
        if self.end == "refused" and request.explain:
            raise CommandError("refused")
        if self.end == "interrupted" and request.explain and self.main is not None:
            self.main.cancel()
            await asyncio.sleep(60)
        return await super().memory(method, request)

    async def policy(self, method: str, request: Any) -> Any:
        if method == "SetTenantPolicy":
            self.policies.append(request)
            return None
        return await super().policy(method, request)


@pytest.mark.parametrize(
    ("end", "raised"), [("", None), ("refused", CommandError), ("interrupted", asyncio.CancelledError)]
)
def test_policies_are_put_back_however_it_ends(end: str, raised: type[BaseException] | None) -> None:
    service, answers = Service(end), list[Answer]()

    async def work() -> None:
        service.main = asyncio.current_task()
        await ask_weighted(DATASET, variants(["semantic"], ablation=True, cosine=False), service, 2, answers.append)

    with pytest.raises(raised) if raised else nullcontext():
        asyncio.run(work())
    assert len(answers) == (2 if end else 14 * 2)
    former = policy_service_pb2.SetTenantPolicyRequest(tenant_id="t", ranking="hybrid")
    assert len(service.policies) == (2 if end else 14)
    assert former not in service.policies[:-1]
    assert service.policies[-1] == former


def test_plain_rankings_leave_policies_alone() -> None:
    service, answers = Service(), list[Answer]()
    plain = variants(["semantic", "hybrid"], ablation=False, cosine=False)
    asyncio.run(ask_weighted(DATASET, plain, service, 2, answers.append))
    assert service.policies == []
    assert [answer.variant.label for answer in answers] == ["semantic", "semantic", "hybrid", "hybrid"]


def test_a_server_that_does_not_follow_the_policy_is_not_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    class Stubborn(Service):
        async def memory(self, method: str, request: Any) -> Any:
            found = await super().memory(method, request)
            found.explanation.weights.append(pb.ScoreWeight(name="importance", weight=0.3))
            return found

    async def no_time(_: float) -> None:
        """Nothing is waited for."""

    monkeypatch.setattr("tools.evaluation.variants.asyncio.sleep", no_time)
    with pytest.raises(CommandError, match="does not follow the policy of t"):
        asyncio.run(ask_weighted(DATASET, [COSINE], Stubborn(), 1, list[Answer]().append))


def test_it_explains_itself() -> None:
    result = CliRunner(env={"COLUMNS": "200"}).invoke(app, ["--help"])
    assert result.exit_code == 0
    assert "--ablation" in result.output
    assert "--give-up-after" in result.output
