"""``memory-grpc reembed`` against server processes: one that is killed on the way, and the real model end to end."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from memory_layer.v1 import embedding_service_pb2 as embedding
from memory_layer.v1 import memory_service_pb2 as pb
from tests.chaos.harness import Client, ServerProcess, connected, serving, until

Rows = Callable[..., list[tuple[Any, ...]]]

TURNS = [
    "I finally booked the night train to Vienna for the weekend",
    "My sister adopted a grey kitten from the shelter last month",
    "We repainted the kitchen in a warm yellow and it looks lovely",
    "The doctor says my knee will need another six weeks of rest",
    "I am learning to bake sourdough, the second loaf was edible",
    "Our team moves the billing service to a new database in May",
    "Grandfather told us how he crossed the mountains as a child",
    "The concert was sold out, so we listened from the riverside",
    "I would like to write more Python and less paperwork at work",
    "Remind me to send the signed contract back before Wednesday",
    "The tomatoes on the balcony are ripe and far too many for us",
    "He plays the cello every evening and the neighbours enjoy it",
]


async def command(*arguments: str) -> tuple[int, str, str]:
    """Runs ``memory-grpc``; returns its exit code and what it wrote."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MEMORY_")}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "memory_grpc",
        *arguments,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    assert process.returncode is not None
    assert b"Traceback" not in err, err
    return process.returncode, out.decode(), err.decode()


async def fill(client: Client, texts: list[str], tenant: str = "acme") -> None:
    for start in range(0, len(texts), 500):
        messages = [
            pb.IngestMessageRequest(tenant_id=tenant, conversation_id="c", role="user", content=words)
            for words in texts[start : start + 500]
        ]
        await client.memory.BatchIngestMessages(pb.BatchIngestMessagesRequest(messages=messages), timeout=60)


@pytest.mark.asyncio
async def test_a_killed_server_leaves_its_work_to_the_next(dsn: str, tmp_path: Path, rows: Rows) -> None:
    both = {"EMBEDDING_NEXT_DIMENSIONS": 96}
    async with serving(dsn, tmp_path, **both) as first, connected(first.address) as client:
        await fill(client, [f"word{n % 37} word{n % 91} number{n}" for n in range(4000)])
        await client.embedding.StartReembedding(embedding.StartReembeddingRequest())

        async def halfway() -> bool:
            work = await client.embedding.GetReembedding(embedding.GetReembeddingRequest())
            return bool(work.embedded)

        await until(halfway, 30, "a batch")
        await first.kill()
    vectors = "select message_id, xmin::text from message_embeddings where vector_dims(embedding) = 96"
    made = set(rows(vectors))
    assert 0 < len(made) < 4000, "killed on the way"
    rows("update leases set expires_at = now()")  # what half a minute does

    async with serving(dsn, tmp_path, **both) as second, connected(second.address) as client:
        code, out, err = await command("reembed", "--address", second.address, "--sample", "10", "--json")
        assert (code, err) == (0, "")
        shown = json.loads(out)
        assert shown["reembedding"]["id"] == 1, "the same one goes on"
        assert (shown["reembedding"]["total"], shown["reembedding"]["embedded"]) == (4000, 4000)
        assert shown["comparison"]["compared"] == 10
        assert 0 <= shown["comparison"]["overlap"] <= 1

        async def over() -> bool:
            work = await client.embedding.GetReembedding(embedding.GetReembeddingRequest())
            return bool(work.state == "done")

        await until(over, 30, "the removal of the old vectors")
        found = await client.memory.SearchMemories(
            pb.SearchMemoriesRequest(tenant_id="acme", query="number1234", top_k=1)
        )
        assert [item.content for item in found.items] == ["word13 word51 number1234"]
    assert made < set(rows(vectors)), "what was made before the kill was not made again"
    assert rows("select vector_dims(embedding), count(*) from message_embeddings group by 1") == [(96, 4000)]


@pytest.mark.asyncio
async def test_step_by_step_with_the_callers_queries(dsn: str, tmp_path: Path, rows: Rows) -> None:
    queries = tmp_path / "queries.txt"
    queries.write_text("who bakes bread\n\nwhat is on the balcony\n", encoding="utf-8")
    async with serving(dsn, tmp_path, EMBEDDING_NEXT_DIMENSIONS=96) as server, connected(server.address) as client:
        here = ("--address", server.address)
        await fill(client, TURNS)
        await fill(client, TURNS, "other")

        code, out, _ = await command("reembed", "--status", *here)
        assert code == 1 and out == ""
        code, out, err = await command(
            "reembed", "--tenant", "acme", "--queries", str(queries), "--details", "--no-cut-over", *here
        )
        assert (code, err) == (0, "")
        assert "of acme: hashing (fp32, 384) → hashing (fp32, 96)" in out
        assert "New vectors: 12 of 12 messages." in out
        assert "Queries compared: 2. The first ten hits are the same by" in out
        assert "who bakes bread" in out and "what is on the balcony" in out
        assert not any(turn in out for turn in TURNS), "ids and scores only"
        assert "until `memory-grpc reembed --cut-over`" in out
        assert rows("select count(*) from tenant_models") == [(0,)]

        code, out, err = await command("reembed", "--cut-over", *here)
        assert (code, err) == (0, "")
        assert "Searches read the new vectors" in out
        assert rows("select tenant_id from tenant_models") == [("acme",)]
        code, out, err = await command("reembed", "--cancel", *here)
        assert code == 1 and "FAILED_PRECONDITION: The cut-over is done" in err

        code, out, err = await command("reembed", "--queries", str(queries), *here)
        assert code == 2
        # What was asked is in no log of the server's.
        assert "bakes bread" not in server.text


@pytest.mark.asyncio
async def test_the_real_model_from_fp32_to_bf16(dsn: str, tmp_path: Path, rows: Rows) -> None:
    """Two identities with one model on disk: hits stay nearly the same, and a start without the new one is refused."""
    real = {"EMBEDDING_PROVIDER": "sentence_transformer"}
    questions = ["How will we travel to Austria?", "What pets does the family have?", "Which injury is healing?"]

    async def ask(client: Client) -> list[Any]:
        requests = [pb.SearchMemoriesRequest(tenant_id="acme", query=question, top_k=3) for question in questions]
        return [(await client.memory.SearchMemories(request, timeout=30)).items for request in requests]

    async with (
        serving(dsn, tmp_path, **real, EMBEDDING_NEXT_PRECISION="bf16") as server,
        connected(server.address) as client,
    ):
        await fill(client, TURNS)
        before = await ask(client)
        assert [hits[0].content for hits in before] == [TURNS[0], TURNS[1], TURNS[3]]
        code, out, err = await command(
            "reembed", "--address", server.address, "--json", "--details", "--timeout", "120"
        )
        assert (code, err) == (0, "")
        shown = json.loads(out)
        models = [shown["reembedding"][name]["precision"] for name in ("previous_model", "model")]
        assert models == ["fp32", "bf16"]
        comparison = shown["comparison"]
        assert comparison["compared"] == len(TURNS)
        assert comparison["overlap"] > 0.9
        assert comparison["rank_change"] < 1.5
        after = await ask(client)
        for old, new in zip(before, after, strict=True):
            assert new[0].message_id == old[0].message_id
            assert new[0].similarity == pytest.approx(old[0].similarity, abs=0.02)
            assert new[0].similarity != old[0].similarity, "another model's vectors"

    refused = ServerProcess(dsn, tmp_path, **real)
    try:
        refused.spawn()
        assert await refused.ended(60) == 1
        assert "bf16" in refused.text and "fp32" in refused.text
        assert "memory-grpc reembed" in refused.text
    finally:
        refused.close()
    async with (
        serving(dsn, tmp_path, **real, EMBEDDING_PRECISION="bf16") as server,
        connected(server.address) as client,
    ):
        again = await ask(client)
        assert [[hit.similarity for hit in hits] for hits in again] == [[h.similarity for h in hits] for hits in after]
