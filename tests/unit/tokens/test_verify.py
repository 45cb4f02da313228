"""Tokens: which are believed, and that all others are refused in the same way, whatever they are."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization

from memory_grpc.access import Grant, Role
from memory_grpc.errors import IdentityUnavailable
from memory_grpc.operations.tokens import verify
from memory_grpc.operations.tokens.claims import ClaimNames
from memory_grpc.operations.tokens.published_keys import AGAIN_SECONDS, KEEP_SECONDS, PublishedKeys
from memory_grpc.operations.tokens.sources import SourceError
from memory_grpc.operations.tokens.verify import LEEWAY_SECONDS, MOST_CHARACTERS, Expected, Tokens
from tests.tokens import AUDIENCE, ISSUER, claims, jwk, key_set, private_key, token

ALGORITHMS = ("RS256", "ES256", "EdDSA")
NAMES = ClaimNames("memory_role", "memory_tenants")
CANARY = "canary"


class Published:
    """A source whose set can change, and be away."""

    seconds = 1.0

    def __init__(self, *keys: dict[str, Any]) -> None:
        self.document: Any = key_set(*keys)

    def read(self) -> Any:
        if self.document is None:
            raise SourceError("down")
        return self.document


class World:
    """Tokens that are checked by clocks that stand where they are put."""

    def __init__(self, *keys: dict[str, Any], algorithms: Any = ALGORITHMS, issuer: str = ISSUER) -> None:
        self.source = Published(*(keys or tuple(jwk(name) for name in ALGORITHMS)))
        self.now = 0.0
        self.clock = time.time()
        self.woken = 0
        self.keys = PublishedKeys(self.source, algorithms, lambda: self.now)
        self.keys.woken_by(self._wake)
        expected = Expected(issuer, [AUDIENCE, "another"], NAMES)
        self.tokens = Tokens(self.keys, expected, lambda: self.clock, lambda: self.now)

    def _wake(self) -> None:
        self.woken += 1

    async def started(self) -> World:
        await self.keys.refresh()
        return self


def part(value: Any) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def by_hand(header: Any, payload: Any, signature: bytes = b"") -> str:
    return f"{part(header)}.{part(payload)}.{part(signature)}"


def pem() -> bytes:
    public = private_key("RS256").public_key()
    return bytes(public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo))


def confused(algorithm: str) -> str:
    """Signed by HMAC, with the public key in the place of a secret."""
    head = f"{part({'alg': algorithm, 'kid': 'RS256-0', 'typ': 'JWT'})}.{part(claims())}"
    return f"{head}.{part(hmac.new(pem(), head.encode(), hashlib.sha256).digest())}"


@pytest.mark.asyncio
@pytest.mark.parametrize("algorithm", ALGORITHMS)
async def test_a_token_grants_what_its_claims_say(algorithm: str) -> None:
    world = await World().started()
    assert world.tokens.find(token(algorithm)) == Grant(Role.READER, frozenset({"acme"}), actor="jwt:ann")
    every = token(algorithm, memory_role="admin", memory_tenants="*")
    assert world.tokens.find(every) == Grant(Role.ADMIN, None, actor="jwt:ann")
    two = token(algorithm, memory_role="writer", memory_tenants=["acme", "*"], aud=["x", "another"])
    assert world.tokens.find(two) == Grant(Role.WRITER, frozenset({"acme", "*"}), actor="jwt:ann")


REFUSED: dict[str, Callable[[], str]] = {
    "expired": lambda: token(exp=int(time.time() - LEEWAY_SECONDS - 2)),
    "not yet": lambda: token(nbf=int(time.time() + LEEWAY_SECONDS + 5)),
    "made in the future": lambda: token(iat=int(time.time() + LEEWAY_SECONDS + 5)),
    "without an end": lambda: token(exp=None),
    "an end that is text": lambda: token(exp=CANARY),
    "an end that is true": lambda: token(exp=True),
    "an end that never comes": lambda: token(exp=float("inf")),
    "an end that is no number": lambda: token(exp=float("nan")),
    "a beginning that is text": lambda: token(nbf=CANARY),
    "for others": lambda: token(aud="someone else"),
    "for nobody": lambda: token(aud=None),
    "for everybody": lambda: token(aud="*"),
    "of another issuer": lambda: token(iss="https://login.example/"),
    "of no issuer": lambda: token(iss=None),
    "without a subject": lambda: token(sub=None),
    "an empty subject": lambda: token(sub=""),
    "a long subject": lambda: token(sub="x" * 257),
    "a subject of control characters": lambda: token(sub=f"a\n{CANARY}"),
    "a subject that is half a character": lambda: token(sub="\ud800"),
    "a subject that is a number": lambda: token(sub=7),
    "without a role": lambda: token(memory_role=None),
    "an unknown role": lambda: token(memory_role=CANARY),
    "a role in capitals": lambda: token(memory_role="ADMIN"),
    "roles": lambda: token(memory_role=["admin"]),
    "without tenants": lambda: token(memory_tenants=None),
    "no tenant": lambda: token(memory_tenants=[]),
    "a tenant that is text": lambda: token(memory_tenants="acme"),
    "a tenant that is a number": lambda: token(memory_tenants=[1]),
    "a tenant that is empty": lambda: token(memory_tenants=["acme", ""]),
    "a tenant that is long": lambda: token(memory_tenants=["x" * 65]),
    "a tenant that is half a character": lambda: token(memory_tenants=["\udfff"]),
    "tenants in an object": lambda: token(memory_tenants={"acme": True}),
    "a hundred and one tenants": lambda: token(memory_tenants=[f"t{n}" for n in range(101)]),
    "signed by another key": lambda: token("RS256", 1, headers={"kid": "RS256-0"}),
    "signed by a key of another kind": lambda: token("ES256", headers={"kid": "RS256-0"}),
    "of a key that is not known": lambda: token(headers={"kid": CANARY}),
    "of no key": lambda: jwt.encode(claims(), private_key("RS256"), algorithm="RS256"),
    "of a key that is a list": lambda: by_hand({"alg": "RS256", "kid": ["RS256-0"]}, claims()),
    "confused, HS256": lambda: confused("HS256"),
    "confused, RS256": lambda: confused("RS256"),
    "confused, HS256 by the rules": lambda: by_hand({"alg": "HS256", "kid": "RS256-0"}, claims(), b"x" * 32),
    "of another algorithm of the same key": lambda: jwt.encode(
        claims(), private_key("RS256"), algorithm="PS256", headers={"kid": "RS256-0"}
    ),
    "none": lambda: by_hand({"alg": "none", "kid": "RS256-0"}, claims()),
    "None": lambda: by_hand({"alg": "None", "kid": "RS256-0"}, claims(), b"x"),
    "no algorithm": lambda: by_hand({"kid": "RS256-0"}, claims()),
    "no signature": lambda: token().rpartition(".")[0] + ".",
    "its own key": lambda: token("RS256", 1, headers={"kid": "RS256-0", "jwk": jwk("RS256", 1)}),
    "its own place of keys": lambda: token("RS256", 1, headers={"kid": "x", "jku": "http://127.0.0.1:1/keys"}),
    "extensions that must be understood": lambda: token(headers={"crit": ["exp"], "exp": 1}),
    "claims that were changed": lambda: ".".join(
        [token().split(".")[0], part(claims(memory_role="admin")), token().split(".")[2]]
    ),
    "too long": lambda: token(padding="x" * MOST_CHARACTERS),
    "nothing": lambda: "",
    "words": lambda: CANARY,
    "five parts": lambda: "a.b.c.d.e",
    "no letters of base64": lambda: "é.ü.ñ",
    "half a character": lambda: "\ud800.a.b",
    "deep": lambda: by_hand(b"[" * 3000, b"[" * 3000),
    "deep claims": lambda: by_hand({"alg": "RS256", "kid": "RS256-0"}, b'{"a":' * 1000),
    "a list": lambda: by_hand([], []),
    "random bytes": lambda: by_hand(bytes(range(256)), bytes(range(256)), bytes(256)),
}


@pytest.mark.asyncio
@pytest.mark.parametrize("name", REFUSED)
async def test_whatever_is_wrong_with_a_token_it_is_refused_and_the_log_repeats_nothing(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = await World().started()
    lines: list[tuple[str, dict[str, str]]] = []

    class Recorder:
        def info(self, event: str, **fields: str) -> None:
            lines.append((event, fields))

    monkeypatch.setattr(verify, "log", Recorder())
    assert world.tokens.find(REFUSED[name]()) is None
    assert [event for event, _ in lines] == ["token_refused"]
    assert CANARY not in repr(lines)
    assert len(lines[0][1]["kind"]) < 40


@pytest.mark.asyncio
async def test_clocks_may_differ_a_little() -> None:
    world = await World().started()
    assert world.tokens.find(token(exp=int(world.clock) - 5, nbf=int(world.clock) + 5, iat=int(world.clock) + 5))


@pytest.mark.asyncio
async def test_a_token_that_was_checked_ends_when_it_ends_all_the_same() -> None:
    world = await World().started()
    short = token(exp=int(world.clock) + 10)
    assert world.tokens.find(short)
    world.clock += 10 + LEEWAY_SECONDS + 1
    assert world.tokens.find(short) is None


@pytest.mark.asyncio
async def test_only_algorithms_that_are_allowed() -> None:
    world = await World(algorithms=("ES256",)).started()
    assert world.tokens.find(token("ES256"))
    assert world.tokens.find(token("RS256")) is None
    assert world.tokens.find(token("EdDSA")) is None


@pytest.mark.asyncio
async def test_without_an_issuer_the_keys_alone_say_who_is_believed() -> None:
    world = await World(issuer="").started()
    assert world.tokens.find(token(iss="https://anybody.example"))
    assert world.tokens.find(token(iss=None))


@pytest.mark.asyncio
async def test_keys_rotate_with_both_in_the_set_and_one_that_was_taken_out_ends() -> None:
    world = await World(jwk("RS256", 0)).started()
    old, new = token("RS256", 0), token("RS256", 1)
    assert (world.tokens.find(old) is not None, world.tokens.find(new) is not None) == (True, False)
    assert world.woken == 1, "a key that is not known has the set read again"
    world.tokens.find(new)
    assert world.woken == 1, "and not with every call"
    world.now += AGAIN_SECONDS
    world.tokens.find(new)
    assert world.woken == 2
    world.source.document = key_set(jwk("RS256", 0), jwk("RS256", 1))
    await world.keys.refresh()
    assert world.tokens.find(old) and world.tokens.find(new)
    world.source.document = key_set(jwk("RS256", 1))
    await world.keys.refresh()
    assert world.tokens.find(old) is None, "not even from memory"
    assert world.tokens.find(new)


@pytest.mark.asyncio
async def test_another_key_under_the_same_id_takes_the_place_of_the_first() -> None:
    world = await World(jwk("RS256", 0)).started()
    assert world.tokens.find(token("RS256", 0))
    world.source.document = key_set(jwk("RS256", 1, kid="RS256-0"))
    await world.keys.refresh()
    assert world.tokens.find(token("RS256", 0)) is None
    assert world.tokens.find(token("RS256", 1, headers={"kid": "RS256-0"}))


@pytest.mark.asyncio
async def test_while_there_is_no_set_a_token_has_one_looked_for() -> None:
    world = World()
    for _ in range(3):
        with pytest.raises(IdentityUnavailable):
            world.tokens.find(token())
    assert world.woken == 1
    world.now += AGAIN_SECONDS
    with pytest.raises(IdentityUnavailable):
        world.tokens.find("nonsense")
    assert world.woken == 2


@pytest.mark.asyncio
@pytest.mark.parametrize("away", [None, {}, {"keys": []}, {"keys": "x"}, [], "x", key_set(jwk(kid=None))])
async def test_a_set_that_cannot_be_read_leaves_the_last_one_for_a_while_and_then_nobody_is_let_in(away: Any) -> None:
    world = World()
    with pytest.raises(IdentityUnavailable):
        world.tokens.find(token())
    await world.keys.refresh()
    assert world.tokens.find(token())
    world.source.document = away
    world.now += KEEP_SECONDS
    await world.keys.refresh()
    assert world.tokens.find(token())
    world.now += 1
    with pytest.raises(IdentityUnavailable):
        world.tokens.find(token())
    world.source.document = key_set(jwk())
    await world.keys.refresh()
    assert world.tokens.find(token())


@pytest.mark.asyncio
@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
@pytest.mark.parametrize(
    "unfit",
    [
        jwk("weak", kid="RS256-0"),
        jwk("RS256", use="enc"),
        jwk("RS256", alg="PS256"),
        jwk("RS256", alg="HS256"),
        jwk("RS256", kty="oct"),
        {"kty": "oct", "k": "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0", "kid": "RS256-0"},
        jwk("RS256", n="x"),
        jwk("ES256", crv="P-999"),
        "x",
        None,
    ],
)
async def test_keys_that_are_unfit_are_left_out_of_a_set(unfit: Any) -> None:
    world = await World(unfit, jwk("EdDSA")).started()
    assert world.tokens.find(token("EdDSA"))
    assert world.tokens.find(token("RS256")) is None
    assert world.tokens.find(token("weak", headers={"kid": "RS256-0"})) is None
