"""A taken port is told in one sentence that names the port and the variable."""

from __future__ import annotations

import socket
import threading

import pytest

from memory_grpc.errors import StartupError
from memory_grpc.ports import bound, ensure_free, why_refused
from tests.conftest import free_port


@pytest.fixture
def listener():
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield listening


def test_free_port_passes(listener):
    port = listener.getsockname()[1]
    listener.close()
    ensure_free("127.0.0.1", port, "MEMORY_HTTP_HOST", "MEMORY_HTTP_PORT")


def test_taken_port_names_port_and_variable(listener):
    port = listener.getsockname()[1]
    with pytest.raises(StartupError, match=rf"^Port {port} on 127\.0\.0\.1 is already taken: .* MEMORY_GRPC_PORT "):
        ensure_free("127.0.0.1", port, "MEMORY_HOST", "MEMORY_GRPC_PORT")


def test_a_port_that_is_just_being_freed_passes(listener):
    port = listener.getsockname()[1]
    timer = threading.Timer(0.2, listener.close)
    timer.start()
    ensure_free("127.0.0.1", port, "MEMORY_HTTP_HOST", "MEMORY_HTTP_PORT", within_seconds=5)
    timer.join()


def test_port_zero_is_refused():
    with pytest.raises(StartupError, match="MEMORY_HTTP_PORT must name a port"):
        ensure_free("127.0.0.1", 0, "MEMORY_HTTP_HOST", "MEMORY_HTTP_PORT")


def test_foreign_address_is_told():
    with pytest.raises(StartupError, match=r"^MEMORY_HTTP_HOST: 198\.51\.100\.1 is no address of this machine "):
        ensure_free("198.51.100.1", 8000, "MEMORY_HTTP_HOST", "MEMORY_HTTP_PORT")


def test_a_name_that_resolves_to_nothing_is_told():
    with pytest.raises(
        StartupError, match=r"^MEMORY_HTTP_HOST: host\.invalid is no name that this machine can resolve: "
    ):
        ensure_free("host.invalid", 8000, "MEMORY_HTTP_HOST", "MEMORY_HTTP_PORT")


def test_of_a_name_with_both_kinds_of_address_the_ipv4_one_is_taken(listener, monkeypatch):
    """As Envoy does, which looks for the server there."""
    port = listener.getsockname()[1]
    both = [
        (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", port, 0, 0)),
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port)),
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *arguments, **named: both)
    with pytest.raises(StartupError, match=rf"^Port {port} on localhost is already taken: "):
        ensure_free("localhost", port, "MEMORY_HOST", "MEMORY_METRICS_PORT")
    listener.close()
    ensure_free("localhost", port, "MEMORY_HOST", "MEMORY_METRICS_PORT")
    with bound("localhost", port) as taken:
        assert taken.getsockname() == ("127.0.0.1", port)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *arguments, **named: both[:1])
    with bound("localhost", port) as taken:
        assert taken.family == socket.AF_INET6


def test_a_port_that_is_free_here_is_not_called_taken():
    """What else kept gRPC from listening it does not say."""
    port = free_port()
    assert why_refused("127.0.0.1", port, "MEMORY_HOST", "MEMORY_GRPC_PORT") == (
        f"Port {port} on 127.0.0.1 cannot be opened (MEMORY_HOST, MEMORY_GRPC_PORT)."
    )


def test_the_port_of_a_test_is_its_own():
    """Linux gives outgoing connections ports from 32,768 on."""
    ports = [free_port() for _ in range(50)]
    assert len(set(ports)) == 50
    assert max(ports) < 32_768
