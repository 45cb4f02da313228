"""Which addresses only this machine reaches."""

from __future__ import annotations

import pytest

from memory_grpc.addresses import bracketed, is_loopback, leads_here


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
    "host",
    [
        *("127.0.0.1", "127.0.0.2", "127.1", "2130706433", "0x7f.1", "127.0.0.1.", "0", "0.0.0.0"),
        *("::1", "::", "::ffff:127.0.0.1", "::ffff:7f00:2", "::ffff:0.0.0.0", "localhost", "LocalHost."),
    ],
)
def test_however_it_is_written_it_leads_here(host: str) -> None:
    assert leads_here(host)


@pytest.mark.parametrize(
    "host",
    [
        "",
        ".",
        "10.0.0.1",
        "::ffff:10.0.0.1",
        "2001:db8::1",
        "fe80::1%lo",
        "login.example",
        "localhost.example",
        "a" * 99,
    ],
)
def test_addresses_and_names_that_lead_elsewhere_or_anywhere(host: str) -> None:
    assert not leads_here(host)


@pytest.mark.parametrize(
    ("host", "written"), [("::1", "[::1]"), ("[::1]", "[::1]"), ("10.0.0.1", "10.0.0.1"), ("a", "a")]
)
def test_ipv6_addresses_stand_in_brackets(host: str, written: str) -> None:
    assert bracketed(host) == written
