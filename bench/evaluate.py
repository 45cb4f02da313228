"""`make eval`: a server of its own with the real model, and `python -m tools.evaluation` against it; with
`--relevance` it is `python -m tools.evaluation.relevance`."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from memory_grpc.local.postgres import EmbeddedPostgres


def free_port() -> int:
    """A port of loopback that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_serving(address: str, process: subprocess.Popen[bytes], seconds: float = 60.0) -> None:
    """Returns once the server serves."""
    deadline = time.monotonic() + seconds
    with grpc.insecure_channel(address) as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        while process.poll() is None and time.monotonic() < deadline:
            try:
                if stub.Check(health_pb2.HealthCheckRequest(), timeout=1).status == 1:
                    return
            except grpc.RpcError:
                time.sleep(0.1)
    raise SystemExit("The server did not start.")


def main() -> int:
    """Starts Postgres and a server, evaluates, stops both; the exit code is that of the evaluation."""
    with tempfile.TemporaryDirectory(prefix="memory-eval-") as directory:
        postgres = EmbeddedPostgres(Path(directory))
        port = free_port()
        parts = dict(part.split("=", 1) for part in postgres.start().split())
        dsn = f"postgresql://{parts['user']}@/{parts['dbname']}?host={parts['host']}&port={parts['port']}"
        environment = os.environ | {
            "MEMORY_DATABASE_URL": dsn,
            "MEMORY_GRPC_PORT": str(port),
            "MEMORY_METRICS_PORT": "0",
            "MEMORY_GLOBAL_RATE_LIMIT": "",
            "MEMORY_RETENTION_SCHEDULE_SECONDS": "0",
            "MEMORY_LOG_LEVEL": "WARNING",
        }
        server = subprocess.Popen([sys.executable, "-m", "memory_grpc", "serve"], env=environment)
        try:
            address = f"127.0.0.1:{port}"
            wait_serving(address, server)
            asked = [argument for argument in sys.argv[1:] if argument != "--relevance"]
            module = "tools.evaluation" if asked == sys.argv[1:] else "tools.evaluation.relevance"
            command = [sys.executable, "-m", module, "--address", address, *asked]
            return subprocess.run(command, env=environment, check=False).returncode
        finally:
            server.terminate()
            server.wait(30)
            postgres.stop()


if __name__ == "__main__":
    sys.exit(main())
