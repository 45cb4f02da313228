"""Calls per client: who the client is, how many calls it has, and when it may come back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from uuid import uuid4

import pytest

from memory_grpc.access import EVERYTHING, Grant, Role
from memory_grpc.errors import KeyRateLimited, RateLimited, StartupError, TenantRateLimited
from memory_grpc.interceptors.call import Call
from memory_grpc.interceptors.client_address import ClientAddresses
from memory_grpc.interceptors.counts import Counts
from memory_grpc.interceptors.key_limit import KeyRateLimit
from memory_grpc.interceptors.rate_limit import RateLimit, TenantRateLimit
from memory_grpc.settings import Settings
from tests.unit.interceptors.fakes import HEALTH, METHOD, PROBE, REFLECTION, fake_call

LOOPBACK = ["127.0.0.0/8", "::1/128"]
ENVOY = "ipv4:127.0.0.1:40000"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """time.time, moved by hand: a list of one moment."""
    now = [1_700_000_000.0]
    monkeypatch.setattr(time, "time", lambda: now[0])
    return now


def limit(notation: str = "3/minute", trusted: list[str] = LOOPBACK) -> RateLimit:
    return RateLimit(notation, ClientAddresses(trusted), Counts())


def client_ip(peer: str, forwarded_for: str, trusted: list[str] = LOOPBACK) -> str:
    return ClientAddresses(trusted).of(peer, forwarded_for)


async def call(
    rate_limit: RateLimit, method: str = METHOD, peer: str = "ipv4:203.0.113.7:1", forwarded_for: str | None = None
) -> None:
    metadata = {} if forwarded_for is None else {"x-forwarded-for": forwarded_for}
    async with rate_limit.interceptor(fake_call(method, peer=peer, metadata=metadata)):
        pass


@pytest.mark.asyncio
async def test_the_storage_forgets_old_clients_now_and_then_and_not_with_every_call(
    clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("memory_grpc.interceptors.counts._EXPIRY_SECONDS", 3600.0)
    rate_limit = limit()
    counts = rate_limit._counts

    async def calls_until(holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(30):
            while not holds():
                await call(rate_limit, peer="ipv4:203.0.113.250:1")
                clock[0] += 120  # never over the limit
                await asyncio.sleep(0.001)

    await calls_until(lambda: counts._rest is not None)
    resting = counts._rest
    for number in range(50):
        await call(rate_limit, peer=f"ipv4:203.0.113.{number}:1")
        clock[0] += 120
        await asyncio.sleep(0.001)
    assert counts._memory.timer is resting
    assert len(counts._memory.events) == 51

    assert resting is not None
    resting.cancel()  # as if its time had come
    await asyncio.wait([resting])
    await calls_until(lambda: len(counts._memory.events) == 1)
    await calls_until(lambda: counts._rest is not resting)


@pytest.mark.parametrize(
    ("peer", "address"),
    [
        ("ipv4:203.0.113.7:4242", "203.0.113.7"),
        ("ipv6:%5B2001:db8::7%5D:4242", "2001:db8::7"),
        ("ipv6:[2001:db8::7]:4242", "2001:db8::7"),
        ("ipv6:%5B::1%5D:4242", "::1"),
        ("ipv6:%5B::ffff:203.0.113.7%5D:4242", "203.0.113.7"),
        ("ipv6:%5Bfe80::1%25eth0%5D:4242", "fe80::1"),
        ("unix:", "127.0.0.1"),
        ("unix:/tmp/socket", "127.0.0.1"),
    ],
)
def test_the_peer_is_the_client(peer: str, address: str) -> None:
    assert client_ip(peer, "") == address


@pytest.mark.parametrize(
    ("peer", "forwarded_for", "address"),
    [
        # A trusted proxy says who called it; only what it wrote itself, the last entry, is believed.
        (ENVOY, "198.51.100.9", "198.51.100.9"),
        ("ipv6:%5B::1%5D:40000", "2001:db8::9", "2001:db8::9"),
        ("unix:/tmp/envoy", "198.51.100.9", "198.51.100.9"),
        (ENVOY, "1.1.1.1, 198.51.100.9", "198.51.100.9"),
        (ENVOY, "127.0.0.1, 198.51.100.9", "198.51.100.9"),
        (ENVOY, "1.1.1.1,2.2.2.2 ,  198.51.100.9 ", "198.51.100.9"),
        (ENVOY, "nonsense, ', 198.51.100.9", "198.51.100.9"),
        # Proxies before it that are trusted as well are passed over, to the first that is not.
        (ENVOY, "1.1.1.1, 198.51.100.9, 127.0.0.2", "198.51.100.9"),
        (ENVOY, "127.0.0.3, 127.0.0.2", "127.0.0.3"),
        (ENVOY, "1.1.1.1, nonsense, 127.0.0.2", "unknown"),
        # Proxies that write ports, and every spelling of an address.
        (ENVOY, "203.0.113.8:50001", "203.0.113.8"),
        (ENVOY, "[2001:db8::1]:50001", "2001:db8::1"),
        (ENVOY, "[2001:db8::1]", "2001:db8::1"),
        (ENVOY, "2001:DB8:0:0::1", "2001:db8::1"),
        (ENVOY, "::ffff:203.0.113.8", "203.0.113.8"),
        (ENVOY, "198.51.100.9:6000, 127.0.0.1:6001", "198.51.100.9"),
        (ENVOY, "x" * 1000, "unknown"),
        # Nothing was said.
        (ENVOY, "", "127.0.0.1"),
        (ENVOY, " , ,", "127.0.0.1"),
        # A stranger can say what it wants.
        ("ipv4:203.0.113.7:4242", "198.51.100.9", "203.0.113.7"),
        ("ipv4:203.0.113.7:4242", "127.0.0.1", "203.0.113.7"),
        ("ipv6:%5B2001:db8::7%5D:4242", "198.51.100.9, 127.0.0.1", "2001:db8::7"),
    ],
)
def test_x_forwarded_for_is_believed_only_of_trusted_proxies(peer: str, forwarded_for: str, address: str) -> None:
    assert client_ip(peer, forwarded_for) == address


def test_without_trusted_proxies_nothing_is_believed() -> None:
    assert client_ip(ENVOY, "198.51.100.9", []) == "127.0.0.1"


def test_a_network_of_proxies_can_be_trusted() -> None:
    assert client_ip("ipv4:10.1.2.3:1", "198.51.100.9, 10.9.9.9", ["10.0.0.0/8"]) == "198.51.100.9"
    assert client_ip("ipv4:11.1.2.3:1", "198.51.100.9", ["10.0.0.0/8"]) == "11.1.2.3"


@pytest.mark.asyncio
async def test_the_call_after_the_last_allowed_one_is_refused_with_the_time_to_wait(clock: list[float]) -> None:
    rate_limit = limit()
    for _ in range(3):
        await call(rate_limit)
        clock[0] += 10
    with pytest.raises(RateLimited) as caught:
        await call(rate_limit)
    assert caught.value.retry_after_seconds == pytest.approx(30)


@pytest.mark.asyncio
async def test_the_window_moves(clock: list[float]) -> None:
    rate_limit = limit()
    for _ in range(3):
        await call(rate_limit)
        clock[0] += 10
    clock[0] += 29
    with pytest.raises(RateLimited):
        await call(rate_limit)
    clock[0] += 2
    await call(rate_limit)
    with pytest.raises(RateLimited):
        await call(rate_limit)


@pytest.mark.asyncio
async def test_a_refused_call_costs_nothing(clock: list[float]) -> None:
    rate_limit = limit("1/minute")
    await call(rate_limit)
    for _ in range(10):
        clock[0] += 5
        with pytest.raises(RateLimited):
            await call(rate_limit)
    clock[0] += 11
    await call(rate_limit)


@pytest.mark.asyncio
async def test_each_client_has_its_own_count_whatever_its_port(clock: list[float]) -> None:
    rate_limit = limit("1/minute")
    await call(rate_limit, peer="ipv4:203.0.113.7:1")
    await call(rate_limit, peer="ipv4:203.0.113.8:1")
    await call(rate_limit, peer=ENVOY, forwarded_for="198.51.100.9")
    for peer, forwarded_for in [("ipv4:203.0.113.7:2", None), (ENVOY, "198.51.100.9"), (ENVOY, "203.0.113.8")]:
        with pytest.raises(RateLimited):
            await call(rate_limit, peer=peer, forwarded_for=forwarded_for)


@pytest.mark.asyncio
async def test_a_forged_header_gives_no_fresh_count(clock: list[float]) -> None:
    rate_limit = limit("1/minute")
    await call(rate_limit, forwarded_for="10.0.0.1")
    with pytest.raises(RateLimited):
        await call(rate_limit, forwarded_for="10.0.0.2")
    await call(rate_limit, peer=ENVOY, forwarded_for="10.0.0.3, 198.51.100.9")
    with pytest.raises(RateLimited):
        await call(rate_limit, peer=ENVOY, forwarded_for="10.0.0.4, 198.51.100.9")


@pytest.mark.asyncio
@pytest.mark.parametrize("method", [HEALTH, PROBE])
async def test_probes_are_counted_apart(method: str, clock: list[float]) -> None:
    rate_limit = limit("2/minute")
    for _ in range(2):
        await call(rate_limit, method)
    with pytest.raises(RateLimited):
        await call(rate_limit, method)
    for _ in range(2):
        await call(rate_limit)
    with pytest.raises(RateLimited):
        await call(rate_limit)
    clock[0] += 61
    await call(rate_limit, method)


@pytest.mark.asyncio
@pytest.mark.parametrize("method", [HEALTH, PROBE])
async def test_a_trusted_proxy_s_own_probes_are_not_counted(method: str, clock: list[float]) -> None:
    rate_limit = limit("1/minute")
    for _ in range(5):
        await call(rate_limit, method, peer=ENVOY)
    await call(rate_limit, method, peer=ENVOY, forwarded_for="198.51.100.9")
    with pytest.raises(RateLimited):
        await call(rate_limit, method, peer=ENVOY, forwarded_for="198.51.100.9")


@pytest.mark.asyncio
async def test_reflection_which_tells_whether_a_key_holds_counts_as_any_call(clock: list[float]) -> None:
    rate_limit = limit("2/minute")
    await call(rate_limit, REFLECTION, peer=ENVOY)
    await call(rate_limit, peer=ENVOY)
    for method in (REFLECTION, METHOD):
        with pytest.raises(RateLimited):
            await call(rate_limit, method, peer=ENVOY)


@pytest.mark.asyncio
async def test_several_limits_all_hold(clock: list[float]) -> None:
    rate_limit = limit("2/second;3/minute")
    await call(rate_limit)
    await call(rate_limit)
    with pytest.raises(RateLimited) as caught:
        await call(rate_limit)
    assert caught.value.retry_after_seconds <= 1
    clock[0] += 1.5
    await call(rate_limit)
    with pytest.raises(RateLimited) as caught:
        await call(rate_limit)
    assert caught.value.retry_after_seconds > 50


@pytest.mark.asyncio
@pytest.mark.parametrize("notation", ["", "  "])
async def test_no_limit_is_a_limit_too(notation: str, clock: list[float]) -> None:
    rate_limit = limit(notation)
    for _ in range(300):
        await call(rate_limit)


@pytest.mark.asyncio
async def test_the_documented_default_allows_200_a_minute(clock: list[float]) -> None:
    settings = Settings()
    rate_limit = limit(settings.global_rate_limit, settings.trusted_proxies)
    for _ in range(200):
        await call(rate_limit)
    with pytest.raises(RateLimited) as caught:
        await call(rate_limit)
    assert caught.value.retry_after_seconds == pytest.approx(60)


@pytest.mark.parametrize("notation", ["lots", "200", "200/fortnight", "-1/minute"])
def test_a_limit_that_is_none_stops_the_start(notation: str) -> None:
    with pytest.raises(StartupError, match="MEMORY_GLOBAL_RATE_LIMIT"):
        limit(notation)


@pytest.mark.parametrize("network", ["everybody", "10.0.0.0/33", "10.0.0.1/8"])
def test_a_network_that_is_none_stops_the_start(network: str) -> None:
    with pytest.raises(StartupError, match="MEMORY_TRUSTED_PROXIES"):
        limit(trusted=[network])


@pytest.mark.asyncio
async def test_ipv6_clients_are_counted_by_their_network(clock: list[float]) -> None:
    rate_limit = limit("1/minute")
    await call(rate_limit, peer=ENVOY, forwarded_for="2001:db8:1:2::1")
    for same in ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", "[2001:DB8:1:2::3]:5000"):
        with pytest.raises(RateLimited):
            await call(rate_limit, peer=ENVOY, forwarded_for=same)
    await call(rate_limit, peer=ENVOY, forwarded_for="2001:db8:1:3::1")


def of_tenant(grant: Grant = EVERYTHING, kind: str = "unary") -> Call:
    made = fake_call(METHOD, kind=kind)
    made.grant = grant
    return made


@pytest.mark.asyncio
async def test_a_tenant_has_a_limit_whoever_calls(clock: list[float]) -> None:
    tenants = TenantRateLimit("2/minute", Counts())
    await tenants.count(of_tenant(), ["acme"])
    await tenants.count(of_tenant(Grant(Role.READER, frozenset({"acme"}))), [""])
    for grant in (EVERYTHING, Grant(Role.READER, frozenset({"acme"}))):
        with pytest.raises(TenantRateLimited) as caught:
            await tenants.count(of_tenant(grant), ["acme"])
        assert 0 < caught.value.retry_after_seconds <= 60
    await tenants.count(of_tenant(), ["other"])


@pytest.mark.asyncio
async def test_a_stream_is_a_call_of_each_tenant_that_it_names(clock: list[float]) -> None:
    tenants = TenantRateLimit("1/minute", Counts())
    stream = of_tenant(kind="bidi_stream")
    for name in ("acme", "acme", "other", "acme"):
        await tenants.count(stream, [name])
    for name in ("acme", "other"):
        with pytest.raises(TenantRateLimited):
            await tenants.count(of_tenant(), [name])


@pytest.mark.asyncio
async def test_a_key_has_the_limit_that_it_was_made_with(clock: list[float]) -> None:
    keys = KeyRateLimit(Counts())
    bot, other = (Grant(Role.READER, None, uuid4(), rate_limit=2) for _ in range(2))

    async def use(grant: Grant, kind: str = "unary") -> None:
        async with keys.interceptor(of_tenant(grant, kind)):
            pass

    await use(bot)
    await use(bot, "bidi_stream")
    with pytest.raises(KeyRateLimited) as caught:
        await use(bot)
    assert 0 < caught.value.retry_after_seconds <= 60
    await use(other)
    for _ in range(10):
        await use(Grant(Role.READER, None, uuid4()))
    clock[0] += 61
    await use(bot)


@pytest.mark.asyncio
async def test_without_a_limit_tenants_are_not_counted() -> None:
    tenants = TenantRateLimit("", Counts())
    for _ in range(100):
        await tenants.count(of_tenant(), ["acme"])
