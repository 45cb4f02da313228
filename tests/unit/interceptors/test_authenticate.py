"""x-api-key: who gets in, and that the comparison tells nothing."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import AsyncIterator
from typing import Any

import pytest
from grpc_reflection.v1alpha.reflection_pb2 import ServerReflectionRequest
from pydantic import SecretStr

from memory_grpc.access import ANONYMOUS, Grant, Role
from memory_grpc.errors import StoreUnavailable, Unauthenticated
from memory_grpc.interceptors.authenticate import Authenticate, guard_reflection
from tests.unit.interceptors.fakes import HEALTH, METHOD, PROBE, REFLECTION, fake_call

KEYS = [SecretStr("first-key"), SecretStr("second-key"), SecretStr("third-key")]


class Made:
    """Keys that were made, without a database: ``known``, or (None) a database that is down."""

    def __init__(self, known: dict[str, Grant] | None, *, needed: bool = False) -> None:
        self._known = known
        self._needed = needed

    async def find(self, key: str) -> Grant | None:
        if self._known is None:
            raise StoreUnavailable
        return self._known.get(key)

    async def is_needed(self) -> bool:
        if self._known is None:
            raise StoreUnavailable
        return self._needed


def authenticating(keys: list[SecretStr], made: Made | None = None) -> Authenticate:
    """With the keys of MEMORY_API_KEYS, and those that were made."""
    return Authenticate(keys, lambda: made or Made({}))


async def grant(authenticate: Authenticate, method: str = METHOD, key: str | None = None) -> Grant | None:
    """Passes one call through; returns what was noted on it."""
    call = fake_call(method, metadata={} if key is None else {"x-api-key": key})
    async with authenticate.interceptor(call):
        return call.grant


async def enter(authenticate: Authenticate, method: str = METHOD, key: str | None = None) -> bool:
    """Passes one call through; returns whether it has a grant."""
    return await grant(authenticate, method, key) is not None


@pytest.mark.asyncio
@pytest.mark.parametrize("key", ["first-key", "second-key", "third-key"])
async def test_each_of_the_keys_lets_in(key: str) -> None:
    assert await enter(authenticating(KEYS), key=key)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "key", [None, "", "wrong", "first-key ", " first-key", "FIRST-KEY", "first", "first-key,second-key", "schlüssel"]
)
async def test_nothing_else_does(key: str | None) -> None:
    with pytest.raises(Unauthenticated):
        await enter(authenticating(KEYS), key=key)


@pytest.mark.asyncio
@pytest.mark.parametrize("key", [None, "", "anything"])
async def test_without_keys_everybody_is_let_in(key: str | None) -> None:
    assert await enter(authenticating([]), key=key)


MADE = "mk_9f86d081884c_secret"
READER = Grant(Role.READER, frozenset({"acme"}))


@pytest.mark.asyncio
async def test_a_made_key_grants_what_it_was_made_for_and_those_of_the_setting_everything() -> None:
    both = authenticating(KEYS, Made({MADE: READER}))
    assert await grant(both, key=MADE) == READER
    assert await grant(both, key="first-key") == Grant(Role.ADMIN, None, actor="setting:1")
    assert await grant(authenticating([], Made({MADE: READER}, needed=True)), key=MADE) == READER


@pytest.mark.asyncio
async def test_from_the_first_made_key_on_every_call_needs_one() -> None:
    assert await grant(authenticating([], Made({}))) == ANONYMOUS
    for key in (None, "", "anything", "mk_unknown"):
        with pytest.raises(Unauthenticated):
            await enter(authenticating([], Made({MADE: READER}, needed=True)), key=key)


@pytest.mark.asyncio
async def test_a_made_key_that_is_shown_is_checked_even_where_none_is_needed() -> None:
    with pytest.raises(Unauthenticated):
        await enter(authenticating([], Made({})), key="mk_unknown")
    assert await grant(authenticating([], Made({MADE: READER})), key=MADE) == READER


@pytest.mark.asyncio
async def test_without_a_database_nobody_is_let_in_but_by_the_keys_of_the_setting() -> None:
    down = authenticating(KEYS, Made(None))
    assert await grant(down, key="second-key") == Grant(Role.ADMIN, None, actor="setting:2")
    for authenticate, key in ((down, MADE), (authenticating([], Made(None)), None)):
        with pytest.raises(StoreUnavailable):
            await enter(authenticate, key=key)
    with pytest.raises(Unauthenticated):
        await enter(down)


@pytest.mark.asyncio
async def test_probes_and_health_never_wait_for_the_database() -> None:
    for method in (HEALTH, PROBE):
        for key in (None, MADE):
            assert await grant(authenticating([], Made(None)), method, key) is None


@pytest.mark.asyncio
@pytest.mark.parametrize("method", [HEALTH, PROBE, REFLECTION])
async def test_probes_health_and_reflection_need_no_key_and_the_call_knows(method: str) -> None:
    assert not await enter(authenticating(KEYS), method)
    assert not await enter(authenticating(KEYS), method, "wrong")
    assert await enter(authenticating(KEYS), method, "second-key")


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "method",
    [
        "/memory_layer.v1.AdminService/RunRetention",
        "/memory_layer.v1.AdminService/GetHealth/",
        "/memory_layer.v1.AdminService/gethealth",
        "/memory_layer.v1.MemoryService/GetHealth",
        "/grpc.health.v1.HealthX/Check",
    ],
)
async def test_what_only_looks_like_health_needs_a_key(method: str) -> None:
    with pytest.raises(Unauthenticated):
        await enter(authenticating(KEYS), method)


@pytest.mark.asyncio
@pytest.mark.parametrize("key", ["first-key", "third-key", "wrong", ""])
async def test_every_digest_is_compared_in_constant_time_whatever_the_key(
    key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[tuple[bytes, bytes]] = []
    real = hmac.compare_digest

    def watched(one: bytes, other: bytes) -> bool:
        compared.append((one, other))
        return real(one, other)

    monkeypatch.setattr(hmac, "compare_digest", watched)
    authenticate = authenticating(KEYS)
    try:
        await enter(authenticate, key=key)
    except Unauthenticated:
        pass
    given = hashlib.sha256(key.encode()).digest()
    assert compared == [(given, hashlib.sha256(k.get_secret_value().encode()).digest()) for k in KEYS]


def test_the_keys_themselves_are_not_kept() -> None:
    kept = repr(vars(authenticating(KEYS)))
    assert not any(key.get_secret_value() in kept for key in KEYS)


async def ask(*requests: ServerReflectionRequest, authenticated: bool) -> list[Any]:
    async def stream() -> AsyncIterator[Any]:
        for request in requests:
            yield request

    call = fake_call(REFLECTION, kind="bidi_stream")
    call.grant = Grant(Role.ADMIN, None) if authenticated else None
    return [request async for request in guard_reflection(call, stream())]


HEALTH_QUESTIONS = [
    ServerReflectionRequest(file_containing_symbol="grpc.health.v1.Health"),
    ServerReflectionRequest(file_containing_symbol="grpc.health.v1.Health.Check"),
    ServerReflectionRequest(file_by_filename="grpc_health/v1/health.proto"),
]
OTHER_QUESTIONS = [
    ServerReflectionRequest(),
    ServerReflectionRequest(list_services=""),
    ServerReflectionRequest(list_services="grpc.health.v1."),
    ServerReflectionRequest(file_containing_symbol="memory_layer.v1.MemoryService"),
    ServerReflectionRequest(file_containing_symbol=""),
    ServerReflectionRequest(file_by_filename="memory_layer/v1/memory_service.proto"),
    ServerReflectionRequest(all_extension_numbers_of_type="grpc.health.v1.HealthCheckRequest"),
]


@pytest.mark.asyncio
async def test_with_a_key_reflection_shows_everything() -> None:
    assert await ask(*HEALTH_QUESTIONS, *OTHER_QUESTIONS, authenticated=True) == HEALTH_QUESTIONS + OTHER_QUESTIONS


@pytest.mark.asyncio
async def test_without_a_key_it_shows_what_probes_need() -> None:
    assert await ask(*HEALTH_QUESTIONS, authenticated=False) == HEALTH_QUESTIONS


@pytest.mark.asyncio
@pytest.mark.parametrize("question", OTHER_QUESTIONS, ids=str)
async def test_and_nothing_else_not_even_after_a_good_question(question: ServerReflectionRequest) -> None:
    with pytest.raises(Unauthenticated):
        await ask(HEALTH_QUESTIONS[0], question, authenticated=False)
