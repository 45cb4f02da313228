"""The whole thing as a user runs it: `memory-grpc up` as a process of its own, with the real model."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.conftest import free_port


class Up:
    """A running `memory-grpc up`, in a process group of its own."""

    def __init__(self, directory: Path, **variables: str) -> None:
        self.port = free_port()
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("MEMORY_")} | {
            "MEMORY_DATA_DIR": str(directory / "data"),
            "MEMORY_HTTP_PORT": str(self.port),
            "MEMORY_GRPC_PORT": str(free_port()),
            "MEMORY_METRICS_PORT": str(free_port()),
            "MEMORY_GLOBAL_RATE_LIMIT": "",
            "MEMORY_RETENTION_SCHEDULE_SECONDS": "0",
            "MEMORY_LOG_LEVEL": "WARNING",
            **variables,
        }
        self.log = directory / "up.log"
        self.process: subprocess.Popen[bytes] | None = None
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=30, trust_env=False)

    def start(self) -> float:
        """Returns the seconds until it answered."""
        started = time.monotonic()
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "memory_grpc", "up"],
                env=self.environment,
                cwd=self.log.parent,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        while True:
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() - started < 60, self.log.read_text()
            try:
                if self.http.get("/v1/admin/health").status_code == 200:
                    return time.monotonic() - started
            except httpx.HTTPError:
                time.sleep(0.05)

    def family(self) -> list[psutil.Process]:
        assert self.process is not None
        parent = psutil.Process(self.process.pid)
        return [parent, *parent.children(recursive=True)]

    def end(self, number: signal.Signals) -> int:
        """Signals the process, and returns its exit code once all of its family has gone."""
        assert self.process is not None
        family = self.family()
        self.process.send_signal(number)
        code = self.process.wait(30)
        _, alive = psutil.wait_procs(family, timeout=15)
        assert not alive, alive
        return code

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "memory_grpc", *arguments],
            env=self.environment,
            cwd=self.log.parent,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )


@contextmanager
def running(directory: Path, **variables: str) -> Iterator[Up]:
    up = Up(directory, **variables)
    try:
        up.start()
        yield up
    finally:
        up.http.close()
        if up.process is not None and up.process.poll() is None:
            up.end(signal.SIGTERM)


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    with running(tmp_path_factory.mktemp("up")) as started:
        yield started


def store(up: Up, tenant: str, content: str, **fields: Any) -> dict[str, Any]:
    body = {"tenant_id": tenant, "conversation_id": "conv-1", "role": "user", "content": content} | fields
    response = up.http.post("/v1/messages", json=body)
    assert response.status_code == 202, response.text
    message: dict[str, Any] = response.json()
    return message


def test_full_workflow(up: Up) -> None:
    """The documented example: by meaning, not by words."""
    stored = store(up, "acme", "I love Python programming")
    for content in ("The weather is fine", "My sister lives in Oslo", "Dinner was late again"):
        store(up, "acme", content)
    found = up.http.get(
        "/v1/memory/search", params={"tenant_id": "acme", "query": "What programming languages do I like?"}
    ).json()
    best = found["items"][0]
    assert (best["message_id"], best["content"]) == (stored["id"], "I love Python programming")
    parts = 0.6 * best["similarity"] + 0.3 * best["importance"] + 0.1 * best["decay"]
    assert best["score"] == pytest.approx(parts, abs=1e-6)


def test_a_fact_at_the_end_of_a_long_message_is_found_by_meaning(up: Up) -> None:
    filler = "We talked about the weather, the traffic and what there would be for dinner. "
    fact = " My blood type is AB negative."
    long = store(up, "long", (filler * 300)[:20_000] + fact)
    for i in range(20):
        store(up, "long", f"Small talk number {i} about nothing much")
    found = up.http.post("/v1/memory/search", json={"tenant_id": "long", "query": "Which blood group do I have?"})
    assert found.json()["items"][0]["message_id"] == long["id"]


def test_import_search_and_policies_from_the_command_line(up: Up, tmp_path: Path) -> None:
    lines = [
        {"tenant_id": "cli", "conversation_id": "c", "role": "user", "content": content, "created_at": when}
        for content, when in (
            ("I am allergic to peanuts", "2026-01-02T10:00:00Z"),
            ("We painted the fence green", "2026-01-03T10:00:00Z"),
        )
    ]
    file = tmp_path / "messages.jsonl"
    file.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert (done := up.run("import", str(file))).returncode == 0, done.stderr
    assert (again := up.run("import", str(file), "--restart")).returncode == 0, again.stderr
    searched = up.run("search", "--tenant", "cli", "--as-of", "2026-01-04T00:00:00Z", "--json", "what must I not eat")
    assert searched.returncode == 0, searched.stderr
    hits = json.loads(searched.stdout)["items"]
    assert [hit["content"] for hit in hits] == ["I am allergic to peanuts", "We painted the fence green"]


def test_a_stop_leaves_nothing_behind_and_a_second_start_is_quick(tmp_path: Path) -> None:
    with running(tmp_path, MEMORY_EMBEDDING_PROVIDER="hashing") as up:
        assert len(up.family()) > 3, "Postgres and Envoy are real processes"
        kept = store(up, "t", "kept over a restart")
        search = {"tenant_id": "t", "query": "kept", "as_of": (datetime.now(UTC) + timedelta(hours=1)).isoformat()}
        before = up.http.post("/v1/memory/search", json=search).content
        for number in (signal.SIGTERM, signal.SIGINT):
            assert up.end(number) == 0, up.log.read_text()
            assert up.start() < 15
            assert up.http.get(f"/v1/messages/{kept['id']}").json()["content"] == "kept over a restart"
            assert up.http.post("/v1/memory/search", json=search).content == before
        assert "Traceback" not in up.log.read_text()


def test_what_was_acknowledged_survives_a_kill_of_the_whole_group(tmp_path: Path) -> None:
    with running(tmp_path, MEMORY_EMBEDDING_PROVIDER="hashing") as up:
        acknowledged: list[str] = []
        for round_ in range(3):
            stop = threading.Event()

            def ingest(worker: int, stop: threading.Event = stop, round_: int = round_) -> None:
                with httpx.Client(base_url=up.http.base_url, timeout=5, trust_env=False) as http:
                    number = 0
                    while not stop.is_set():
                        number += 1
                        body = {"tenant_id": "t", "conversation_id": f"w{worker}", "role": "user"}
                        try:
                            response = http.post("/v1/messages", json=body | {"content": f"{round_} {worker} {number}"})
                        except httpx.HTTPError:
                            return
                        if response.status_code == 202:
                            acknowledged.append(response.json()["id"])

            workers = [threading.Thread(target=ingest, args=(i,)) for i in range(4)]
            before = len(acknowledged)
            for worker in workers:
                worker.start()
            deadline = time.monotonic() + 30
            while len(acknowledged) < before + 50 and time.monotonic() < deadline:
                time.sleep(0.01)
            assert up.process is not None
            family = up.family()
            os.killpg(up.process.pid, signal.SIGKILL)
            up.process.wait(10)
            stop.set()
            for worker in workers:
                worker.join()
            psutil.wait_procs(family, timeout=15)
            up.start()
        assert len(acknowledged) >= 150
        for message_id in acknowledged:
            assert up.http.get(f"/v1/messages/{message_id}").status_code == 200


@pytest.mark.parametrize(
    ("variables", "sentence"),
    [
        ({"MEMORY_DATABASE_URL": "postgresql://user:hunter2@127.0.0.1:1/none"}, "database cannot be reached"),
        ({"MEMORY_EMBEDDING_MODEL_NAME": "no-such/model"}, "no-such/model"),
        ({"MEMORY_EMBEDDING_DIMENSIONS": "768"}, "768"),
        ({"MEMORY_GLOBAL_RATE_LIMIT": "often"}, "MEMORY_GLOBAL_RATE_LIMIT"),
    ],
)
def test_what_keeps_it_from_starting_is_one_sentence(tmp_path: Path, variables: dict[str, str], sentence: str) -> None:
    refused = Up(tmp_path, **variables).run("up")
    assert refused.returncode == 1
    said = refused.stderr + refused.stdout
    assert sentence in said
    assert "Traceback" not in said
    assert "hunter2" not in said


def test_a_taken_port_is_told(tmp_path: Path, up: Up) -> None:
    other = Up(tmp_path, MEMORY_HTTP_PORT=str(up.port))
    refused = other.run("up")
    assert refused.returncode == 1
    assert "MEMORY_HTTP_PORT" in refused.stderr + refused.stdout
    assert "Traceback" not in refused.stderr + refused.stdout
