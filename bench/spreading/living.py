"""What is done to tenants on both databases: messages are updated, a user is forgotten, messages are archived, restored
and deleted, a tenant gets another model's vectors. Each call has to answer the same, and so has the export after it."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from scaling import synthetic
from tqdm import tqdm

from memory_layer.v1 import admin_service_pb2 as admin
from memory_layer.v1 import embedding_service_pb2 as embedding
from memory_layer.v1 import erasure_service_pb2 as erasure
from memory_layer.v1 import listing_pb2 as listing
from memory_layer.v1 import policy_service_pb2 as policy
from memory_layer.v1 import retention_pb2 as retention
from memory_layer.v1 import revision_pb2 as revision
from memory_layer.v1 import transfer_service_pb2 as transfer
from tests.chaos.harness import Client
from tests.scale.same_answers import serialized

# What a server of this comparison is given, to have a model to change to.
NEXT_MODEL = {"EMBEDDING_NEXT_DIMENSIONS": 96}
_UPDATED = 20
_USER = "user-0"
_TIMEOUT = 600.0
# By importance alone, and nearly half of the messages have less: an age is another when the second database is asked.
_RETENTION = {"max_age_days": 36_500, "importance_threshold": 0.53, "delete_after_days": 36_500}


@dataclass
class Lived:
    """What was answered and done."""

    asked: Counter[str] = field(default_factory=Counter)
    wrong: Counter[str] = field(default_factory=Counter)
    seconds: list[Counter[str]] = field(default_factory=lambda: [Counter(), Counter()])
    """By database and kind."""


async def lived(clients: Sequence[Client], tenants: Sequence[str]) -> Lived:
    """Does all of it to each tenant, on one database after the other."""
    found = Lived()
    steps = [(kind, step, tenant) for tenant in tenants for kind, step in _STEPS.items()]
    for kind, step, tenant in tqdm(steps, desc="updating, forgetting, retiring, embedding again", mininterval=10):
        for name, do in (kind, step), ("exports with vectors", _export):
            answers = []
            for client, seconds in zip(clients, found.seconds, strict=True):
                began = time.monotonic()
                answers.append(await do(client, tenant))
                seconds[name] += time.monotonic() - began
            one, other = answers
            found.asked[name] += len(one)
            found.wrong[name] += sum(a != b for a, b in zip(one, other, strict=True))
    return found


async def _export(client: Client, tenant: str) -> list[bytes]:
    """One digest of everything, but for the moments of updates."""
    digest = hashlib.sha256()
    request = transfer.ExportRequest(tenant_id=tenant, include_embeddings=True, include_policy=True)
    async for record in client.transfer.Export(request, timeout=_TIMEOUT):
        for one in record.message.revisions:
            one.ClearField("valid_to")
        digest.update(*serialized([record]))
    return [digest.digest()]


async def _update(client: Client, tenant: str) -> list[bytes]:
    of_others = listing.ListMessagesRequest(tenant_id=tenant, filter=f'NOT user_id = "{_USER}"', page_size=_UPDATED)
    said = await client.memory.ListMessages(of_others, timeout=_TIMEOUT)
    found = []
    for number, message in enumerate(said.messages):
        request = revision.UpdateMessageRequest(
            tenant_id=tenant,
            message_id=message.id,
            update_mask=["content", "importance_override"],
            content=f"{message.content} That was wrong.",
            importance_override=number / _UPDATED,
        )
        found.append(await client.memory.UpdateMessage(request, timeout=_TIMEOUT))
    return serialized(found)


async def _forget(client: Client, tenant: str) -> list[bytes]:
    """Plan, receipt and proof, without this erasure's name and times. Raises RuntimeError when the proof fails."""
    planned = await client.erasure.PlanErasure(
        erasure.PlanErasureRequest(tenant_id=tenant, user_id=_USER, sample_size=5), timeout=_TIMEOUT
    )
    one = {"tenant_id": tenant, "erasure_id": planned.erasure.erasure_id}
    await client.erasure.ApplyErasure(erasure.ApplyErasureRequest(**one), timeout=_TIMEOUT)
    while (await client.erasure.GetErasure(erasure.GetErasureRequest(**one))).state != "done":
        await asyncio.sleep(0.05)
    receipt = await client.erasure.GetErasureReceipt(erasure.GetErasureReceiptRequest(**one))
    proof = await client.erasure.VerifyErasure(erasure.VerifyErasureRequest(**one), timeout=_TIMEOUT)
    if not (proof.clean and receipt.erasure.erased == planned.erasure.planned > 0):
        raise RuntimeError(f"{tenant}: not forgotten")
    receipt.ClearField("erased_at")
    for each in planned.erasure, receipt.erasure:
        for name in ("erasure_id", "planned_at", "expires_at", "applied_at", "finished_at"):
            each.ClearField(name)
    return serialized([planned, receipt, proof])


async def _retire(client: Client, tenant: str) -> list[bytes]:
    """Simulated, tried, archived, some restored, the rest deleted."""
    request = policy.SetTenantPolicyRequest(tenant_id=tenant)
    for name, value in _RETENTION.items():
        setattr(request.retention, name, value)
    await client.policy.SetTenantPolicy(request)
    simulated = retention.SimulateRetentionRequest(tenant_id=tenant, sample_size=5)
    simulated.as_of.FromDatetime(synthetic.NOW)
    found = [await client.admin.SimulateRetention(simulated, timeout=_TIMEOUT)]
    run = admin.RunRetentionRequest(tenant_id=tenant, actions=["archive", "delete"], dry_run=True)
    found.append(await client.admin.RunRetention(run, timeout=_TIMEOUT))
    run.dry_run = False
    found.append(await client.admin.RunRetention(run, timeout=_TIMEOUT))
    restore = retention.RestoreArchivedRequest(tenant_id=tenant, filter="metadata.rating > 500")
    found.append(await client.admin.RestoreArchived(restore, timeout=_TIMEOUT))
    request.retention.delete_after_days = 0
    await client.policy.SetTenantPolicy(request)
    delete = admin.RunRetentionRequest(tenant_id=tenant, actions=["delete"])
    found.append(await client.admin.RunRetention(delete, timeout=_TIMEOUT))
    if not all((found[2].archived, found[3].restored, found[4].deleted)):
        raise RuntimeError(f"{tenant}: nothing was archived, restored or deleted")
    return serialized(found)


async def _embed_again(client: Client, tenant: str) -> list[bytes]:
    """Started, ready, cut over, and done when the old vectors are gone."""
    started = await client.embedding.StartReembedding(embedding.StartReembeddingRequest(tenant_id=tenant))
    found = [await _reaches(client, started.id, "ready")]
    cut_over = embedding.CutOverReembeddingRequest(reembedding_id=started.id)
    await client.embedding.CutOverReembedding(cut_over, timeout=_TIMEOUT)
    return serialized([*found, await _reaches(client, started.id, "done")])


async def _reaches(client: Client, id_: int, state: str) -> Any:
    request = embedding.GetReembeddingRequest(reembedding_id=id_)
    while (work := await client.embedding.GetReembedding(request, timeout=_TIMEOUT)).state != state:
        await asyncio.sleep(0.05)
    return work


Step = Callable[[Client, str], Awaitable[list[bytes]]]
_STEPS: dict[str, Step] = {
    "updates": _update,
    "forgetting, with proof": _forget,
    "retention": _retire,
    "a re-embedding": _embed_again,
}
