"""100,000 characters in every script of Unicode, by gRPC and by JSON: stored, handed back to the letter, and found."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from memory_layer.v1 import memory_service_pb2 as pb
from tests.chaos.edge import edge
from tests.chaos.harness import connected, item, message, rounds
from tests.chaos.scripts import scripts, text

pytestmark = pytest.mark.timeout(3600)

LENGTH = 100_000
JSON = {"content-type": "application/json"}


@pytest.mark.asyncio
async def test_14_every_script(dsn: str, tmp_path: Path) -> None:
    """The short form takes every 25th, from CHAOS_SCRIPTS_FROM on; the long one, CHAOS_SCRIPTS=1, all of them."""
    known = sorted(scripts())
    assert len(known) > 150
    names = known[rounds("SCRIPTS_FROM", 0) :: rounds("SCRIPTS", 25)]
    wrong: list[str] = []
    slowest = 0.0
    with item(14, f"{LENGTH:,} characters, every script of Unicode") as result:
        async with edge(dsn, tmp_path) as running, connected(running.server.address) as client:
            for name in names:
                content = text(scripts()[name], LENGTH, name)
                assert len(content) == LENGTH
                result.tried += 1
                started = time.monotonic()
                tenant = f"script {name}"
                stored = await client.memory.IngestMessage(message(content, tenant_id=tenant), timeout=20)
                # Escaped, a letter takes up to twelve bytes.
                body = {"tenant_id": tenant, "conversation_id": "c", "role": "user", "content": content}
                answer = await running.http.post("/v1/messages", content=json.dumps(body), headers=JSON)
                slowest = max(slowest, time.monotonic() - started)
                found = []
                for ranking in ("semantic", "hybrid"):
                    search = pb.SearchMemoriesRequest(tenant_id=tenant, query=content[:10_000], ranking=ranking)
                    found.append(
                        [hit.content for hit in (await client.memory.SearchMemories(search, timeout=20)).items]
                    )
                if not (stored.content == content and stored.embedding_status == "completed"):
                    wrong.append(f"{name}: by gRPC {stored.embedding_status}")
                elif answer.status_code != 202 or answer.json()["content"] != content:
                    wrong.append(f"{name}: by JSON {answer.status_code} {answer.text[:200]}")
                elif found != [[content, content]] * 2:
                    wrong.append(f"{name}: found {[len(hits) for hits in found]}")
                else:
                    result.held += 1
            result.note = f"{len(names)} of {len(known)} scripts, both ways in {slowest:.1f} s at most"
            assert not wrong, "\n".join(wrong)
            assert await running.is_well()
