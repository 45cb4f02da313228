"""What a tenant's administrator can do to the other tenants, by calls that take long."""

from __future__ import annotations

import asyncio
from pathlib import Path

import psycopg
import pytest

from memory_layer.v1 import erasure_service_pb2 as pb
from memory_layer.v1 import key_service_pb2
from memory_layer.v1 import memory_service_pb2 as memory
from tests.abuse.instance import ATTACKER, ROOT, VICTIM, ingest, under_attack
from tests.chaos.harness import until

CALLS = 12
# Calls: the job that looks for erasures waits for the lock, too.
_HELD_UP = """
select count(*) from pg_stat_activity
where wait_event_type = 'Lock' and query ilike '%erasures%' and query not ilike '%delete from erasures%'
"""


@pytest.mark.asyncio
async def test_long_administration_of_one_tenant_leaves_the_others_connections(dsn: str, tmp_path: Path) -> None:
    async with under_attack(dsn, tmp_path, DATABASE_BACKGROUND_POOL_SIZE=8) as instance:
        asked = key_service_pb2.CreateApiKeyRequest(label="a", role="admin", tenant_ids=[ATTACKER])
        key = await instance.attacker.key.CreateApiKey(asked, metadata=(("x-api-key", ROOT),))
        stored = await instance.victim.memory.IngestMessage(ingest("hello", VICTIM), timeout=10)
        with psycopg.connect(dsn) as slow, psycopg.connect(dsn, autocommit=True) as watching:
            slow.execute("lock table erasures in access exclusive mode")  # as if each took its whole time

            def held_up() -> int:
                row = watching.execute(_HELD_UP).fetchone()
                return row[0] if row else 0

            plan = pb.PlanErasureRequest(tenant_id=ATTACKER, user_id="u")
            metadata = (("x-api-key", key.key),)
            calls = [instance.attacker.erasure.PlanErasure(plan, metadata=metadata, timeout=9) for _ in range(CALLS)]
            tasks = [asyncio.ensure_future(call) for call in calls]
            await until(lambda: held_up() >= 6, what="what one tenant may have is taken")
            # It is recorded before it is answered, on these connections.
            await instance.victim.memory.DeleteMessage(
                memory.DeleteMessageRequest(tenant_id=VICTIM, message_id=stored.id), timeout=4
            )
            slow.rollback()
            await asyncio.gather(*tasks, return_exceptions=True)
