"""Ports, looked at before anything is started, so that a taken one costs a sentence and not a half-started service."""

from __future__ import annotations

import errno
import socket
import time

from memory_grpc.errors import StartupError

_LAST = 65535


def ensure_free(host: str, port: int, variable_name: str, *, within_seconds: float = 0.0) -> None:
    """Raises StartupError unless ``host:port`` can be listened on; the sentence names the port and its variable.

    ``within_seconds`` is for a process that is just ending, such as the Envoy of a run that was killed.
    """
    if port == 0:
        raise StartupError(f"{variable_name} must name a port: 0 would mean another one at each start.")
    if port > _LAST:
        raise StartupError(f"{variable_name} is too high: {port} would be needed too, and the last port is {_LAST}.")
    deadline = time.monotonic() + within_seconds
    while (problem := _problem(host, port)) is not None:
        if problem.errno != errno.EADDRINUSE or time.monotonic() >= deadline:
            raise StartupError(_sentence(host, port, variable_name, problem)) from None
        time.sleep(0.05)


def _problem(host: str, port: int) -> OSError | None:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            # As servers do: connections of an earlier process that linger in TIME_WAIT do not count.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        return error
    return None


def _sentence(host: str, port: int, variable_name: str, problem: OSError) -> str:
    if problem.errno == errno.EADDRINUSE:
        return (
            f"Port {port} on {host} is already taken: stop what listens there, or set {variable_name} to a free port."
        )
    if problem.errno == errno.EACCES:
        return f"Port {port} cannot be opened by this user: set {variable_name} to a port above 1023."
    return f"{host} is no address of this machine to listen on ({variable_name} {port}): {problem.strerror or problem}."
