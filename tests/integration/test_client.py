"""The Python client against the real service: a chatbot's loop, lists, streams, errors, administration."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from memory_grpc.client import (
    AsyncMemoryClient,
    Conflict,
    InvalidArgument,
    MemoryClient,
    NotFound,
    PermissionDenied,
    Retry,
    Unauthenticated,
    Unavailable,
    types,
)
from tests.certificates import Authority
from tests.conftest import RunningRest, RunningServer, StartServer

KEY = "an-admin-key-for-tests"


def turns(count: int, conversation: str = "c-1") -> list[types.IngestMessageRequest]:
    return [
        types.IngestMessageRequest(conversation_id=conversation, role="user", content=f"turn {i}", user_id="u-7")
        for i in range(count)
    ]


async def in_thread(address: str, work: Callable[[MemoryClient], Any], **options: Any) -> Any:
    """Work with the client for threads, beside the loop that the server is in."""

    def run() -> Any:
        with MemoryClient(address, **({"tenant_id": "acme"} | options)) as client:
            return work(client)

    return await asyncio.to_thread(run)


@pytest.mark.asyncio
async def test_the_loop_of_a_chatbot_through_the_rest_port(rest: RunningRest):
    def loop(memory: MemoryClient) -> tuple[Any, ...]:
        said = memory.remember(
            "I love Python", conversation_id="c-1", user_id="u-7", metadata={"source": "web"}, name="Ann"
        )
        hits = memory.recall("Python", user_id="u-7", top_k=3)
        context = memory.context("What do I love?", user_id="u-7", max_tokens=100)
        return said, hits, context, memory.get_health()

    address = f"http://127.0.0.1:{rest.server.settings.http_port}"
    said, hits, context, health = await in_thread(address, loop)
    assert (said.tenant_id, said.metadata, said.embedding_status) == ("acme", {"source": "web"}, "completed")
    assert [(hit.message_id, hit.name, hit.created_at) for hit in hits] == [(said.id, "Ann", said.created_at)]
    assert "Ann: I love Python" in context.text
    assert context.messages[0].message.id == said.id
    assert health.status == "ok"


@pytest.mark.asyncio
async def test_messages_are_listed_corrected_and_deleted(server: RunningServer):
    async with AsyncMemoryClient(server.grpc_address, tenant_id="acme") as memory:
        stored = await memory.batch_ingest_messages(messages=turns(7))
        listed = [one async for one in memory.list_messages(user_id="u-7", page_size=3)]
        assert listed == list(stored.messages)
        pages = [page async for page in memory.list_messages(page_size=3, include_total=True).pages()]
        assert [(len(page.messages), page.total_size) for page in pages] == [(3, 7), (3, 7), (1, 7)]
        assert [one.user_id async for one in memory.list_users()] == ["u-7"]
        assert [one.conversation_id async for one in memory.list_conversations()] == ["c-1"]

        first = listed[0]
        changed = await memory.update_message(message_id=first.id, content="corrected", etag=first.etag)
        assert [one.message.content async for one in memory.list_revisions(message_id=first.id)] == ["turn 0"]
        with pytest.raises(Conflict) as conflict:
            await memory.update_message(message_id=first.id, content="again", etag=first.etag)
        assert conflict.value.reason == "ETAG_MISMATCH"
        cleared = await memory.update_message(message_id=first.id, update_mask=["user_id"])
        assert (changed.content, changed.user_id, cleared.user_id) == ("corrected", "u-7", None)

        assert (await memory.delete_message(message_id=first.id)).message_id == first.id
        with pytest.raises(NotFound):
            await memory.get_message(message_id=first.id)


@pytest.mark.asyncio
async def test_an_error_says_what_is_wrong(server: RunningServer):
    with pytest.raises(InvalidArgument) as raised:
        await in_thread(server.grpc_address, lambda memory: memory.recall("", top_k=-1))
    assert raised.value.reason == "INVALID_FIELD"
    assert {one.field for one in raised.value.violations} == {"query", "top_k"}


@pytest.mark.asyncio
async def test_a_stream_is_acknowledged_and_what_it_stored_is_exported_and_imported(server: RunningServer):
    def walk(memory: MemoryClient) -> tuple[Any, ...]:
        acknowledged = list(memory.stream_ingest(iter(turns(50))))
        exported = [record.message for record in memory.export() if record.message]
        kept = memory.import_(messages=exported, tenant_id="copy")
        again = [record.message for record in memory.export(tenant_id="copy") if record.message]
        return acknowledged, exported, kept, again

    acknowledged, exported, kept, again = await in_thread(server.grpc_address, walk)
    assert [one.sequence for one in acknowledged] == list(range(50))
    assert [one.id for one in exported] == sorted(one.message_id for one in acknowledged)
    assert (kept.stored, again) == (50, exported)


@pytest.mark.asyncio
async def test_a_stream_for_asyncio_may_wait_for_its_answers(server: RunningServer):
    """A message is sent once the one before it is acknowledged."""
    ready: asyncio.Queue[int] = asyncio.Queue()
    ready.put_nowait(0)

    async def source() -> AsyncIterator[types.IngestMessageRequest]:
        for one in turns(3):
            await ready.get()
            yield one

    async with AsyncMemoryClient(server.grpc_address, tenant_id="acme") as memory:
        got = []
        async for acknowledgement in memory.stream_ingest(source()):
            got.append(acknowledgement.sequence)
            ready.put_nowait(len(got))
    assert got == [0, 1, 2]


@pytest.mark.asyncio
async def test_a_stream_for_threads_may_wait_for_its_answers(server: RunningServer):
    import queue

    def walk(memory: MemoryClient) -> list[int]:
        ready: queue.Queue[int] = queue.Queue()
        ready.put(0)

        def source() -> Iterator[types.IngestMessageRequest]:
            for one in turns(3):
                ready.get(timeout=60)
                yield one

        got = []
        for acknowledgement in memory.stream_ingest(source()):
            got.append(acknowledgement.sequence)
            ready.put(len(got))
        return got

    assert await in_thread(server.grpc_address, walk) == [0, 1, 2]


@pytest.mark.asyncio
async def test_tls_with_a_ca_of_ones_own(start_server: StartServer, tmp_path: Path):
    authority = Authority(tmp_path)
    files = authority.issue("memory.example.com", file="server")
    trusting = {"credentials": grpc.ssl_channel_credentials(authority.file.read_bytes())}
    async with start_server(tls_cert_file=files.cert, tls_key_file=files.key) as server:
        address = f"https://{server.grpc_address}"
        named = trusting | {"server_name": "memory.example.com"}
        assert (await in_thread(address, _remember, **named)).content == "hello"
        async with AsyncMemoryClient(address, **named) as memory:
            assert (await memory.get_health()).status == "ok"
        for wrong in (trusting, {"server_name": "memory.example.com"}):
            with pytest.raises(Unavailable) as refused:
                await in_thread(address, _remember, retry=Retry(attempts=1), **wrong)
            assert not refused.value.is_from_service


@pytest.mark.asyncio
async def test_keys_policies_and_erasures(start_server: StartServer):
    async with start_server(api_keys=KEY) as server:
        with pytest.raises(Unauthenticated) as refused:
            await in_thread(server.grpc_address, lambda memory: memory.recall("x"))
        assert KEY not in str(refused.value)

        async with AsyncMemoryClient(server.grpc_address, api_key=KEY, tenant_id="acme") as admin:
            made = await admin.create_api_key(label="bot", role="writer", tenant_ids=["acme"])
            policy = await admin.set_tenant_policy(retention=types.RetentionPolicy(max_age_days=365))
            assert policy.retention is not None
            assert policy.retention.max_age_days == 365
            assert policy.retention.delete_after_days == 90

            await in_thread(server.grpc_address, _remember, api_key=made.key)
            with pytest.raises(PermissionDenied):
                await in_thread(server.grpc_address, _remember, api_key=made.key, tenant_id="other")

            plan = await admin.plan_erasure(user_id="u-7")
            assert [one.content for one in plan.sample] == ["hello"]
            await admin.apply_erasure(erasure_id=plan.erasure.erasure_id)
            swept = await admin.run_retention(actions=["archive", "delete"], dry_run=True)
            assert swept.dry_run
            assert [one.label async for one in admin.list_api_keys()] == ["bot"]
            assert "KeyService.CreateApiKey" in [one.action async for one in admin.list_events()]


def _remember(memory: MemoryClient) -> types.Message:
    return memory.remember("hello", conversation_id="c-1", user_id="u-7")
