"""Identifiers are exact: what looks alike is another tenant or refused, never the same one, wherever it stands."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import grpc
import pytest

from memory_layer.v1 import access_pb2, key_service_pb2
from memory_layer.v1 import memory_service_pb2 as pb
from tests.access import RPCS, Caller, Place, Rpc
from tests.chaos.harness import item, rounds
from tests.conftest import StartRest

Rows = Callable[..., list[tuple[Any, ...]]]
ROOT = "root-key-of-this-test"
# One in so many of the calls is made for each pair, other ones for the next: all are made for some pair. 1 makes all.
EVERY = rounds("TWINS", 4)
# Identifiers that some store, library or reader folds into one.
TWINS = {
    "case": ("acme", "Acme"),
    "NFC and NFD": ("caf\u00e9", "cafe\u0301"),
    "a blank after": ("acme", "acme "),
    "a blank before": ("acme", " acme"),
    "a tab after": ("acme", "acme\t"),
    "a line end after": ("acme", "acme\n"),
    "a no-break space after": ("acme", "acme\u00a0"),
    "a zero-width space": ("acme", "ac\u200bme"),
    "a soft hyphen": ("acme", "ac\u00adme"),
    "full width": ("acme1", "acme\uff11"),
    "compatibility": ("fi", "\ufb01"),
    "sharp s": ("strasse", "stra\u00dfe"),
    "dotless i": ("ISTANBUL", "\u0131stanbul"),
    "Kelvin": ("K", "\u212a"),
    "Cyrillic": ("acme", "\u0430cme"),
    "percent-encoded": ("a b", "a%20b"),
    "plus": ("a b", "a+b"),
    "a full stop after": ("acme", "acme."),
    "a semicolon": ("acme", "acme;v=1"),
    "a quote": ("acme", 'acme"'),
    "leading zeros": ("7", "07"),
    "a longer one": ("x" * 63, "x" * 64),
    "beyond the BMP": ("\U0001f600", "\ufffd"),
    "a slash": ("a/b", "a\\b"),
    "an escaped slash": ("a/b", "a%2Fb"),
    "two slashes": ("a/b", "a//b"),
    "a slash after": ("acme", "acme/"),
    "a way up": ("acme", "x/../acme"),
    "three dots": ("acme", "..."),
}


def places(caller: Caller, rpc: Rpc, values: dict[str, str]) -> list[Place]:
    return [*caller.grpc_places(rpc, values), *caller.rest_places(rpc, values)]


async def key(server: Any, *tenants: str) -> str:
    """An admin key for some tenants."""
    request = key_service_pb2.CreateApiKeyRequest(label="twin", role="admin", tenant_ids=tenants)
    return str((await server.key.CreateApiKey(request, metadata=[("x-api-key", ROOT)])).key)


@pytest.mark.asyncio
@pytest.mark.timeout(600)
async def test_13_twins_are_two_tenants_or_refused(start_rest: StartRest, rows: Rows) -> None:
    wrong: list[str] = []
    named = [rpc for rpc in RPCS if rpc.names_tenants and rpc.access.reach != access_pb2.REACH_ALL_TENANTS]
    assert len(named) >= 9
    with item(13, "exact identifiers") as result:
        async with (
            start_rest(api_keys=ROOT) as rest,
            grpc.aio.insecure_channel(f"127.0.0.1:{rest.server.settings.http_port}") as envoy,
        ):
            caller = Caller(rest.server.channel, envoy, rest.http)
            root = [("x-api-key", ROOT)]
            ids: dict[str, str] = {}
            for tenant in sorted({tenant for pair in TWINS.values() for tenant in pair}):
                request = pb.IngestMessageRequest(
                    tenant_id=tenant, conversation_id="c", role="user", content=f"CANARY of {tenant!a}."
                )
                stored = await rest.server.memory.IngestMessage(request, metadata=root)
                assert stored.tenant_id == tenant, "as it was sent"
                ids[tenant] = stored.id

            async def check(name: str, rpc: Rpc, place: Place, mine: str, sent: str, own_key: str) -> None:
                """With a key for ``mine``, a call that names ``sent``: its own works, its twin's is out of reach."""
                result.tried += 1
                outcome = await place.send(own_key)
                own = mine == sent
                allowed = {"OK"} if own else {"PERMISSION_DENIED", "INVALID_ARGUMENT"}
                if own and "ErasureService" in rpc.path and rpc.name != "PlanErasure":
                    allowed = {"NOT_FOUND"}  # no erasure has the id of the example
                if not own and rpc.access.reach == access_pb2.REACH_TENANTS_OF_KEY:
                    allowed = {"NOT_FOUND", "INVALID_ARGUMENT"}
                shown = [
                    tenant for tenant in ids if f"CANARY of {tenant!a}." in outcome.everything.replace("\\\\", "\\")
                ]
                if outcome.code not in allowed:
                    wrong.append(f"{name}, {rpc.name}, {place.name}: {sent!a} got {outcome.code} {outcome.text}")
                elif set(shown) - {mine}:
                    wrong.append(f"{name}, {rpc.name}, {place.name}: {sent!a} shows {shown}")
                else:
                    result.held += 1

            for turn, (name, pair) in enumerate(TWINS.items()):
                for direction, (mine, twin) in enumerate((pair, pair[::-1])):
                    calls = itertools.count(turn + direction)
                    own_key = await key(rest.server, mine)
                    before = dict(rows("select tenant_id, count(*) from messages group by tenant_id"))
                    await asyncio.gather(
                        *(
                            check(name, rpc, place, mine, sent, own_key)
                            for rpc in named
                            for sent in (mine, twin)
                            # The other calls look for what it would erase.
                            if sent != mine or rpc.name != "DeleteMessage"
                            for place in places(
                                caller,
                                rpc,
                                {
                                    "tenant_id": sent,
                                    "message_id": ids[sent],
                                    "whole_tenant": True,
                                    "archived_since": "2026-01-01T00:00:00Z",
                                },
                            )
                            if next(calls) % EVERY == 0 or rpc.name == "IngestMessage"
                        )
                    )
                    after = dict(rows("select tenant_id, count(*) from messages group by tenant_id"))
                    changed = {tenant for tenant in after if after[tenant] != before.get(tenant)}
                    if changed != {mine}:
                        wrong.append(f"{name}: {changed} changed with a key for {mine!a}")
        result.note = f"{len(TWINS)} pairs"
        print(f"{result.tried} calls, {len(TWINS)} pairs")
        assert not wrong, f"{len(wrong)}:\n" + "\n".join(wrong[:20])
        assert result.tried >= 2000


@pytest.mark.asyncio
async def test_13_blank_identifiers_and_those_with_nul_are_refused_everywhere(start_rest: StartRest) -> None:
    with item(13, "identifiers that are refused") as result:
        async with (
            start_rest(api_keys=ROOT) as rest,
            grpc.aio.insecure_channel(f"127.0.0.1:{rest.server.settings.http_port}") as envoy,
        ):
            caller = Caller(rest.server.channel, envoy, rest.http)
            for tenant in (" ", "\t", "\u00a0", "\u2003 ", "a\0b", "x" * 65, "\u00e9" * 65, ".", ".."):
                for rpc in RPCS:
                    if not rpc.names_tenants:
                        continue
                    for place in places(caller, rpc, {"tenant_id": tenant, "message_id": str(uuid4())}):
                        result.tried += 1
                        outcome = await place.send(ROOT)
                        assert outcome.code in ("INVALID_ARGUMENT", "NOT_FOUND"), f"{rpc.name} {place.name} {tenant!a}"
                        assert outcome.code == "INVALID_ARGUMENT" or "no such path" in outcome.text
                        if set(tenant) == {"."} and outcome.code == "INVALID_ARGUMENT":
                            assert "must not be . or .., which clients and proxies remove from paths" in outcome.text
                        result.held += 1
            assert result.tried >= 200


@pytest.mark.asyncio
async def test_13_a_policy_and_a_conversation_are_exact_too(start_rest: StartRest) -> None:
    async with start_rest() as rest:
        for mine, twin in TWINS.values():
            one, two = (f"/v1/admin/tenants/{_quoted(name)}/policy" for name in (mine, twin))
            assert (await rest.http.put(one, json={"retention": {"max_age_days": 7}})).json()["tenant_id"] == mine
            other = (await rest.http.get(two)).json()
            assert (other["tenant_id"], other["overrides"]) == (twin, [])
            await rest.http.put(one, json={})
            message = {"tenant_id": "t", "conversation_id": mine, "role": "user", "content": "x"}
            stored = (await rest.http.post("/v1/messages", json=message)).json()
            assert stored["conversation_id"] == mine
            for conversation, total in ((mine, 1), (twin, 0)):
                query = {"tenant_id": "t", "query": "x", "conversation_id": conversation}
                found = (await rest.http.get("/v1/memory/search", params=query)).json()
                assert (found["total"] >= 1) == bool(total), conversation
                assert all(hit["conversation_id"] == conversation for hit in found["items"])


def _quoted(name: str) -> str:
    from urllib.parse import quote

    return quote(name, safe="")
