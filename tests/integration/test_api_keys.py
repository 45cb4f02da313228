"""Keys that are made, listed and revoked: by RPC, by REST and on the command line; on every server; kept as digests."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import grpc
import psycopg
import pytest
from grpc_status import rpc_status

from memory_grpc import access
from memory_grpc.access import EVERYTHING
from memory_grpc.domain.keys import NewApiKey
from memory_grpc.operations.keys.api_keys import Keys
from memory_grpc.operations.keys.keyring import Keyring
from memory_grpc.store.database import Database
from memory_layer.v1 import key_service_pb2 as keys_pb
from memory_layer.v1 import memory_service_pb2 as pb
from memory_layer.v1 import policy_service_pb2
from tests.chaos.harness import connected, fetch, reported, scrape, serving
from tests.conftest import RunningRest, StartRest, StartServer
from tests.integration.test_cli import Cli

Rows = Callable[..., list[tuple[Any, ...]]]
ROOT = "root-key-of-this-test"
# What the contract promises: a revocation holds everywhere within 5 seconds.
PROMISED_SECONDS = 5.0


def sent(key: str) -> list[tuple[str, str]]:
    return [("x-api-key", key)]


async def made(server: Any, *tenants: str, role: str = "reader", by: str = ROOT, **fields: Any) -> Any:
    """A key for some tenants, or without any for all."""
    request = keys_pb.CreateApiKeyRequest(
        label="a test's", role=role, tenant_ids=tenants, all_tenants=not tenants, **fields
    )
    return await server.key.CreateApiKey(request, metadata=sent(by) if by else None)


async def search(server: Any, key: str, tenant: str = "acme") -> grpc.StatusCode:
    """Searches with a key; the code of what came back."""
    try:
        await server.memory.SearchMemories(
            pb.SearchMemoriesRequest(tenant_id=tenant, query="q"), metadata=sent(key), timeout=10
        )
    except grpc.aio.AioRpcError as error:
        return error.code()
    return grpc.StatusCode.OK


async def ends(server: Any, key: str, since: float) -> None:
    """Returns when a key is refused; no call that began later than promised may be served."""
    while True:
        began = time.monotonic()
        code = await search(server, key)
        if code is not grpc.StatusCode.OK:
            assert code is grpc.StatusCode.UNAUTHENTICATED
            return
        assert began - since < PROMISED_SECONDS
        await asyncio.sleep(0.05)


async def refused(call: Any) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value


def details(error: grpc.aio.AioRpcError) -> str:
    """All that a client is told."""
    status = rpc_status.from_call(error)
    return f"{error.code()} {error.details()} {status}"


@pytest.mark.asyncio
@reported(10, "API keys")
async def test_10_a_key_is_made_used_listed_and_revoked(start_server: StartServer) -> None:
    async with start_server(api_keys=ROOT) as server:
        first = await made(server, "acme", "globex")
        assert access.prefix_of(first.key) == first.api_key.prefix
        assert list(first.api_key.tenant_ids) == ["acme", "globex"]
        assert not first.api_key.HasField("revoked_at")
        assert await search(server, first.key) is grpc.StatusCode.OK
        assert await search(server, first.key, "globex") is grpc.StatusCode.OK
        assert await search(server, first.key, "initech") is grpc.StatusCode.PERMISSION_DENIED

        second = await made(server, role="admin")
        assert second.api_key.all_tenants
        listed = await server.key.ListApiKeys(keys_pb.ListApiKeysRequest(), metadata=sent(second.key))
        assert list(listed.api_keys) == [first.api_key, second.api_key]
        assert first.key not in str(listed)

        revoke = keys_pb.RevokeApiKeyRequest(key_id=first.api_key.id)
        revoked = await server.key.RevokeApiKey(revoke, metadata=sent(second.key))
        assert revoked.HasField("revoked_at")
        assert await search(server, first.key) is grpc.StatusCode.UNAUTHENTICATED, "at once where it was revoked"
        assert await server.key.RevokeApiKey(revoke, metadata=sent(ROOT)) == revoked, "again: the same"
        unknown = await refused(
            server.key.RevokeApiKey(keys_pb.RevokeApiKeyRequest(key_id=str(uuid4())), metadata=sent(ROOT))
        )
        assert unknown.code() is grpc.StatusCode.NOT_FOUND
        assert await search(server, ROOT) is grpc.StatusCode.OK
        assert await search(server, second.key, "anybody") is grpc.StatusCode.OK


@pytest.mark.asyncio
@reported(10, "API keys")
async def test_10_a_key_that_does_not_hold_gets_one_answer_whatever_the_reason(
    start_server: StartServer, rows: Rows
) -> None:
    async with start_server(api_keys=ROOT) as server:
        revoked, expired, other = [await made(server, "acme") for _ in range(3)]
        await server.key.RevokeApiKey(keys_pb.RevokeApiKeyRequest(key_id=revoked.api_key.id), metadata=sent(ROOT))
        rows("update api_keys set expires_at = now() where id = %s", expired.api_key.id)
        wrong_secret = f"mk_{other.api_key.prefix}_{'A' * 43}"
        bad = [revoked.key, expired.key, access.new_key(), wrong_secret, "mk_", "unknown", other.key + "x", ""]
        answers = set()
        for key in bad:
            request = pb.SearchMemoriesRequest(tenant_id="acme", query="q")
            answers.add(details(await refused(server.memory.SearchMemories(request, metadata=sent(key)))))
        (answer,) = answers
        assert "StatusCode.UNAUTHENTICATED A valid x-api-key or token is required." in answer
        assert await search(server, other.key) is grpc.StatusCode.OK


@pytest.mark.asyncio
@reported(10, "API keys")
async def test_10_an_expiry_lies_ahead_and_then_ends_the_key(start_server: StartServer) -> None:
    async with start_server(api_keys=ROOT) as server:
        year = datetime.now(UTC) + timedelta(days=365)
        long = await made(server, "acme", expires_at=year)
        assert long.api_key.expires_at.ToDatetime(tzinfo=UTC) == year
        assert await search(server, long.key) is grpc.StatusCode.OK
        key = await made(server, "acme", expires_at=datetime.now(UTC) + timedelta(seconds=2))
        await ends(server, key.key, time.monotonic() + 2)
        late = await refused(made(server, "acme", expires_at=datetime.now(UTC) - timedelta(seconds=1)))
        assert late.details() == "expires_at: must be in the future"


@pytest.mark.asyncio
@reported(10, "API keys")
async def test_10_a_revocation_holds_on_every_server_within_the_promised_time(
    start_server: StartServer, rows: Rows
) -> None:
    async with start_server(api_keys=ROOT) as one, start_server(api_keys=ROOT) as two:
        key = await made(one, "acme", role="writer")
        assert await search(one, key.key) is grpc.StatusCode.OK
        assert await search(two, key.key) is grpc.StatusCode.OK

        # A stream that was open before is ended too.
        message = pb.IngestMessageRequest(tenant_id="acme", conversation_id="c", role="user", content="streamed")
        stream = two.memory.StreamIngest(metadata=sent(key.key))

        async def streamed() -> int:
            await stream.write(pb.StreamIngestRequest(message=message))
            return int((await stream.read()).sequence)

        assert [await streamed() for _ in range(3)] == [0, 1, 2]
        await one.key.RevokeApiKey(keys_pb.RevokeApiKeyRequest(key_id=key.api_key.id), metadata=sent(ROOT))
        await ends(two, key.key, time.monotonic())
        with pytest.raises(grpc.aio.AioRpcError) as ended:
            await streamed()
        assert ended.value.code() is grpc.StatusCode.UNAUTHENTICATED
        assert await search(one, key.key) is grpc.StatusCode.UNAUTHENTICATED
        assert rows("select count(*) from messages") == [(3,)]


@pytest.mark.asyncio
@reported(10, "API keys")
async def test_10_two_keys_of_one_prefix_both_hold_and_are_told_apart(database: Database) -> None:
    texts = [f"mk_{'0' * 12}_{letter * 43}" for letter in "AB"]
    given = iter(texts)
    keyring = Keyring(database)
    keys = Keys(database, keyring, uuid4, lambda: next(given))
    one, _ = await keys.create(NewApiKey("one", "reader", ("acme",)), EVERYTHING)
    two, _ = await keys.create(NewApiKey("two", "writer", None), EVERYTHING)
    assert one.prefix == two.prefix
    found = [await keyring.find(text) for text in texts]
    assert [grant and (grant.key_id, grant.tenants) for grant in found] == [
        (one.id, frozenset({"acme"})),
        (two.id, None),
    ]
    await keys.revoke(one.id, EVERYTHING)
    assert await keyring.find(texts[0]) is None
    assert await keyring.find(texts[1]) is not None
    assert await keyring.find(f"mk_{'0' * 12}_{'C' * 43}") is None


@pytest.mark.asyncio
@reported(10, "API keys")
async def test_10_what_is_read_of_keys_is_read_once_and_believed_for_a_moment(database: Database) -> None:
    keyring = Keyring(database)
    keys = Keys(database, keyring, uuid4, access.new_key)
    _, key = await keys.create(NewApiKey("a", "reader", None), EVERYTHING)
    reads = 0
    real = keyring._keys._read

    async def counted(prefix: str) -> Any:
        nonlocal reads
        reads += 1
        return await real(prefix)

    keyring._keys._read = counted
    assert all(await asyncio.gather(*(keyring.find(key) for _ in range(50))))
    assert reads == 1
    # What was being read while a key was revoked is not believed afterwards.
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slow(prefix: str) -> Any:
        found = await real(prefix)
        begun.set()
        await go_on.wait()
        return found

    another, text = await keys.create(NewApiKey("b", "reader", None), EVERYTHING)
    keyring._keys._read = slow
    reading = asyncio.create_task(keyring.find(text))
    await begun.wait()
    await keys.revoke(another.id, EVERYTHING)
    go_on.set()
    await reading
    assert await keyring.find(text) is None
    keyring._keys._read = counted
    assert await keyring.find(key) is not None
    await database.close()  # the database is gone; what is remembered still holds
    assert await keyring.find(key) is not None
    keyring.forget()
    with pytest.raises(Exception, match="database"):
        await keyring.find(key)


@pytest.mark.asyncio
@reported(10, "API keys")
async def test_10_without_keys_the_service_is_open_until_the_first_key_which_locks_nobody_out(
    start_server: StartServer, rows: Rows
) -> None:
    async with start_server() as one, start_server() as two:
        assert await search(one, "") is grpc.StatusCode.OK
        assert await search(two, "") is grpc.StatusCode.OK
        for fields in ({"role": "reader"}, {"role": "writer"}, {"role": "admin", "tenant": "acme"}):
            tenants = [fields["tenant"]] if "tenant" in fields else []
            error = await refused(made(one, *tenants, role=fields["role"], by=""))
            assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
            assert "the first key must be an admin key for all tenants" in str(error.details())
        root = await made(one, role="admin", by="")
        assert await search(one, "") is grpc.StatusCode.UNAUTHENTICATED, "at once where it was made"
        late = await refused(made(two, role="admin", by=""))
        assert late.code() is grpc.StatusCode.UNAUTHENTICATED, "also where the first one is not known yet"
        await ends(two, "", time.monotonic())
        assert await search(two, root.key) is grpc.StatusCode.OK
        # Revoking the last one opens nothing again.
        await one.key.RevokeApiKey(keys_pb.RevokeApiKeyRequest(key_id=root.api_key.id), metadata=sent(root.key))
        await asyncio.sleep(PROMISED_SECONDS - 2)
        assert await search(two, "") is grpc.StatusCode.UNAUTHENTICATED
        assert await search(two, root.key) is grpc.StatusCode.UNAUTHENTICATED
    async with start_server(api_keys=ROOT) as again:
        assert await search(again, ROOT) is grpc.StatusCode.OK, "the way back in"


@pytest.mark.asyncio
@reported(10, "API keys")
async def test_10_no_key_makes_a_key_of_more_rights_than_its_own(start_server: StartServer) -> None:
    async with start_server(api_keys=ROOT) as server:
        keys = {
            (role, scope): (await made(server, *scope, role=role)).key
            for role in ("reader", "writer", "admin")
            for scope in ((), ("acme",))
        }
        for (role, scope), key in keys.items():
            for wanted in (("acme",), (), ("globex",)):
                call = made(server, *wanted, role="admin", by=key)
                if (role, scope) == ("admin", ()):
                    await call
                else:
                    assert (await refused(call)).code() is grpc.StatusCode.PERMISSION_DENIED
        policy = policy_service_pb2.GetTenantPolicyRequest(tenant_id="acme")
        assert await server.policy.GetTenantPolicy(policy, metadata=sent(keys["admin", ("acme",)]))
        other = policy_service_pb2.GetTenantPolicyRequest(tenant_id="globex")
        error = await refused(server.policy.GetTenantPolicy(other, metadata=sent(keys["admin", ("acme",)])))
        assert (error.code(), "TENANT_NOT_ALLOWED" in details(error)) == (grpc.StatusCode.PERMISSION_DENIED, True)


@pytest.mark.asyncio
@reported(10, "API keys")
async def test_10_a_key_is_stored_as_a_digest_and_appears_nowhere_else(dsn: str, tmp_path: Path) -> None:
    variables = {"API_KEYS": ROOT, "LOG_LEVEL": "DEBUG"}
    async with serving(dsn, tmp_path, **variables) as process, connected(process.address) as server:
        key = await made(server, "acme")
        await search(server, key.key)
        await search(server, key.key, "globex")
        await search(server, key.key + "x")
        await server.key.RevokeApiKey(keys_pb.RevokeApiKeyRequest(key_id=key.api_key.id), metadata=sent(ROOT))
        await search(server, key.key)
        pages = [await scrape(process, path) for path in ("/metrics", "/openapi.json")]
        log = process.text
    secret = key.key.removeprefix(f"mk_{key.api_key.prefix}_")
    assert len(secret) == 43
    assert log.count('"event": "call"') >= 5
    assert key.api_key.prefix in log, "made and revoked are written down by the prefix"
    assert secret not in "".join([log, *pages])
    assert fetch(dsn, "select digest, prefix from api_keys") == [(access.digest(key.key), key.api_key.prefix)]
    tables = [name for (name,) in fetch(dsn, "select tablename from pg_tables where schemaname = 'public'")]
    assert "api_keys" in tables
    with psycopg.connect(dsn) as connection:
        for table in tables:
            with connection.cursor().copy(f'copy "{table}" to stdout'.encode()) as copy:
                assert secret.encode() not in b"".join(bytes(block) for block in copy), table


@pytest.mark.asyncio
@reported(10, "API keys")
async def test_10_pages_hold_every_key_once_in_order(start_server: StartServer) -> None:
    async with start_server(api_keys=ROOT) as server:
        wanted = [(await made(server, "acme")).api_key for _ in range(7)]
        found, token = [], None
        for size in (3, 3, 1):
            page = await server.key.ListApiKeys(
                keys_pb.ListApiKeysRequest(page_size=size, page_token=token), metadata=sent(ROOT)
            )
            assert len(page.api_keys) == size
            found += page.api_keys
            token = page.next_page_token
        assert (found, token) == (wanted, "")
        for bad in ("x", "!!!", "AAAA", "MjAyNi0xMS0xNFQyMDozMDowMA", "é"):
            error = await refused(
                server.key.ListApiKeys(keys_pb.ListApiKeysRequest(page_token=bad), metadata=sent(ROOT))
            )
            assert error.code() is grpc.StatusCode.INVALID_ARGUMENT, bad


@pytest.mark.asyncio
@reported(10, "API keys")
async def test_10_a_key_reaches_some_tenants_or_all_never_by_accident(start_server: StartServer) -> None:
    async with start_server(api_keys=ROOT) as server:
        for fields in (
            {},
            {"tenant_ids": ["a"], "all_tenants": True},
            {"tenant_ids": ["a", "a"]},
            {"tenant_ids": [""]},
            {"tenant_ids": [" "]},
            {"tenant_ids": ["x" * 65]},
            {"tenant_ids": ["a\0"]},
            {"tenant_ids": [str(n) for n in range(101)]},
        ):
            request = keys_pb.CreateApiKeyRequest(label="l", role="reader", **fields)
            error = await refused(server.key.CreateApiKey(request, metadata=sent(ROOT)))
            assert error.code() is grpc.StatusCode.INVALID_ARGUMENT, fields
            assert "tenant_ids" in str(error.details())


@pytest.mark.asyncio
@reported(10, "API keys")
async def test_10_keys_over_rest(start_rest: StartRest) -> None:
    async with start_rest(api_keys=ROOT) as rest:
        root = {"x-api-key": ROOT}
        created = await rest.http.post(
            "/v1/admin/api-keys", json={"label": "bot", "role": "reader", "tenant_ids": ["acme"]}, headers=root
        )
        assert created.status_code == 200
        key, told = created.json()["key"], created.json()["api_key"]
        assert told["tenant_ids"] == ["acme"]
        assert told["all_tenants"] is False
        listed = await rest.http.get("/v1/admin/api-keys", headers=root)
        assert listed.json() == {"api_keys": [told], "next_page_token": ""}
        assert await rest_search(rest, key, "acme") == 200
        assert await rest_search(rest, key, "globex") == 403
        path = f"/v1/admin/api-keys/{told['id']}:revoke"
        for bad in (f"{path}?key_id={uuid4()}", f"{path}?keyId={uuid4()}"):
            assert (await rest.http.post(bad, json={}, headers=root)).status_code == 400
        assert (await rest.http.post(path, json={"key_id": str(uuid4())}, headers=root)).status_code == 400
        assert await rest_search(rest, key, "acme") == 200
        revoked = await rest.http.post(path, json={}, headers=root)
        assert revoked.json()["revoked_at"]
        assert await rest_search(rest, key, "acme") == 401


async def rest_search(rest: RunningRest, key: str, tenant: str) -> int:
    parameters = {"tenant_id": tenant, "query": "q"}
    return (await rest.http.get("/v1/memory/search", params=parameters, headers={"x-api-key": key})).status_code


@pytest.mark.asyncio
@reported(10, "API keys")
async def test_10_a_key_s_own_limit_is_kept_told_and_held(start_server: StartServer) -> None:
    async with start_server(api_keys=ROOT) as server:
        bot = await made(server, "acme", rate_limit=2)
        assert bot.api_key.rate_limit == 2
        listed = await server.key.ListApiKeys(keys_pb.ListApiKeysRequest(), metadata=sent(ROOT))
        assert [key.rate_limit for key in listed.api_keys] == [2]
        # What the key is not allowed counts as well.
        assert await search(server, bot.key, "globex") is grpc.StatusCode.PERMISSION_DENIED
        assert await search(server, bot.key) is grpc.StatusCode.OK
        over = await refused(
            server.memory.SearchMemories(pb.SearchMemoriesRequest(tenant_id="acme", query="q"), metadata=sent(bot.key))
        )
        assert over.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert "KEY_RATE_LIMITED" in details(over)
        assert 1 <= int(str(dict(over.trailing_metadata() or ())["retry-after"])) <= 60
        assert await search(server, (await made(server, "acme")).key) is grpc.StatusCode.OK, "no other key's"
        wrong = await refused(made(server, "acme", rate_limit=-1))
        assert (wrong.code(), "rate_limit" in details(wrong)) == (grpc.StatusCode.INVALID_ARGUMENT, True)


@pytest.fixture
def cli(tmp_path: Any) -> Cli:
    return Cli(tmp_path)


@pytest.mark.asyncio
@reported(10, "API keys")
async def test_10_keys_on_the_command_line(start_server: StartServer, cli: Cli) -> None:
    async with start_server() as server:
        at = ("--address", server.grpc_address)
        reader = ("key", "create", "--role", "reader", "--tenant", "acme", "--label", "bot")
        first = await cli(*reader, *at)
        assert (first.code, first.out) == (2, "")
        assert "the first key must be an admin key for all tenants" in first.err
        root = await cli("key", "create", "--role", "admin", "--all-tenants", "--label", "root", *at)
        assert root.code == 0, root.err
        key = root.out.strip()
        assert access.prefix_of(key), "standard output is the key and nothing else"
        assert "not shown again" in root.err
        assert key not in root.err
        assert (await cli(*reader, *at)).code == 1
        with_key = {"MEMORY_CLIENT_API_KEY": key}
        made = json.loads(
            (await cli(*reader, "--expires-at", "2036-01-01", "--rate-limit", "600", "--json", *at, **with_key)).out
        )
        assert made["api_key"]["expires_at"] == "2036-01-01T00:00:00Z"
        assert made["api_key"]["rate_limit"] == 600
        assert (await cli("search", "q", "-t", "acme", *at, "--api-key", made["key"])).code == 0
        assert (await cli("search", "q", "-t", "globex", *at, "--api-key", made["key"])).code == 1
        listed = json.loads((await cli("key", "list", "--json", *at, **with_key)).out)
        assert [item["label"] for item in listed["api_keys"]] == ["root", "bot"]
        table = (await cli("key", "list", *at, **with_key)).out
        assert made["api_key"]["id"] in table
        assert made["key"] not in table
        assert (await cli("key", "revoke", made["key"], *at, **with_key)).code == 2, "a key is no id"
        revoked = await cli("key", "revoke", made["api_key"]["id"], *at, **with_key)
        assert (revoked.code, revoked.out.startswith(made["api_key"]["id"])) == (0, True)
        assert (await cli("search", "q", "-t", "acme", *at, "--api-key", made["key"])).code == 1
        missing = await cli("key", "revoke", str(uuid4()), *at, **with_key)
        assert (missing.code, "NOT_FOUND" in missing.err) == (1, True)
        for usage in (("--all-tenants", "--tenant", "a"), ()):
            wrong = await cli("key", "create", "--role", "reader", "--label", "l", *usage, *at)
            assert wrong.code == 2
        assert "this once" in (await cli("key", "create", "--help")).out
