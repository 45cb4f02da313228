"""Bytes of strangers: an answer by the contract, never INTERNAL, never UNKNOWN, never a dead process."""

from __future__ import annotations

import asyncio
import os
import random
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import grpc
import pytest
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from memory_grpc.rpcs import METHODS
from memory_layer.v1 import admin_service_pb2 as admin
from memory_layer.v1 import (
    audit_service_pb2,
    context_pb2,
    index_service_pb2,
    listing_pb2,
    policy_pb2,
    policy_service_pb2,
    retention_pb2,
    revision_pb2,
    statistics_pb2,
)
from memory_layer.v1 import embedding_service_pb2 as embedding
from memory_layer.v1 import erasure_service_pb2 as erasure
from memory_layer.v1 import key_service_pb2 as keys
from memory_layer.v1 import memory_service_pb2 as pb
from memory_layer.v1 import transfer_service_pb2 as transfer
from tests.chaos.harness import connected, item, message, rounds, serving

pytestmark = pytest.mark.timeout(7200)

UNARY = [m for m in METHODS.values() if not m.client_streaming and not m.server_streaming]
# What bytes may be answered with. Anything else blames the service: INTERNAL, UNKNOWN and whatever is a 5xx over REST,
# DEADLINE_EXCEEDED and UNIMPLEMENTED among them.
ANSWERS = {
    grpc.StatusCode.OK,
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.ALREADY_EXISTS,
    grpc.StatusCode.FAILED_PRECONDITION,
}
WAYS = 16
# With a key: bytes that happen to make the first one would lock the rest out.
KEY = "the-key-of-the-fuzzer"


def _path(method: Any) -> str:
    return f"/{method.containing_service.full_name}/{method.name}"


def _valid(name: str) -> list[Message]:
    """Valid requests of a method, with as many fields as it has."""
    full = message(
        "What do I like? Python, naïvely — 你好 🎉", name="Ann", importance_override=0.5, request_id=str(uuid4())
    )
    full.metadata.update({"a": 1.5, "b": [True, None, {"c": "d"}], "e": {"f": {"g": "h"}}})
    full.created_at.FromJsonString("2026-01-02T03:04:05.678Z")
    search = pb.SearchMemoriesRequest(
        tenant_id="chaos",
        query="What did Ann say in May 2023?",
        conversation_id="c",
        top_k=3,
        importance_min=0.1,
        candidate_limit=10,
        role="user",
        ranking="hybrid",
        explain=True,
        neighbours=2,
        include_archived=True,
        metadata_equals=["a=1.5"],
    )
    for field in ("as_of", "created_after", "created_before"):
        getattr(search, field).FromJsonString("2026-01-02T03:04:05Z")
    search.metadata.update({"e": {"f": {"g": "h"}}})
    policy = policy_service_pb2.SetTenantPolicyRequest(
        tenant_id="chaos-policy",
        retention=policy_pb2.RetentionPolicy(max_age_days=3, importance_threshold=0.1, delete_after_days=4),
        importance_weights=policy_pb2.ImportanceWeights(recency=0.1, role=0.2, explicit=0.3),
        score_weights=policy_pb2.ScoreWeights(similarity=0.1, importance=0.2, decay=0.3),
        hybrid_weights=policy_pb2.HybridWeights(
            lexical=1, conversation=2, date=3, speaker=4, previous=1, names_to_i=False
        ),
        ranking="hybrid",
    )
    return {
        "IngestMessage": [full, message("short")],
        "BatchIngestMessages": [pb.BatchIngestMessagesRequest(messages=[full, message("two")])],
        "GetMessage": [pb.GetMessageRequest(message_id=str(uuid4()), tenant_id="chaos")],
        "ListMessages": [
            listing_pb2.ListMessagesRequest(
                tenant_id="chaos", role="user", metadata_equals=["a=1"], order_by="created_at desc", include_total=True
            )
        ],
        "UpdateMessage": [
            revision_pb2.UpdateMessageRequest(
                message_id=str(uuid4()), tenant_id="chaos", update_mask=["name"], name="x", etag="1"
            )
        ],
        "ListRevisions": [revision_pb2.ListRevisionsRequest(message_id=str(uuid4()), tenant_id="chaos", page_size=5)],
        "ListConversations": [listing_pb2.ListConversationsRequest(tenant_id="chaos", page_size=10, page_token="x")],
        "ListUsers": [listing_pb2.ListUsersRequest(tenant_id="chaos", page_size=10, page_token="x")],
        "DeleteMessage": [pb.DeleteMessageRequest(message_id=str(uuid4()), tenant_id="chaos")],
        "PlanErasure": [
            erasure.PlanErasureRequest(tenant_id="chaos", user_id="u-1", sample_size=3),
            erasure.PlanErasureRequest(tenant_id="chaos", filter='metadata.source = "web"'),
            erasure.PlanErasureRequest(tenant_id="chaos", whole_tenant=True),
        ],
        "ApplyErasure": [erasure.ApplyErasureRequest(tenant_id="chaos", erasure_id=str(uuid4()))],
        "GetErasure": [erasure.GetErasureRequest(tenant_id="chaos", erasure_id=str(uuid4()))],
        "GetErasureReceipt": [erasure.GetErasureReceiptRequest(tenant_id="chaos", erasure_id=str(uuid4()))],
        "VerifyErasure": [erasure.VerifyErasureRequest(tenant_id="chaos", erasure_id=str(uuid4()))],
        "SearchMemories": [search, pb.SearchMemoriesRequest(tenant_id="chaos", query="Python")],
        "BuildContext": [
            context_pb2.BuildContextRequest(tenant_id="chaos", query="Python", conversation_id="c", max_tokens=100),
            context_pb2.BuildContextRequest(tenant_id="chaos", query="Python", user_id="u", filter="role = user"),
        ],
        "RunRetention": [admin.RunRetentionRequest(tenant_id="chaos", actions=["archive", "delete"], dry_run=True)],
        "SimulateRetention": [
            retention_pb2.SimulateRetentionRequest(
                tenant_id="chaos", retention=policy_pb2.RetentionPolicy(max_age_days=1), sample_size=3
            )
        ],
        "RestoreArchived": [
            retention_pb2.RestoreArchivedRequest(tenant_id="chaos", filter='role = "user"', user_id="u", dry_run=True),
            retention_pb2.RestoreArchivedRequest(tenant_id="chaos", conversation_id="c"),
        ],
        "RetryFailedEmbeddings": [embedding.RetryFailedEmbeddingsRequest(tenant_id="chaos")],
        "ListEvents": [audit_service_pb2.ListEventsRequest(tenant_id="chaos", actor="anonymous", page_size=10)],
        "ListGraphs": [index_service_pb2.ListGraphsRequest(tenant_id="chaos"), index_service_pb2.ListGraphsRequest()],
        "GetStatistics": [statistics_pb2.GetStatisticsRequest(tenant_id="chaos")],
        "GetHealth": [admin.GetHealthRequest()],
        "GetTenantPolicy": [policy_service_pb2.GetTenantPolicyRequest(tenant_id="chaos")],
        "SetTenantPolicy": [policy],
        "StartReembedding": [embedding.StartReembeddingRequest(tenant_id="chaos", model="current", keep_old=True)],
        "GetReembedding": [embedding.GetReembeddingRequest(), embedding.GetReembeddingRequest(reembedding_id=1)],
        "CompareReembedding": [
            embedding.CompareReembeddingRequest(reembedding_id=1, sample=5),
            embedding.CompareReembeddingRequest(reembedding_id=1, queries=["one", "two"]),
        ],
        "CutOverReembedding": [embedding.CutOverReembeddingRequest(reembedding_id=1)],
        "CancelReembedding": [embedding.CancelReembeddingRequest(reembedding_id=1)],
        "CreateApiKey": [
            keys.CreateApiKeyRequest(label="Ann's", role="reader", tenant_ids=["chaos", "two"]),
            keys.CreateApiKeyRequest(label="all", role="admin", all_tenants=True),
        ],
        "ListApiKeys": [keys.ListApiKeysRequest(page_size=10, page_token="MjAyNi0xMS0xNFQyMDozMDowMCswMDowMA")],
        "Import": [
            transfer.ImportRequest(
                tenant_id="chaos",
                messages=[
                    transfer.TransferMessage(
                        id=str(uuid4()),
                        conversation_id="c",
                        role="user",
                        content="moved",
                        importance=0.5,
                        created_at=full.created_at,
                        archived_at=full.created_at,
                        pinned=True,
                        revision=2,
                        embedding=transfer.TransferEmbedding(model="m", windows=[b"\x00\x3c" * 384]),
                    )
                ],
                revisions=[
                    transfer.TransferRevisions(
                        message_id=str(uuid4()),
                        message_revision=2,
                        revisions=[
                            transfer.TransferRevision(
                                revision=1, content="was", valid_from=full.created_at, valid_to=full.created_at
                            )
                        ],
                    )
                ],
            )
        ],
        "RevokeApiKey": [keys.RevokeApiKeyRequest(key_id=str(uuid4()))],
    }[name]


def _random(chance: random.Random) -> bytes:
    return chance.randbytes(chance.choice([0, 1, 2, 8, 40, 300, 3000]))


_EXTREMES = [
    b"\xff" * 8,
    b"\x00\x00\x00\x00\x00\x00\xf8\x7f",
    b"\x00" * 8,
    b"\xff\xff\xff\xff\xff\xff\xef\x7f",
    b"\x00",
]


def _mutated(chance: random.Random, raw: bytes) -> bytes:
    """A valid message's bytes with one to four faults."""
    data = bytearray(raw or b"\x0a\x01x")
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(len(data)) if data else 0
        match chance.randrange(7):
            case 0 if data:
                data[at] ^= 1 << chance.randrange(8)
            case 1 if data:
                data[at] = chance.randrange(256)
            case 2:
                del data[at : at + chance.randint(1, 9)]
            case 3:
                data[at:at] = chance.randbytes(chance.randint(1, 9))
            case 4:
                data[at:at] = data[at : at + chance.randint(1, 40)]
            case 5:
                data[at : at + 8] = chance.choice(_EXTREMES)
            case _:
                data = data[:at]
    return bytes(data)


async def _send(client: Any, path: str, raws: Iterator[bytes], codes: Counter[Any], faults: list[str]) -> None:
    call = client.channel.unary_unary(path)
    for raw in raws:
        try:
            await call(raw, metadata=[("x-api-key", KEY)], timeout=30)
            codes[grpc.StatusCode.OK] += 1
        except grpc.aio.AioRpcError as error:
            codes[error.code()] += 1
            if error.code() not in ANSWERS:
                faults.append(f"{path} {error.code().name} {error.details()} {raw[:400].hex()}")


@pytest.mark.asyncio
@pytest.mark.parametrize("form", ["random bytes", "mutated messages"])
async def test_14_fuzz(form: str, dsn: str, tmp_path: Path) -> None:
    """CHAOS_RPCS names some RPCs, to try a part at a time: «GetMessage,ListGraphs»."""
    count = rounds("FUZZ", 300)
    codes: Counter[Any] = Counter()
    faults: list[str] = []
    some = os.environ.get("CHAOS_RPCS", "").split(",")
    methods = [method for method in UNARY if some == [""] or method.name in some]
    with item(14, f"{form}, {len(methods)} RPCs") as result:
        async with serving(dsn, tmp_path, API_KEYS=KEY) as server, connected(server.address) as client:
            for method in methods:
                chance = random.Random(f"14 {form} {method.name}")
                valid = [m.SerializeToString() for m in _valid(method.name)]

                def raws(chance: random.Random = chance, valid: list[bytes] = valid) -> Iterator[bytes]:
                    for _ in range(count):
                        yield _random(chance) if form == "random bytes" else _mutated(chance, chance.choice(valid))

                shared = raws()
                async with asyncio.TaskGroup() as group:
                    for _ in range(WAYS):
                        group.create_task(_send(client, _path(method), shared, codes, faults))
                health = await client.admin.GetHealth(admin.GetHealthRequest(), timeout=10)
                assert (health.status, server.is_running) == ("ok", True), method.name
            result.tried, result.held = codes.total(), codes.total() - len(faults)
            result.note = ", ".join(f"{code.name} {n}" for code, n in codes.most_common())
        assert not faults, "\n".join([*faults[:5], server.text[-3000:]])
        assert codes.total() == count * len(methods) > 0


def _deep(depth: int) -> bytes:
    """Metadata nested `depth` deep, as bytes: the library's own objects would not go so far."""
    value = b"\x1a\x01x"  # string_value "x"
    for _ in range(depth):
        entry = b"\x0a\x01k" + b"\x12" + _length(value) + value
        struct = b"\x0a" + _length(entry) + entry
        value = b"\x2a" + _length(struct) + struct
    struct = value[1 + len(_length_of(value)) :]
    return message("deep").SerializeToString() + b"\x2a" + _length(struct) + struct


def _length_of(value: bytes) -> bytes:
    end = next(i for i in range(1, len(value)) if value[i] < 0x80)
    return value[1 : end + 1]


def _length(raw: bytes) -> bytes:
    number, out = len(raw), bytearray()
    while number > 0x7F:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


SCRIPTS = {
    "Latin": "a",
    "Greek": "λ",
    "Cyrillic": "ж",
    "Arabic": "ش",
    "Hebrew": "ש",
    "Devanagari": "क",
    "Thai": "ก",
    "Han": "漢",
    "Hangul": "한",
    "emoji": "🎉",
    "a family": "👨‍👩‍👧‍👦",
    "combining": "e\u0301",
    "right to left": "\u202e",
    "zero width": "x\u200b",
    "words": "ab cd ",
    "distinct": "".join(f"w{n} " for n in range(3000)),
    "long words": "q" * 5000 + " ",
    "line separators": "a\u2028\u2029\x0b\x0c\r\n",
    "control": "a\x01\x02\x1b[31m",
    "noncharacters": "\ufffe\uffff\U0010ffff",
    "quotes": "'\"\\;--$$%s%%{}",
    "tsquery": "a & b | !c <-> (d:*) ",
    "addresses": "http://a.b/c?d=e#f user@host.example ",
}


def _poison() -> dict[str, tuple[str, bytes, set[str]]]:
    """Name to method, bytes, and the codes that are right."""
    bad, good = {"INVALID_ARGUMENT"}, {"OK"}
    found: dict[str, tuple[str, bytes, set[str]]] = {}

    def add(name: str, request: Message | bytes, codes: set[str], method: str = "IngestMessage") -> None:
        raw = request if isinstance(request, bytes) else request.SerializeToString()
        found[f"{method}: {name}"] = (method, raw, codes)

    for field in ("tenant_id", "conversation_id", "content", "name"):
        add(f"NUL in {field}", message("x", **{field: "a\0b"}) if field != "content" else message("a\0b"), bad)
        raw = {"tenant_id": b"\x0a", "conversation_id": b"\x12", "content": b"\x22", "name": b"\x3a"}[field]
        add(f"lone surrogate in {field}", message("x").SerializeToString() + raw + b"\x03\xed\xa0\x80", bad)
    for number in ("nan", "inf", "-inf"):
        add(f"{number} override", message("x", importance_override=float(number)), bad)
        request = message("x")
        request.metadata["n"] = float(number)
        add(f"{number} in metadata", request, bad)
        search = pb.SearchMemoriesRequest(tenant_id="t", query="q", importance_min=float(number))
        add(f"{number} importance_min", search, bad, "SearchMemories")
        policy = policy_service_pb2.SetTenantPolicyRequest(
            tenant_id="t", retention=policy_pb2.RetentionPolicy(max_age_days=float(number))
        )
        add(f"{number} max_age_days", policy, bad, "SetTenantPolicy")
    for seconds in (-(2**63), -62135596801, -1, 253402300800, 2**63 - 1):
        for field in ("as_of", "created_after", "created_before"):
            search = pb.SearchMemoriesRequest(tenant_id="t", query="q")
            getattr(search, field).seconds = seconds
            add(f"{field} {seconds}", search, bad, "SearchMemories")
        request = message("x")
        request.created_at.seconds = seconds
        add(f"created_at {seconds}", request, bad)
    for field, seconds in (
        ("as_of", 0),
        ("as_of", 253402300799),
        ("created_after", 253402300799),
        ("created_before", 0),
    ):
        for ranking in ("semantic", "hybrid"):
            search = pb.SearchMemoriesRequest(tenant_id="chaos", query="in May 2023", ranking=ranking)
            getattr(search, field).seconds = seconds
            add(f"{ranking} {field} {seconds}", search, good, "SearchMemories")
    request = message("x")
    request.created_at.seconds = 253402300799
    add("created_at in 9999", request, bad)
    # A tenant of its own: what follows must not stand or fall with it.
    request = message("first second", tenant_id="old")
    request.created_at.SetInParent()
    add("created_at 1970", request, good)
    for ranking in ("semantic", "hybrid"):
        search = pb.SearchMemoriesRequest(tenant_id="old", query="first second", ranking=ranking)
        add(f"{ranking}, a tenant with a message of 1970", search, good, "SearchMemories")
    request = message("x")
    request.metadata["a\0b"] = "c"
    add("NUL in a metadata key", request, bad)
    for depth in (17, 90, 200, 5000):
        add(f"{depth} deep", _deep(depth), bad)
    for name, text in SCRIPTS.items():
        full = (text * (100_000 // len(text) + 1))[:100_000]
        add(f"100,000 characters of {name}", message(full), good)
        for ranking in ("semantic", "hybrid"):
            search = pb.SearchMemoriesRequest(tenant_id="chaos", query=full[:10_000], ranking=ranking, neighbours=1)
            add(f"10,000 characters of {name}, {ranking}", search, good, "SearchMemories")
    add("100,001 characters", message("x" * 100_001), bad)
    add("10 MB", message("x" * 10_000_000), {"RESOURCE_EXHAUSTED"})
    add("unknown fields", message("fine").SerializeToString() + b"\xfa\x3f\x03abc", good)
    for text in (
        "in the year 99999",
        "on 31 February 2023",
        "0 days ago",
        "999999999999 years ago",
        "last week in 0001",
    ):
        search = pb.SearchMemoriesRequest(tenant_id="chaos", query=text, ranking="hybrid")
        add(f"date {text!r}", search, good, "SearchMemories")
    return found


@pytest.mark.asyncio
async def test_14_poison(dsn: str, tmp_path: Path) -> None:
    wrong: list[str] = []
    methods = {m.name: _path(m) for m in UNARY}
    with item(14, "poison values") as result:
        async with serving(dsn, tmp_path) as server, connected(server.address) as client:
            for name, (method, raw, right) in _poison().items():
                result.tried += 1
                try:
                    await client.channel.unary_unary(methods[method])(raw, timeout=20)
                    code, details = "OK", ""
                except grpc.aio.AioRpcError as error:
                    code, details = error.code().name, error.details() or ""
                if code in right:
                    result.held += 1
                else:
                    wrong.append(f"{name}: {code} {details[:200]}, not {sorted(right)}")
            # Headers: a flood, and one that is too large.
            for name, (metadata, right) in {
                "200 headers": ([(f"x-{n}", "y" * 50) for n in range(200)], {"OK"}),
                "a 60 kB header": ([("x-big", "y" * 60_000)], {"OK"}),
                "a 64 kB header": ([("x-big", "y" * 65_536)], {"RESOURCE_EXHAUSTED"}),
                "2,000 headers": ([(f"x-{n}", "y" * 50) for n in range(2_000)], {"RESOURCE_EXHAUSTED"}),
            }.items():
                result.tried += 1
                try:
                    await client.admin.GetHealth(admin.GetHealthRequest(), metadata=metadata, timeout=10)
                    code, details = "OK", ""
                except grpc.aio.AioRpcError as error:
                    code, details = error.code().name, error.details() or ""
                if code in right:
                    result.held += 1
                else:
                    wrong.append(f"{name}: {code} {details[:200]}, not {sorted(right)}")
            assert server.is_running
            health = await client.admin.GetHealth(admin.GetHealthRequest(), timeout=10)
            assert health.status == "ok"
            assert not wrong, "\n".join([*wrong, server.text[-3000:]])


def test_14_every_method_has_a_valid_message() -> None:
    for method in UNARY:
        for valid in _valid(method.name):
            assert isinstance(valid, GetMessageClass(method.input_type)), method.name
