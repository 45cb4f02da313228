"""Canary secrets: whatever happens to them, they appear nowhere but in the answer to who may read them."""

from __future__ import annotations

import asyncio
import signal
import subprocess
from pathlib import Path
from typing import Any

import grpc
import pytest
from psycopg.conninfo import conninfo_to_dict

from memory_layer.v1 import admin_service_pb2 as admin
from memory_layer.v1 import memory_service_pb2 as pb
from memory_layer.v1 import policy_service_pb2
from tests.chaos.edge import edge
from tests.chaos.harness import ServerProcess, connected, fetch, item, message, scrape, serving

CANARY = "CANARY"
AS_JSON = {"content-type": "application/json"}
KEY, GUESS, CONTENT, PASSWORD = f"{CANARY}-key-1", f"{CANARY}-guess-2", f"{CANARY} content 3", f"{CANARY}-password-4"


async def _provoke(server: ServerProcess, dsn: str) -> list[str]:
    """Every kind of answer, with canaries in what is sent; the texts of the errors."""
    texts: list[str] = []

    async def call(method: object, request: object, key: str = KEY) -> None:
        try:
            await method(request, metadata=[("x-api-key", key), ("x-request-id", f"{CANARY} id")], timeout=10)
        except grpc.aio.AioRpcError as error:
            trailers = b" ".join(v if isinstance(v, bytes) else v.encode() for _, v in error.trailing_metadata() or ())
            texts.append(f"{error.code()} {error.details()} {error.debug_error_string()} {trailers!r}")

    async with connected(server.address) as client:
        ingest, search = client.memory.IngestMessage, client.memory.SearchMemories
        await call(ingest, message(CONTENT))
        await call(ingest, message(CONTENT), GUESS)
        await call(ingest, message(CONTENT, role=CANARY))
        await call(ingest, message(CONTENT, tenant_id=CANARY * 20))
        await call(ingest, message(CONTENT + "\0"))
        await call(ingest, message(CONTENT, request_id=CANARY))
        await call(client.memory.GetMessage, pb.GetMessageRequest(message_id=CANARY))
        await call(search, pb.SearchMemoriesRequest(tenant_id="chaos", query=CONTENT, ranking="hybrid", explain=True))
        await call(search, pb.SearchMemoriesRequest(tenant_id="chaos", query=CONTENT, ranking=CANARY))
        await call(search, pb.SearchMemoriesRequest(tenant_id="chaos", query=CONTENT, metadata_equals=[CANARY]))
        await call(client.admin.RunRetention, admin.RunRetentionRequest(tenant_id=CANARY, actions=[CANARY]))
        await call(client.policy.GetTenantPolicy, policy_service_pb2.GetTenantPolicyRequest(tenant_id=CANARY))
        raw = client.channel.unary_unary("/memory_layer.v1.MemoryService/IngestMessage")
        await call(raw, b"\xff" + CONTENT.encode())
        # Faults of the store that nobody foresaw: their texts hold the row.
        fetch(dsn, f"alter table messages add constraint c check (content not like '%{CANARY} broken%')")
        await call(ingest, message(f"{CANARY} broken"))
        fetch(dsn, "alter table messages drop constraint c")
        fetch(dsn, "alter table message_lexemes rename to elsewhere")
        await call(ingest, message(CONTENT))
        await call(search, pb.SearchMemoriesRequest(tenant_id="chaos", query=CONTENT, ranking="hybrid"))
        fetch(dsn, "alter table elsewhere rename to message_lexemes")
    return texts


@pytest.mark.asyncio
@pytest.mark.parametrize(("form", "log_format"), [("uri", "json"), ("asyncpg", "console"), ("keywords", "json")])
async def test_15_canaries(form: str, log_format: str, dsn: str, tmp_path: Path) -> None:
    parts = conninfo_to_dict(dsn)
    uri = f"://postgres:{PASSWORD}@/{parts['dbname']}?host={parts['host']}&port=5432"
    url = {
        "uri": f"postgresql{uri}",
        "asyncpg": f"postgresql+asyncpg{uri}",
        "keywords": f"{dsn} password={PASSWORD}",
    }[form]
    database_log = Path(str(parts["host"])).parent / "postgres.log"
    before = database_log.stat().st_size
    with item(15, "canary secrets") as result:
        result.tried += 1
        async with serving(url, tmp_path, API_KEYS=KEY, LOG_LEVEL="DEBUG", LOG_FORMAT=log_format) as server:
            texts = await _provoke(server, dsn)
            assert len(texts) > 10
            pages = [
                await scrape(server, path) for path in ("/metrics", "/docs", "/openapi.json", f"/{CANARY}?{CANARY}")
            ]
            server.send(signal.SIGTERM)
            assert await server.ended() == 0
        assert "call" in server.text, "the log was on"
        said = database_log.read_bytes()[before:].decode(errors="replace")
        assert "violates check constraint" in said, "the database's log was on"
        told = {"an error": "\n".join(texts), "a page": "\n".join(pages)}
        for name, text in {"the log": server.text, "the embedded Postgres' log": said, **told}.items():
            lines = [line for line in text.splitlines() if CANARY.lower() in line.lower()]
            assert not lines, f"{name}: {lines[:3]}"
        result.held += 1


@pytest.mark.asyncio
async def test_15_canaries_through_envoy(dsn: str, tmp_path: Path) -> None:
    """Over REST they stand in paths, queries and bodies too: none is in a log, Envoy's included, or in an error."""
    texts: list[str] = []
    with item(15, "canary secrets through Envoy") as result:
        async with edge(dsn, tmp_path, API_KEYS=KEY, LOG_LEVEL="DEBUG") as running:

            async def call(method: str, path: str, key: str = KEY, **options: Any) -> None:
                headers = {"x-api-key": key, "x-request-id": f"{CANARY} id"} | options.pop("headers", {})
                result.tried += 1
                answer = await running.http.request(method, path, headers=headers, **options)
                told = {name: value for name, value in answer.headers.items() if name != "x-request-id"}
                if answer.status_code >= 400:
                    texts.append(f"{path} {told} {answer.text}".replace(path, ""))
                result.held += 1

            body = {"tenant_id": "chaos", "conversation_id": "c", "role": "user", "content": CONTENT}
            await call("POST", "/v1/messages", json=body)
            await call("POST", "/v1/messages", GUESS, json=body)
            await call("POST", "/v1/messages", json=body | {"role": CANARY})
            for broken in ('", x}', '" "y": 1}', "", '\\x"}', '\\ud800"}', '\0"}', '", "top_k": "', '", "role": ['):
                await call("POST", "/v1/messages", content=f'{{"content": "{CONTENT}{broken}', headers=AS_JSON)
            for field in ("metadata", "importance_override", "created_at", "embed_later"):
                await call("POST", "/v1/messages", json=body | {field: CONTENT})
            for wrong in ([CONTENT], {CONTENT: CONTENT}):
                await call("POST", "/v1/messages", json=body | {"content": wrong})
            await call("POST", "/v1/messages", content=CONTENT, headers={"content-type": "text/plain"})
            await call("POST", "/v1/messages", json=body | {"content": CANARY * 1_000_000})
            await call("POST", "/v1/memory/search", json={"tenant_id": "chaos", "query": CONTENT, "top_k": CANARY})
            await call("GET", f"/v1/messages/{CANARY}")
            await call("GET", f"/v1/messages/{CANARY}%2f{CANARY}")
            await call("GET", f"/v1/{CANARY}/{CANARY}")
            await call("GET", f"/{CANARY}?{CANARY}={CANARY}")
            await call("GET", "/v1/memory/search", params={"tenant_id": "chaos", "query": CONTENT})
            await call("GET", "/v1/memory/search", params={"tenant_id": "chaos", "query": CONTENT, "unknown": CANARY})
            for name in ("top_k", "importance_min", "as_of", "explain", "role", "ranking", "metadata_equals"):
                await call("GET", "/v1/memory/search", params={"tenant_id": "chaos", "query": CONTENT, name: CANARY})
            await call("GET", "/v1/memory/search", headers={"x_odd": CANARY})
            await call("GET", "/v1/memory/search", headers={"x-large": CANARY * 20_000})
            running.server.send(signal.SIGKILL)
            await running.server.ended()
            await call("POST", "/v1/messages", json=body)
            texts.append(running.envoy.log.read_text(errors="replace"))
            assert len(texts) > 10
        texts.append(running.server.text)
        leaks = [line for text in texts for line in text.splitlines() if CANARY.lower() in line.lower()]
        result.held -= len(leaks)
        assert not leaks, leaks[:3]


MALFORMED = {
    "a port that is none": f"postgresql://user:{PASSWORD}@127.0.0.1:{CANARY}/db",
    "an open bracket": f"postgresql://user:{PASSWORD}@[::1/db",
    "a bad escape": f"postgresql://user:{PASSWORD}%ZZ@127.0.0.1/db",
    "an unknown option": f"host=127.0.0.1 password={PASSWORD} bogus=1",
    "an unknown parameter": f"postgresql://user:{PASSWORD}@127.0.0.1/db?{CANARY}=1",
    "no equals sign": f"host=127.0.0.1 {PASSWORD}",
    "an open quote": f"host=127.0.0.1 password='{PASSWORD}",
    "another scheme": f"mysql://user:{PASSWORD}@127.0.0.1/db",
    "an at in the password": f"postgresql://user:{PASSWORD}@{CANARY}@127.0.0.1:1/db",
    "a slash in the password": f"postgresql://user:{PASSWORD}/{CANARY}@127.0.0.1:1/db",
    "a colon and a hash": f"postgresql://user:#{PASSWORD}:{CANARY}@127.0.0.1:1/db",
    "nobody there": f"postgresql://user:{PASSWORD}@127.0.0.1:1/db",
    "a NUL escape": f"postgresql://user:{PASSWORD}%00x@127.0.0.1:1/db",
    "words": f"{PASSWORD}",
    "sslmode": f"postgresql://user:{PASSWORD}@127.0.0.1:1/db?sslmode={CANARY}",
}


@pytest.mark.asyncio
async def test_15_a_malformed_dsn_is_refused_without_its_secrets(tmp_path: Path) -> None:
    slots = asyncio.Semaphore(5)
    wrong: list[str] = []
    with item(15, "canary secrets in malformed DSNs") as result:

        async def refused(name: str, url: str) -> None:
            async with slots:
                result.tried += 1
                server = ServerProcess(url, tmp_path, LOG_LEVEL="DEBUG")
                try:
                    server.spawn()
                    code = await server.ended(15)
                except subprocess.TimeoutExpired:
                    code = 124
                    result.note += f"{name}: still running after 15 s; "
                finally:
                    server.close()
                if code == 0 or code < 0:
                    wrong.append(f"{name}: exit code {code}")
                elif CANARY in server.text:
                    wrong.append(f"{name}: {server.text[:400]}")
                elif "Traceback" in server.text:
                    wrong.append(f"{name}: a traceback {server.text[-400:]}")
                else:
                    result.held += 1

        await asyncio.gather(*(refused(name, url) for name, url in MALFORMED.items()))
        assert not wrong, "\n".join(wrong)
