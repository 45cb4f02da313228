"""Addresses as people write them."""

from __future__ import annotations

import pytest

from memory_grpc.client.address import Endpoint, parse


@pytest.mark.parametrize(
    ("address", "endpoint"),
    [
        ("http://127.0.0.1:8000", Endpoint("127.0.0.1", 8000, False)),
        ("http://127.0.0.1:8000/", Endpoint("127.0.0.1", 8000, False)),
        ("https://memory.example.com", Endpoint("memory.example.com", 443, True)),
        ("http://memory.example.com", Endpoint("memory.example.com", 80, False)),
        ("grpc://memory", Endpoint("memory", 50051, False)),
        ("grpcs://memory:50052", Endpoint("memory", 50052, True)),
        ("memory", Endpoint("memory", 50051, False)),
        ("localhost:50051", Endpoint("localhost", 50051, False)),
        ("[::1]:50051", Endpoint("::1", 50051, False)),
        ("https://[::1]", Endpoint("::1", 443, True)),
    ],
)
def test_an_address_is_a_host_a_port_and_whether_it_is_tls(address: str, endpoint: Endpoint) -> None:
    assert parse(address) == endpoint


def test_an_ipv6_address_stands_in_brackets_before_its_port() -> None:
    assert parse("[::1]:50051").target == "[::1]:50051"


@pytest.mark.parametrize(
    "address",
    [
        "",
        "ftp://a:1",
        "http://",
        "a:b",
        "a:0",
        "a:65536",
        "http://key@a:1",
        "http://a:1/v1",
        "http://a?x=1",
        "http://a#b",
    ],
)
def test_what_says_more_or_less_is_refused_without_repeating_it(address: str) -> None:
    with pytest.raises(ValueError, match=r"^address: ") as refused:
        parse(address)
    assert "key@" not in str(refused.value)


@pytest.mark.parametrize(
    "address", ["memory.example.com", "memory.example.com:443", "10.0.0.7:50051", "[2001:db8::1]:80"]
)
def test_a_key_goes_to_another_machine_in_clear_only_where_that_is_said(address: str):
    parse(address)
    for said in (f"http://{address}", f"https://{address}"):
        parse(said, with_key=True)
    with pytest.raises(ValueError, match=r"^address: start it with https://"):
        parse(address, with_key=True)
    for local in ("127.0.0.1:50051", "localhost", "[::1]:8000"):
        parse(local, with_key=True)
