"""Killed in the middle of an erasure, an update or an import, a thousand times over: nothing is there by halves.

The work is done by processes that are there in milliseconds (``nursery.py``); test_erasing.py and test_transfer.py kill
whole servers, fewer times.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from itertools import chain, islice
from pathlib import Path

import numpy as np
import pytest

from memory_grpc import filtering
from memory_grpc.domain.transfer import FurtherRevisions, Transferred
from memory_grpc.ids import Uuid7
from memory_grpc.local.postgres import EmbeddedPostgres
from memory_grpc.operations.erasure.erasures import Erasures
from memory_grpc.services import transfer_records
from tests.chaos.harness import item, rounds
from tests.chaos.workers import TENANT, exported, request_of, words_of
from tests.chaos.world import World, world
from tests.projections import ADRIFT

pytestmark = [pytest.mark.asyncio, pytest.mark.timeout(3600)]

MESSAGES, LATE, BATCH = 20, 2, 5
# What the rounds take at most: the log of Postgres' changes, and the databases.
MEMORY_BYTES = 2 * 2**30
UPDATED = 10
# How often one erasure is killed at most, before it is left alone.
KILLS = 4
# At one moment: how far an erasure is, and what is left of what it is to erase.
PROGRESS = """
select erased, state, (select count(*) from messages where tenant_id = e.tenant_id and conversation_id = %s),
    (select count(*) from erasure_items where erasure_id = e.id)
from erasures e where id = %s
"""
IDS = "select array_agg(id::text order by created_at, id) from messages where tenant_id = %s and conversation_id = %s"
ORPHANS = (
    "select count(*) from idempotency_keys k where tenant_id = 'chaos' and not exists "
    "(select from messages m where m.tenant_id = k.tenant_id and m.id = k.message_id)"
)
# Of each message of a conversation what it says, how often it was updated, its last revision, and what there is of its
# vectors, of the work at them, and of its words.
STATE = """
select m.content, m.revision, m.embedding_status,
    (select count(*) from message_revisions r where r.tenant_id = m.tenant_id and r.message_id = m.id),
    (select r.content from message_revisions r where r.tenant_id = m.tenant_id and r.message_id = m.id
        order by revision desc limit 1),
    (select array_agg(e.embedding::text) from message_embeddings e
        where e.tenant_id = m.tenant_id and e.message_id = m.id),
    (select count(*) from embedding_jobs j where j.tenant_id = m.tenant_id and j.message_id = m.id),
    (select array_agg(lexemes::text) from message_lexemes l where l.tenant_id = m.tenant_id and l.message_id = m.id),
    exists (select from idempotency_keys k
        where k.tenant_id = m.tenant_id and k.request_id = any(%s) and k.message_id = m.id)
from messages m where m.tenant_id = 'chaos' and m.conversation_id = %s order by m.created_at, m.id
"""


@pytest.fixture(scope="module")
def postgres() -> Iterator[tuple[EmbeddedPostgres, str]]:
    """One for all of them, and how it is reached: what is killed of it comes back.

    In memory where that has room: what a killed process has written is kept by the kernel either way, and recovery,
    which syncs every file, takes a tenth of the time.
    """
    memory = Path("/dev/shm")
    roomy = memory.is_dir() and shutil.disk_usage(memory).free > MEMORY_BYTES
    with tempfile.TemporaryDirectory(prefix="rounds", dir=memory if roomy else None) as folder:
        found = EmbeddedPostgres(Path(folder) / "pg", {"shared_buffers": "64MB", "max_wal_size": "256MB"})
        try:
            yield found, found.start()
        finally:
            found.stop()


async def _undisturbed(world: World, erasures: Erasures) -> None:
    """One that nobody disturbs: how long it takes."""
    await world.say("undisturbed", MESSAGES)
    where = filtering.compare("conversation_id", "=", "undisturbed")
    planned = (await erasures.plan(TENANT, "conversation", where, "none", 0)).erasure
    await erasures.apply(TENANT, planned.id, "none")
    world.usual_seconds = await world.whole("erase", batch=BATCH)
    assert (await erasures.get(TENANT, planned.id)).state == "done"


async def _erasure(world: World, erasures: Erasures, rounds_left: Iterator[int]) -> int:
    """Plans, applies, and kills whoever brings it to its end, a few times over, each a round; how many there were."""
    first = next(rounds_left)
    conversation = f"round {first}"
    await world.say(conversation, MESSAGES)
    bystanders = world.look(IDS, TENANT, "bystanders")
    where = filtering.compare("conversation_id", "=", conversation)
    planned = (await erasures.plan(TENANT, "conversation", where, "none", 0)).erasure
    late = await world.say(conversation, LATE)
    await erasures.apply(TENANT, planned.id, "none")
    so_far, kills, state = 0, 0, ""
    for number in chain([first], islice(rounds_left, KILLS - 1)):
        await world.killed(number, "erase", batch=BATCH)
        kills += 1
        erased, state, left, items = world.look(PROGRESS, conversation, planned.id)[0]
        assert so_far <= erased, "what was done stays done"
        assert erased % BATCH == 0, "batches are whole"
        assert (left, items) == (MESSAGES + LATE - erased, MESSAGES - erased), "what is gone is noted, and only that"
        assert world.look(ADRIFT) == world.look(ORPHANS) == [(0,)]
        when = "before a batch" if erased == so_far else "within" if erased < MESSAGES else "while cleaning"
        if state == "done":
            when = "after"
        elif so_far == MESSAGES:
            when = "while cleaning"
        world.came(when)
        so_far = erased
        if state == "done":
            break
    else:
        await world.whole("erase", batch=BATCH)
    found, checks = await erasures.verify(TENANT, planned.id)
    assert (found.state, found.planned, found.erased) == ("done", MESSAGES, MESSAGES)
    assert not any(check.found for check in checks), checks
    assert world.look(IDS, TENANT, conversation) == [(late,)]
    assert world.look(IDS, TENANT, "bystanders") == bystanders
    for nothing in (ADRIFT, ORPHANS, "select count(*) from erasure_items"):
        assert world.look(nothing) == [(0,)], nothing
    return kills


async def test_17_killed_in_short_rounds_of_erasures(postgres: tuple[EmbeddedPostgres, str], tmp_path: Path) -> None:
    """In turns the process that erases, its connections, a backend of Postgres, and all of Postgres."""
    with item(17, "the process that erases killed, or Postgres, in short rounds") as result:
        async with world(*postgres, tmp_path) as found:
            erasures = Erasures(found.parts.database, Uuid7())
            await found.say("bystanders", 30)
            await _undisturbed(found, erasures)
            wanted = rounds("ERASE_ROUNDS", 20)
            numbers, planned = iter(range(wanted)), 0
            while result.tried < wanted:
                kills = await _erasure(found, erasures, numbers)
                result.tried += kills
                result.held += kills
                planned += 1
                result.note = f"{planned} erasures; {found.note}"
            assert found.ends["within"] + found.ends["while cleaning"], "no kill came in the middle"


async def _check_whole(world: World, conversation: str, version: int) -> int:
    """How many messages say what they say in a version; all others say what they said before, and each is whole."""
    updated = 0
    requests = [request_of(place, version) for place in range(UPDATED)]
    state = world.look(STATE, requests, conversation)
    texts = [row[0] for row in state]
    vectors = await world.parts.embedder.embed_messages(texts)
    for place, (row, (vector,)) in enumerate(zip(state, vectors, strict=True)):
        content, revision, status, kept, before, stored, jobs, lexemes, claimed = row
        is_new = content == words_of(place, version)
        assert is_new or content == words_of(place, version - 1), content
        said = version if is_new else version - 1
        assert (revision, kept) == (1 + said, said), "one revision an update"
        assert before == (words_of(place, said - 1) if said else None)
        assert claimed == is_new, "a request id is known when its update is"
        assert len(lexemes) == 1
        assert f"'mark{said}'" in lexemes[0].split()
        assert (status, jobs, stored is None) == (
            ("pending", 1, True) if said and (place + said) % 2 else ("completed", 0, False)
        )
        if stored is not None:
            (one,) = stored
            assert np.allclose(np.fromstring(one.strip("[]"), sep=","), vector, atol=2e-3), "vectors of what it says"
        updated += is_new
    assert world.look(ADRIFT) == [(0,)]
    return updated


async def test_19_killed_in_the_middle_of_updates(postgres: tuple[EmbeddedPostgres, str], tmp_path: Path) -> None:
    """A message is what it was or what it becomes, whole; with its request id it becomes so once."""
    with item(19, "SIGKILL in the middle of updates") as result:
        async with world(*postgres, tmp_path) as found:
            ids = await found.say("c", UPDATED)
            found.usual_seconds = await found.whole("update", ids=ids, version=1)
            assert await _check_whole(found, "c", 1) == UPDATED
            for number in range(rounds("UPDATE_ROUNDS", 5)):
                result.tried += 1
                version = number + 2
                await found.killed(number, "update", ids=ids, version=version)
                updated = await _check_whole(found, "c", version)
                found.came("before" if not updated else "within" if updated < UPDATED else "after")
                await found.whole("update", ids=ids, version=version)
                assert await _check_whole(found, "c", version) == UPDATED
                result.held += 1
            result.note = found.note
            # One in two does.
            assert found.ends["within"] or result.tried < 20, "no kill came between the first update and the last"


async def _lines(world: World, tenant_id: str) -> list[bytes]:
    """An export of everything, as it leaves the service."""

    async def found() -> AsyncIterator[Transferred | FurtherRevisions]:
        for one in await exported(world.parts.database, tenant_id, with_vectors=True):
            yield one

    return [one.SerializeToString(deterministic=True) async for one in transfer_records.records(found())]


async def test_18_killed_in_the_middle_of_imports(postgres: tuple[EmbeddedPostgres, str], tmp_path: Path) -> None:
    """An import that is cut off has stored whole batches; once more, and the memory is the one that was exported."""
    with item(18, "SIGKILL in the middle of an export and its import, in short rounds") as result:
        async with world(*postgres, tmp_path) as found:
            ids = await found.say("c", MESSAGES)
            await found.whole("update", ids=ids[::2], version=1)
            wanted = await _lines(found, TENANT)
            found.usual_seconds = await found.whole("move", to="usual", batch=BATCH)
            for number in range(rounds("IMPORT_ROUNDS", 4)):
                result.tried += 1
                to = f"to {number}"
                await found.killed(number, "move", to=to, batch=BATCH)
                stored = found.look("select count(*) from messages where tenant_id = %s", to)[0][0]
                assert stored % BATCH == 0, "batches are whole"
                assert found.look(ADRIFT) == [(0,)]
                found.came("before" if not stored else "within" if stored < MESSAGES else "after")
                await found.whole("move", to=to, batch=BATCH)
                assert await _lines(found, to) == wanted
                result.held += 1
            result.note = found.note
            # One in four does.
            assert found.ends["within"] or result.tried < 20, "no kill came between the first batch and the last"
