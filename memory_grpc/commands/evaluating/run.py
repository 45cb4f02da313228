"""One evaluation from beginning to end: every variant asks every question."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

from memory_grpc.commands.evaluating.caller import Caller
from memory_grpc.commands.evaluating.dataset import Dataset, Question
from memory_grpc.commands.evaluating.metrics import DEPTH, Scores, score
from memory_grpc.commands.evaluating.variants import Variant, own_policy, own_weights, with_weights
from memory_grpc.commands.failure import CommandError, complain
from memory_layer.v1 import admin_service_pb2, policy_service_pb2
from memory_layer.v1 import memory_service_pb2 as pb

# Within 10 seconds every server follows a change of policy: so the contract.
_FOLLOWING_SECONDS = 15


@dataclass(frozen=True, slots=True)
class Answer:
    """What a variant found for a question: the dia_ids of the hits, best first (empty for a message without)."""

    variant: Variant
    question: Question
    hits: tuple[str, ...]
    scores: Scores


async def ask_all(
    dataset: Dataset, variants: Sequence[Variant], caller: Caller, in_flight: int, answered: Callable[[Answer], None]
) -> None:
    """Asks every variant every question; ``answered`` is told of each answer, in whatever order they come."""
    await _warn_of_retention(caller)
    async with _policies(dataset, caller, restored=any(variant.weights for variant in variants)) as own:
        changed = False
        for variant in variants:
            if variant.weights or changed:
                for request in own:
                    await caller.policy("SetTenantPolicy", with_weights(request, variant.weights))
                changed = bool(variant.weights)
            await _ask(dataset, variant, caller, in_flight, answered)


async def _ask(
    dataset: Dataset, variant: Variant, caller: Caller, in_flight: int, answered: Callable[[Answer], None]
) -> None:
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
        tenant_id=question.tenant_id,
        query=question.text,
        top_k=DEPTH,
        ranking=variant.ranking,
        explain=bool(variant.weights),
    )
    request.as_of.FromDatetime(dataset.memories[question.tenant_id].as_of)
    for _ in range(_FOLLOWING_SECONDS):
        found = await caller.memory("SearchMemories", request)
        if variant.is_shown_by(found.explanation):
            break
        await asyncio.sleep(1)
    else:
        raise CommandError(f"The server does not follow the policy of {question.tenant_id} ({variant.label}).")
    hits = tuple(hit.metadata.fields["dia_id"].string_value for hit in found.items)
    return Answer(variant, question, hits, score(hits, question.evidence))


@asynccontextmanager
async def _policies(
    dataset: Dataset, caller: Caller, *, restored: bool
) -> AsyncIterator[list[policy_service_pb2.SetTenantPolicyRequest]]:
    """The tenants' own policies as requests; they hold again after the block, however it ends."""
    own = []
    for tenant_id in dataset.memories:
        policy = await caller.policy("GetTenantPolicy", policy_service_pb2.GetTenantPolicyRequest(tenant_id=tenant_id))
        own.append(own_policy(policy))
        if weights := own_weights(policy):
            complain(f"Warning: {tenant_id} has weights of its own: {', '.join(weights)}.")
    try:
        yield own
    finally:
        if restored:
            with _undisturbed():
                for request in own:
                    await caller.policy("SetTenantPolicy", request)


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Ctrl-C does nothing inside: a second one would leave tenants with the weights of an experiment."""
    former = signal.getsignal(signal.SIGINT)
    with contextlib.suppress(ValueError):  # no signals outside the main thread
        signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        with contextlib.suppress(ValueError):
            signal.signal(signal.SIGINT, former)


async def _warn_of_retention(caller: Caller) -> None:
    health = await caller.admin("GetHealth", admin_service_pb2.GetHealthRequest())
    if health.retention.schedule_seconds > 0:
        complain(
            f"Warning: the server sweeps every {health.retention.schedule_seconds:g} s, and archives conversations as "
            "old as these: their turns are then not found. Start it with MEMORY_RETENTION_SCHEDULE_SECONDS=0."
        )
