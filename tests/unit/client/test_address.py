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
