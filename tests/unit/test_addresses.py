"""Which addresses only this machine reaches."""

from __future__ import annotations

import pytest

from memory_grpc.addresses import bracketed, is_loopback


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.8.9.10", "::1", "[::1]", "localhost", "LOCALHOST", "::ffff:127.0.0.1"]
)
def test_loopback(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host",
    ["0.0.0.0", "::", "[::]", "", "10.0.0.1", "::ffff:10.0.0.1", "localhost.example", "server", "127.0.0.1.nip.io"],
)
def test_what_others_reach_is_not_loopback(host: str) -> None:
    assert not is_loopback(host)


@pytest.mark.parametrize(
    ("host", "written"), [("::1", "[::1]"), ("[::1]", "[::1]"), ("10.0.0.1", "10.0.0.1"), ("a", "a")]
)
def test_ipv6_addresses_stand_in_brackets(host: str, written: str) -> None:
    assert bracketed(host) == written
