"""One evaluation from beginning to end: every variant asks every question."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol, TypeVar

from memory_grpc.commands.evaluating.caller import Caller
from memory_grpc.commands.evaluating.dataset import Dataset, Question
from memory_grpc.commands.evaluating.metrics import DEPTH, Scores, score
from memory_grpc.commands.failure import complain
from memory_layer.v1 import admin_service_pb2, policy_pb2, policy_service_pb2
from memory_layer.v1 import memory_service_pb2 as pb

_WEIGHTS = ("score_weights.", "hybrid_weights.")


@dataclass(frozen=True, slots=True)
class Variant:
    """What is compared with others: a ranking, and what it is called in the figures."""

    label: str
    ranking: str

    async def search(self, request: pb.SearchMemoriesRequest, caller: Caller) -> pb.SearchMemoriesResponse:
        """The hits for a request that names the ranking."""
        found: pb.SearchMemoriesResponse = await caller.memory("SearchMemories", request)
        return found


@dataclass(frozen=True, slots=True)
class Answer:
    """What a variant found for a question: the dia_ids of the hits, best first (empty for a message without)."""

    variant: Variant
    question: Question
    hits: tuple[str, ...]
    scores: Scores

    def as_line(self) -> dict[str, Any]:
        """For programs."""
        return {
            "set": self.question.set,
            "ranking": self.variant.label,
            "tenant_id": self.question.tenant_id,
            "number": self.question.number,
            "category": self.question.category,
            "question": self.question.text,
            "evidence": list(self.question.evidence),
            "hits": list(self.hits),
            **{name: round(value, 6) for name, value in asdict(self.scores).items()},
        }


class Asked(Protocol):
    """An answer, or a context."""

    @property
    def question(self) -> Question: ...


SomeAsked = TypeVar("SomeAsked", bound=Asked)


def in_order(those: Iterable[SomeAsked]) -> list[SomeAsked]:
    """As the questions stand in their files: answers come in whatever order, figures are the same each time."""
    return sorted(those, key=lambda one: (one.question.tenant_id, one.question.number))


Ask = Callable[[Dataset, Sequence[Variant], Caller, int, Callable[[Answer], None]], Awaitable[None]]


async def ask_all(
    dataset: Dataset, variants: Sequence[Variant], caller: Caller, in_flight: int, answered: Callable[[Answer], None]
) -> None:
    """Asks every variant every question; ``answered`` is told of each answer, in whatever order they come."""
    for variant in variants:
        await ask(dataset, variant, caller, in_flight, answered)


async def ask(
    dataset: Dataset, variant: Variant, caller: Caller, in_flight: int, answered: Callable[[Answer], None]
) -> None:
    """Asks one variant every question, ``in_flight`` at once."""
    questions = iter(dataset.questions)

    async def work() -> None:
        for question in questions:
            answered(await _answer(dataset, variant, question, caller))

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(in_flight):
                group.create_task(work())
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None


async def _answer(dataset: Dataset, variant: Variant, question: Question, caller: Caller) -> Answer:
    request = pb.SearchMemoriesRequest(
        tenant_id=question.tenant_id, query=question.text, top_k=DEPTH, ranking=variant.ranking
    )
    request.as_of.FromDatetime(dataset.as_of(question))
    found = await variant.search(request, caller)
    hits = tuple(hit.metadata.fields["dia_id"].string_value for hit in found.items)
    return Answer(variant, question, hits, score(hits, question.evidence))


async def warn(dataset: Dataset, caller: Caller) -> None:
    """Says what the figures will be those of: a server that archives the turns, tenants with weights of their own."""
    health = await caller.admin("GetHealth", admin_service_pb2.GetHealthRequest())
    if health.retention.schedule_seconds > 0:
        complain(
            f"Warning: the server sweeps every {health.retention.schedule_seconds:g} s, and archives conversations as "
            "old as these: their turns are then not found. Start it with MEMORY_RETENTION_SCHEDULE_SECONDS=0."
        )
    for tenant_id in dataset.memories:
        policy = await caller.policy("GetTenantPolicy", policy_service_pb2.GetTenantPolicyRequest(tenant_id=tenant_id))
        if weights := own_weights(policy):
            complain(f"Warning: {tenant_id} has weights of its own: {', '.join(weights)}.")


def own_weights(policy: policy_pb2.TenantPolicy) -> list[str]:
    """The weights of a search that are the tenant's own, as ``score_weights.decay=0``."""
    return [f"{path}={_shown(_value(policy, path))}" for path in policy.overrides if path.startswith(_WEIGHTS)]


def _shown(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:g}"


def _value(policy: policy_pb2.TenantPolicy, path: str) -> Any:
    section, _, name = path.partition(".")
    return getattr(getattr(policy, section), name)
