"""`up` as a process of its own: real Postgres, real server, real Envoy; and no process left, however it ends."""

from __future__ import annotations

import os
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, suppress
from pathlib import Path

import httpx
import psycopg
import pytest

from tests.certificates import Authority
from tests.outputs import full_disk, full_pipe, pipe_whose_reader_went
from tests.unit.local.processes import eventually, gone


class Run:
    """One `up` and what it said."""

    def __init__(self, home: Path, ports: dict[str, str], output: int | None = None) -> None:
        self.home = home
        self.url = f"http://127.0.0.1:{ports['MEMORY_HTTP_PORT']}"
        self.metrics_url = f"http://127.0.0.1:{ports['MEMORY_METRICS_PORT']}"
        self.output = home / f"up-{time.monotonic_ns()}.log"
        settings = {
            "MEMORY_DATA_DIR": str(home / "data"),
            "MEMORY_EMBEDDING_PROVIDER": "hashing",
            "MEMORY_PROCESSES": "1",
        }
        settings |= ports
        outside = {name: value for name, value in os.environ.items() if not name.startswith("MEMORY_")}
        with self.output.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "memory_grpc", "up"],
                cwd=home,
                env={**outside, **settings},
                stdout=log if output is None else output,
                stderr=subprocess.STDOUT,
            )

    @property
    def said(self) -> str:
        return self.output.read_text()

    def ready(self) -> Run:
        assert eventually(lambda: "Ctrl-C stops it." in self.said or self.process.poll() is not None, 60), self.said
        assert self.process.poll() is None, self.said
        return self

    def children(self) -> list[int]:
        """Processes that work for this run, whoever their parent is by now."""
        found = []
        for entry in Path("/proc").iterdir():
            try:
                if entry.name.isdigit() and os.fsencode(self.home) in (entry / "cmdline").read_bytes():
                    found.append(int(entry.name))
            except OSError:
                continue
        return [pid for pid in found if pid != self.process.pid and not gone(pid)]

    def child(self, name: str) -> int:
        (pid,) = [pid for pid in self.children() if Path(f"/proc/{pid}/comm").read_text().strip() == name]
        return pid


@pytest.fixture(scope="module")
def ports() -> dict[str, str]:
    with socket.socket() as a, socket.socket() as b, socket.socket() as c:
        for probe in (a, b, c):
            probe.bind(("127.0.0.1", 0))
        names = ("MEMORY_HTTP_PORT", "MEMORY_GRPC_PORT", "MEMORY_METRICS_PORT")
        return {name: str(probe.getsockname()[1]) for name, probe in zip(names, (a, b, c), strict=True)}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("up")


@pytest.fixture
def start(home: Path, ports: dict[str, str]) -> Iterator[Callable[[], Run]]:
    runs: list[Run] = []

    def starting(output: int | None = None, **changed: str) -> Run:
        runs.append(Run(home, {**ports, **changed}, output))
        return runs[-1]

    yield starting
    for run in runs:
        run.process.kill()
        run.process.wait()
        assert eventually(lambda run=run: not run.children())


def ingest(run: Run, content: str) -> str:
    body = {"tenant_id": "acme", "conversation_id": "c", "role": "user", "content": content}
    response = httpx.post(f"{run.url}/v1/messages", json=body, trust_env=False, timeout=15)
    assert response.status_code == 202
    return response.json()["id"]


def test_it_says_where_it_is_and_ctrl_c_stops_all_of_it(start: Callable[[], Run]):
    run = start().ready()
    for line in (f"REST     {run.url}", f"console  {run.url}/console", f"curl -X POST {run.url}/v1/messages"):
        assert line in run.said
    run.process.send_signal(signal.SIGINT)
    assert run.process.wait(20) == 0
    assert run.children() == []


def test_a_killed_run_leaves_nothing_and_loses_nothing(start: Callable[[], Run]):
    run = start().ready()
    kept = ingest(run, "kept")
    run.process.kill()
    run.process.wait()
    run = start().ready()  # at once
    assert httpx.get(f"{run.url}/v1/messages/{kept}", trust_env=False).json()["content"] == "kept"
    os.kill(run.child("envoy"), signal.SIGKILL)
    assert run.process.wait(20) == 1
    assert "Envoy ended on its own (exit code -9)" in run.said
    assert "Traceback" not in run.said
    assert run.children() == []


def test_death_of_postgres_ends_it_with_a_sentence(start: Callable[[], Run]):
    run = start().ready()
    os.kill(min(pid for pid in run.children() if pid != run.child("envoy")), signal.SIGKILL)
    assert run.process.wait(20) == 1
    assert "The embedded Postgres ended on its own (exit code -9)" in run.said
    assert run.children() == []


def test_a_taken_port_is_one_sentence(start: Callable[..., Run]):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        run = start(MEMORY_GRPC_PORT=port)
        assert run.process.wait(30) == 1
    assert run.said.startswith(f"Port {port} on 127.0.0.1 is already taken")
    assert run.said.count("\n") == 1
    assert run.children() == []


def test_a_signal_while_it_starts(start: Callable[[], Run]):
    run = start()
    assert eventually(lambda: bool(run.children()), 30)
    run.process.send_signal(signal.SIGTERM)
    assert run.process.wait(30) == 0
    assert "Traceback" not in run.said
    assert run.children() == []


def test_its_parts_have_no_more_than_they_need(start: Callable[..., Run], home: Path):
    """No key, proxy or database variable reaches Envoy and Postgres; neither is root; the server is no superuser."""
    key = "the-key-of-this-very-test"
    run = start(
        MEMORY_API_KEYS=key,
        PGHOSTADDR="192.0.2.1",
        PGOPTIONS="-c search_path=nowhere",
        PGPASSWORD="hunter2",
        http_proxy="http://127.0.0.1:9",
        ALL_PROXY="http://127.0.0.1:9",
        grpc_proxy="http://127.0.0.1:9",
    ).ready()
    body = {"tenant_id": "acme", "conversation_id": "c", "role": "user", "content": "with all that in the way"}
    url, headers = f"{run.url}/v1/messages", {"x-api-key": key}
    assert httpx.post(url, json=body, headers=headers, trust_env=False, timeout=15).status_code == 202
    envoy = run.child("envoy")
    for pid in run.children():
        environment = Path(f"/proc/{pid}/environ").read_bytes()
        assert not [word for word in (key, "hunter2", "PGHOST", "_proxy", "_PROXY") if word.encode() in environment]
    postmaster = min(pid for pid in run.children() if pid != envoy)
    users = {Path(f"/proc/{pid}").stat().st_uid for pid in (envoy, postmaster)}
    assert 0 not in users
    assert len(users) == (2 if os.geteuid() == 0 else 1)
    with psycopg.connect(host=str(home / "data" / "run"), dbname="memory", user="postgres") as connection:
        others = connection.execute(
            "select distinct usename from pg_stat_activity where datname = 'memory' and pid <> pg_backend_pid()"
        ).fetchall()
        assert others == [("memory",)]
        rights = connection.execute(
            "select rolsuper or rolcreaterole or rolcreatedb or rolbypassrls or rolreplication from pg_roles "
            "where rolname = 'memory'"
        ).fetchone()
        assert rights == (False,)
    run.process.send_signal(signal.SIGINT)
    assert run.process.wait(20) == 0


def test_ipv6_and_no_terminal(start: Callable[..., Run]):
    """Everything on ::1, where Envoy finds the server too; and under nohup, in the background of a script, a hang-up
    means nothing, and an interrupt ends it."""
    inherited = (signal.SIGHUP, signal.SIGINT)
    before = {number: signal.signal(number, signal.SIG_IGN) for number in inherited}
    try:
        run = start(MEMORY_HOST="::1", MEMORY_HTTP_HOST="[::1]")
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    run.url = run.url.replace("127.0.0.1", "[::1]")
    run.ready()
    assert f"REST     {run.url}" in run.said
    ingest(run, "by IPv6")
    run.process.send_signal(signal.SIGHUP)
    ingest(run, "after the hang-up")
    assert run.process.poll() is None
    run.process.send_signal(signal.SIGINT)
    assert run.process.wait(20) == 0


class Unheard:
    """An output that refuses what is written: the process counts the lines."""

    def __init__(self, output: Callable[[], AbstractContextManager[int]]) -> None:
        self.output = output

    def has_said_hello(self, run: Run) -> bool:
        """Whether more has been tried than the one warning at the start."""
        with suppress(httpx.HTTPError):
            page = httpx.get(f"{run.metrics_url}/metrics", trust_env=False, timeout=5).text
            (count,) = [line for line in page.splitlines() if line.startswith("memory_log_lines_dropped_total ")]
            return float(count.split()[1]) > 1
        return False


class Stuck(Unheard):
    """An output that takes nothing: threads wait for it."""

    def has_said_hello(self, run: Run) -> bool:
        """Whether the lines of standard output are waiting too, beside the warning on standard error."""
        waiting = 0
        for thread in Path(f"/proc/{run.process.pid}/task").iterdir():
            with suppress(OSError):
                waiting += "pipe_write" in (thread / "wchan").read_text()
        return waiting == 2


@pytest.mark.parametrize("nowhere", [Unheard(full_disk), Unheard(pipe_whose_reader_went), Stuck(full_pipe)])
def test_output_that_goes_nowhere_ends_nothing(start: Callable[..., Run], nowhere: Unheard):
    """It warns before the log is set up, and says where it is when it is ready; nobody has to hear it."""
    with nowhere.output() as descriptor:
        run = start(descriptor, MEMORY_NO_SUCH_SETTING="1", MEMORY_LOG_LEVEL="ERROR")
        assert eventually(lambda: nowhere.has_said_hello(run) or run.process.poll() is not None, 60)
        assert run.process.poll() is None
        ingest(run, "unheard")
        run.process.send_signal(signal.SIGTERM)
        assert run.process.wait(20) == 0


def test_a_start_that_is_refused_ends_though_nobody_hears_why(start: Callable[..., Run]):
    with full_pipe() as descriptor:
        assert start(descriptor, MEMORY_HOST="192.0.2.1").process.wait(30) == 1


def test_https(start: Callable[..., Run], tmp_path: Path):
    """With a key that only its owner reads, and a certificate that does not name 127.0.0.1."""
    authority = Authority(tmp_path)
    files = authority.issue("memory.example", file="server")
    run = start(MEMORY_HTTP_TLS_CERT_FILE=str(files.cert), MEMORY_HTTP_TLS_KEY_FILE=str(files.key))
    run.url = run.url.replace("http:", "https:")
    run.ready()
    assert f"REST     {run.url}" in run.said
    context = ssl.create_default_context(cafile=str(authority.file))
    headers = {"host": "localhost"}
    with httpx.Client(verify=context, trust_env=False) as client:
        url, extensions = f"{run.url}/v1/admin/health", {"sni_hostname": "memory.example"}
        assert client.get(url, headers=headers, extensions=extensions).status_code == 200
    run.process.send_signal(signal.SIGTERM)
    assert run.process.wait(20) == 0


def test_a_certificate_without_its_key_is_one_sentence(start: Callable[..., Run], tmp_path: Path):
    files = Authority(tmp_path).issue("memory.example", file="server")
    run = start(MEMORY_HTTP_TLS_CERT_FILE=str(files.cert))
    assert run.process.wait(60) == 1
    assert "MEMORY_HTTP_TLS_CERT_FILE needs MEMORY_HTTP_TLS_KEY_FILE" in run.said
    assert "Traceback" not in run.said


def test_several_servers_share_the_calls(start: Callable[..., Run]):
    """Each message is there whichever server is asked; all of them end with the first, and the first with any."""
    run = start(MEMORY_PROCESSES="2", MEMORY_GLOBAL_RATE_LIMIT="40/minute").ready()
    assert run.said.count("grpc_port") == 2
    kept = [ingest(run, f"message {number}") for number in range(4)]
    answers = [httpx.get(f"{run.url}/v1/messages/{id_}", trust_env=False).status_code for id_ in kept * 15]
    # 40 a minute for both together, where the calls take turns.
    assert 30 <= answers.count(200) <= 36
    assert set(answers) == {200, 429}
    (other,) = [pid for pid in children_of(run.process.pid) if b"--one-of" in Path(f"/proc/{pid}/cmdline").read_bytes()]
    os.kill(other, signal.SIGKILL)
    assert run.process.wait(30) == 1
    assert "A server process ended on its own (exit code -9)" in run.said
    assert run.children() == []


def test_several_servers_end_with_their_parent(start: Callable[..., Run]):
    run = start(MEMORY_PROCESSES="2").ready()
    both = children_of(run.process.pid)
    run.process.send_signal(signal.SIGTERM)
    assert run.process.wait(30) == 0
    assert run.said.count("draining") == 2
    assert all(gone(pid) for pid in both)


def children_of(pid: int) -> list[int]:
    files = Path(f"/proc/{pid}/task").glob("*/children")
    return [int(child) for file in files for child in file.read_text().split()]
