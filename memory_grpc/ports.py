"""Ports, looked at before anything is started, so that a taken one costs a sentence and not a half-started service; and
the sentences on why something cannot listen, which name the variable that is wrong."""

from __future__ import annotations

import errno
import socket
import time

from memory_grpc.errors import StartupError

_LAST = 65535


def ensure_free(host: str, port: int, host_variable: str, port_variable: str, *, within_seconds: float = 0.0) -> None:
    """Raises StartupError unless ``host:port`` can be listened on; the sentence names what is wrong, and its variable.

    ``within_seconds`` is for a process that is just ending, such as the Envoy of a run that was killed.
    """
    if port == 0:
        raise StartupError(f"{port_variable} must name a port: 0 would mean another one at each start.")
    if port > _LAST:
        raise StartupError(f"{port_variable} is too high: {port} would be needed too, and the last port is {_LAST}.")
    deadline = time.monotonic() + within_seconds
    while (problem := _problem(host, port)) is not None:
        if problem.errno != errno.EADDRINUSE or time.monotonic() >= deadline:
            raise StartupError(refusal(host, port, host_variable, port_variable, problem)) from None
        time.sleep(0.05)


def why_refused(host: str, port: int, host_variable: str, port_variable: str) -> str:
    """The sentence for a library that could not listen on ``host:port`` and does not say why: tried once more here."""
    problem = _problem(host, port)
    if problem is None:
        return f"Port {port} on {host} cannot be opened ({host_variable}, {port_variable})."
    return refusal(host, port, host_variable, port_variable, problem)


def refusal(host: str, port: int, host_variable: str, port_variable: str, problem: OSError) -> str:
    """The sentence for what kept a socket from listening on ``host:port``."""
    why = problem.strerror or problem
    if isinstance(problem, socket.gaierror):
        return f"{host_variable}: {host} is no name that this machine can resolve: {why}."
    if problem.errno == errno.EADDRINUSE:
        return (
            f"Port {port} on {host} is already taken: stop what listens there, or set {port_variable} to a free port."
        )
    if problem.errno == errno.EACCES:
        return f"Port {port} cannot be opened by this user: set {port_variable} to a port above 1023."
    return f"{host_variable}: {host} is no address of this machine to listen on: {why}."


def bound(host: str, port: int) -> socket.socket:
    """A socket bound to the first address of ``host``, an IPv4 one if there is any. Raises OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    # Envoy looks for the server there: of a name with addresses of both kinds it takes an IPv4 one too.
    family, kind, protocol, _, address = min(found, key=lambda one: one[0] != socket.AF_INET)
    listener = socket.socket(family, kind, protocol)
    try:
        # Connections of an earlier process that linger in TIME_WAIT do not count. Two servers never share a port: no
        # SO_REUSEPORT.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
    except BaseException:
        listener.close()
        raise
    return listener


def _problem(host: str, port: int) -> OSError | None:
    try:
        bound(host, port).close()
    except OSError as error:
        return error
    return None
