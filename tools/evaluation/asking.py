"""Every variant asks every question, under its weights; the tenants' policies hold again afterwards."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager

from memory_grpc.commands.evaluating.caller import Caller
from memory_grpc.commands.evaluating.dataset import Dataset
from memory_grpc.commands.evaluating.run import Answer, Variant, ask
from memory_layer.v1 import policy_service_pb2
from tools.evaluation.variants import Weighted, own_policy, with_weights


async def ask_weighted(
    dataset: Dataset, variants: Sequence[Variant], caller: Caller, in_flight: int, answered: Callable[[Answer], None]
) -> None:
    """As ``ask_all``; for each variant that has weights the tenants' policies are changed."""
    weights = [variant.weights if isinstance(variant, Weighted) else {} for variant in variants]
    async with _policies(dataset, caller, restored=any(weights)) as own:
        changed = False
        for variant, of_variant in zip(variants, weights, strict=True):
            if of_variant or changed:
                for request in own:
                    await caller.policy("SetTenantPolicy", with_weights(request, of_variant))
                changed = bool(of_variant)
            await ask(dataset, variant, caller, in_flight, answered)


@asynccontextmanager
async def _policies(
    dataset: Dataset, caller: Caller, *, restored: bool
) -> AsyncIterator[list[policy_service_pb2.SetTenantPolicyRequest]]:
    """The tenants' own policies as requests; they hold again after the block, however it ends."""
    own = []
    for tenant_id in dataset.memories:
        policy = await caller.policy("GetTenantPolicy", policy_service_pb2.GetTenantPolicyRequest(tenant_id=tenant_id))
        own.append(own_policy(policy))
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
