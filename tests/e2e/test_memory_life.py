"""A week of two people in one tenant, through Envoy with the real model: context, a correction, export, forgetting."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.test_workflow import Up, running

TENANT = "diary"
# Last week, not a fixed one: what is older than the policy's 30 days is for the archive.
WEEK = datetime.now(UTC).replace(hour=9, minute=0, second=0, microsecond=0) - timedelta(days=8)
ANN = (
    "My sister Lena lives in Oslo and works as a nurse",
    "I am allergic to peanuts",
    "We adopted a grey cat called Minka",
    "The dentist moved my appointment to Thursday",
    "I started to learn the cello",
)
BEN = (
    "My brother lives in Lisbon and sells boats",
    "I am allergic to shellfish",
    "We have a brown dog called Rufus",
    "My train to work was cancelled again",
    "I gave up the drums",
)


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    with running(tmp_path_factory.mktemp("life"), MEMORY_SEARCH_RANKING="hybrid") as started:
        yield started


@pytest.fixture(scope="module")
def ids(up: Up) -> dict[str, str]:
    """The ids of what both said, a message a day each, in turns in one conversation a day."""
    stored = {}
    for day, said in enumerate(zip(ANN, BEN, strict=True)):
        for minute, (user, content) in enumerate(zip(("ann", "ben"), said, strict=True)):
            moment = WEEK + timedelta(days=day, minutes=minute)
            body = {
                "tenant_id": TENANT,
                "user_id": user,
                "conversation_id": f"day-{day}",
                "role": "user",
                "content": content,
                "created_at": moment.isoformat(),
                "request_id": f"00000000-0000-4000-8000-00000000{day:02}{minute:02}",
            }
            response = up.http.post("/v1/messages", json=body)
            assert response.status_code == 202, response.text
            stored[content] = response.json()["id"]
    return stored


def answer(response: Any) -> Any:
    assert response.status_code == 200, response.text
    return response.json()


def context(up: Up, user: str, query: str, **fields: Any) -> Any:
    body = {"tenant_id": TENANT, "user_id": user, "query": query, "max_tokens": 40, "recent_turns": 0} | fields
    return answer(up.http.post("/v1/memory/context", json=body))


def contents(built: Any) -> list[str]:
    return [part["message"]["content"] for part in built["messages"]]


def search(up: Up, query: str, **fields: Any) -> list[str]:
    body = {"tenant_id": TENANT, "query": query, "top_k": 50, "include_archived": True} | fields
    return [item["content"] for item in answer(up.http.post("/v1/memory/search", json=body))["items"]]


@pytest.mark.parametrize(
    ("query", "number"), [("What must I not eat?", 1), ("Which pet do I have?", 2), ("Where do my siblings live?", 0)]
)
def test_the_context_of_each_is_theirs_alone(up: Up, ids: dict[str, str], query: str, number: int) -> None:
    for user, own, others in (("ann", ANN, BEN), ("ben", BEN, ANN)):
        built = context(up, user, query)
        assert own[number] in contents(built)
        assert not set(contents(built)) & set(others)
        assert built["total_tokens"] <= 40
        # Neighbours are turns of one conversation, which both speak in.
        assert not set(contents(context(up, user, query, neighbours=5, max_tokens=500))) & set(others)


def test_a_correction_changes_the_answer_and_history_shows_both(up: Up, ids: dict[str, str]) -> None:
    id_, was, now = ids[ANN[0]], ANN[0], "My sister Lena moved from Oslo to Bergen"
    before = datetime.now(UTC).isoformat()
    path = f"/v1/messages/{id_}"
    changed = answer(up.http.patch(path, json={"tenant_id": TENANT, "content": now, "update_mask": ["content"]}))
    assert changed["content"] == now
    query = "Where does Lena live?"
    assert now in contents(context(up, "ann", query))
    assert was not in search(up, query)
    assert was in contents(context(up, "ann", query, as_of=before))
    revisions = answer(up.http.get(f"{path}/revisions", params={"tenant_id": TENANT}))["revisions"]
    assert [one["message"]["content"] for one in revisions] == [was]


def test_the_rest_exports_and_imports_and_answers_the_same(
    up: Up, ids: dict[str, str], tmp_path_factory: pytest.TempPathFactory, tmp_path: Path
) -> None:
    """Before Ben is forgotten: both. The export has the same bytes over there, and searches the same answers."""
    exported = up.run("export", "--tenant", TENANT, "--with-embeddings")
    assert exported.returncode == 0, exported.stderr
    assert len(exported.stdout.splitlines()) == 1 + len(ids)
    file = tmp_path / "diary.jsonl"
    file.write_text(exported.stdout, encoding="utf-8")
    as_of = datetime.now(UTC).isoformat()
    with running(tmp_path_factory.mktemp("there"), MEMORY_SEARCH_RANKING="hybrid") as there:
        done = there.run("import", str(file))
        assert done.returncode == 0, done.stderr
        assert there.run("export", "--tenant", TENANT, "--with-embeddings").stdout == exported.stdout
        body = {"tenant_id": TENANT, "query": "Which pet do I have?", "user_id": "ann", "as_of": as_of}
        for path in ("/v1/memory/search", "/v1/memory/context"):
            here, away = (answer(one.http.post(path, json=body)) for one in (up, there))
            key = "items" if path.endswith("search") else "text"
            assert here[key] == away[key]


def test_a_forgotten_user_is_gone_from_every_path(up: Up, ids: dict[str, str]) -> None:
    plan = answer(up.http.post("/v1/admin/erasure/plan", json={"tenant_id": TENANT, "user_id": "ben"}))
    erasure = {"tenant_id": TENANT, "erasure_id": plan["erasure"]["erasure_id"]}
    assert plan["erasure"]["planned"] == len(BEN)
    answer(up.http.post("/v1/admin/erasure/apply", json=erasure))
    until = time.monotonic() + 60
    while answer(up.http.get("/v1/admin/erasure", params=erasure))["state"] != "done":
        assert time.monotonic() < until
        time.sleep(0.1)

    assert not set(search(up, "anything at all")) & set(BEN)
    assert contents(context(up, "ben", "Which pet do I have?")) == []
    for content in BEN:
        assert up.http.get(f"/v1/messages/{ids[content]}").status_code == 404
    listed = answer(up.http.get("/v1/messages", params={"tenant_id": TENANT}))["messages"]
    assert {one["user_id"] for one in listed} == {"ann"}
    users = answer(up.http.get("/v1/users", params={"tenant_id": TENANT}))["users"]
    assert [one["user_id"] for one in users] == ["ann"]
    exported = up.run("export", "--tenant", TENANT).stdout
    assert "Rufus" not in exported and "Minka" in exported
    verified = answer(up.http.post("/v1/admin/erasure/verify", json=erasure))
    assert verified["clean"] is True
    assert {one["place"] for one in verified["checks"]} >= {"messages", "message_embeddings", "message_lexemes"}
    assert any("backups" in one["place"] for one in verified["unreachable"])

    again = up.http.post(
        "/v1/messages",
        json={
            "tenant_id": TENANT,
            "user_id": "ben",
            "conversation_id": "day-0",
            "role": "user",
            "content": BEN[0],
            "created_at": (WEEK + timedelta(minutes=1)).isoformat(),
            "request_id": "00000000-0000-4000-8000-000000000001",
        },
    )
    assert again.status_code == 404, "an erased message does not come back by a retry"
    receipt = answer(up.http.get("/v1/admin/erasure/receipt", params=erasure))
    assert not any(word in json.dumps(receipt) for word in ("ben", "Rufus", *ids.values()))
