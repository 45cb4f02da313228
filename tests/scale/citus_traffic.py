"""Callers that ingest and search for several tenants while a cluster changes under them, and what they saw."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import grpc

from memory_layer.v1 import memory_service_pb2 as pb
from tests.chaos.harness import until
from tests.scale.citus_workers import run

# A call that fails is made again after this, with the same request id.
_AGAIN_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Failure:
    """A call that failed: when, in seconds of time.monotonic(), and how."""

    at: float
    kind: str
    tenant: str
    code: str


@dataclass
class Traffic:
    """For each tenant a caller that ingests, and sends each message again until it is acknowledged, and one that
    searches. ``memory`` is a stub of a MemoryService; ``name`` tells these messages from others."""

    memory: Any
    tenants: Sequence[str]
    name: str
    timeout: float = 30.0
    acknowledged: dict[tuple[str, str], str] = field(default_factory=dict)
    """Tenant and content to id."""
    calls: Counter[str] = field(default_factory=Counter)
    failures: list[Failure] = field(default_factory=list)
    latencies: defaultdict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    """Of calls that were answered, in seconds."""
    answered: Counter[tuple[str, str]] = field(default_factory=Counter)
    """By kind and tenant."""
    _stopping: bool = False

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Traffic]:
        """Runs inside the block; at its end every caller gets its last call answered."""
        async with asyncio.TaskGroup() as group:
            for tenant in self.tenants:
                group.create_task(self._writes(tenant))
                group.create_task(self._searches(tenant))
            try:
                yield self
            finally:
                self._stopping = True

    async def more(self, count: int, *tenants: str, seconds: float = 60.0) -> None:
        """Returns when of each of the tenants (none: all) so many more calls of each kind have been answered."""
        wanted = {(kind, one): 0 for one in tenants or self.tenants for kind in ("ingest", "search")}
        goals = {key: self.answered[key] + count for key in wanted}
        await until(lambda: all(self.answered[key] >= goal for key, goal in goals.items()), seconds, self.failures[-3:])

    async def _writes(self, tenant: str) -> None:
        number = 0
        while not self._stopping:
            content = f"{self.name} {tenant} said number {number}"
            request = pb.IngestMessageRequest(
                tenant_id=tenant, conversation_id=self.name, role="user", content=content, request_id=str(uuid4())
            )
            while (stored := await self._one("ingest", tenant, self.memory.IngestMessage(request))) is None:
                await asyncio.sleep(_AGAIN_SECONDS)
            self.acknowledged[tenant, content] = stored.id
            number += 1

    async def _searches(self, tenant: str) -> None:
        number = 0
        while not self._stopping:
            ranking = ("semantic", "hybrid")[number % 2]
            request = pb.SearchMemoriesRequest(tenant_id=tenant, query=f"what {tenant} said", ranking=ranking, top_k=10)
            if await self._one("search", tenant, self.memory.SearchMemories(request)) is None:
                await asyncio.sleep(_AGAIN_SECONDS)
            number += 1

    async def _one(self, kind: str, tenant: str, call: Awaitable[Any]) -> Any:
        """The answer, or None for an error, which is noted."""
        self.calls[kind] += 1
        began = time.monotonic()
        try:
            async with asyncio.timeout(self.timeout):
                answer = await call
        except TimeoutError:
            self.failures.append(Failure(time.monotonic(), kind, tenant, "no answer"))
            return None
        except grpc.aio.AioRpcError as error:
            self.failures.append(Failure(time.monotonic(), kind, tenant, error.code().name))
            return None
        self.latencies[kind].append(time.monotonic() - began)
        self.answered[kind, tenant] += 1
        return answer

    def lost(self, dsn: str) -> list[str]:
        """What is wrong with what was stored: each acknowledged message is there once, under its id, with a vector and
        its words; and there is no other of this name."""
        stored = run(
            dsn,
            "select tenant_id, content, id::text, "
            "(select count(*) from message_embeddings e where e.tenant_id = m.tenant_id and e.message_id = m.id), "
            "(select count(*) from message_lexemes l where l.tenant_id = m.tenant_id and l.message_id = m.id) "
            "from messages m where conversation_id = %s",
            self.name,
        )
        there = Counter((tenant, content) for tenant, content, *_ in stored)
        faults = [f"lost: {content}" for _, content in self.acknowledged.keys() - there.keys()]
        faults += [f"never acknowledged: {content}" for _, content in there.keys() - self.acknowledged.keys()]
        faults += [f"{times} times: {content}" for (_, content), times in there.items() if times > 1]
        for tenant, content, id_, vectors, words in stored:
            if self.acknowledged.get((tenant, content), id_) != id_:
                faults.append(f"another id: {content}")
            if (vectors, words) != (1, 1):
                faults.append(f"{vectors} vectors, {words} rows of words: {content}")
        return faults
