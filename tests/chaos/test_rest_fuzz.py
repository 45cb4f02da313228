"""REST through Envoy: the OpenAPI document fuzzed by schemathesis, and poison. Never a 5xx, never a dead process."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from memory_grpc.resources import OPENAPI_YAML
from tests.chaos.edge import edge, exchange, status
from tests.chaos.harness import item, rounds
from tests.chaos.test_fuzz import KEY, SCRIPTS

pytestmark = pytest.mark.timeout(7200)

JSON = {"content-type": "application/json"}
# What an answer must be: no fault of the server, a documented status, of the documented type and shape.
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"


def operations() -> int:
    """How many operations the OpenAPI document has."""
    paths = yaml.safe_load(OPENAPI_YAML.read_text(encoding="utf-8"))["paths"]
    return sum(method in ("get", "post", "put", "delete") for path in paths.values() for method in path)


@pytest.mark.asyncio
async def test_14_openapi_by_schemathesis(dsn: str, tmp_path: Path) -> None:
    """The short form takes a few cases of each operation; the long one all of its coverage phase too."""
    examples = rounds("REST_FUZZ", 5)
    phases = "examples,coverage,fuzzing" if "CHAOS_REST_FUZZ" in os.environ else "examples,fuzzing"
    report = tmp_path / "report.json"
    with item(14, "schemathesis over the OpenAPI document") as result:
        async with edge(dsn, tmp_path, API_KEYS=KEY) as running:
            running.http.headers["x-api-key"] = KEY
            command = [
                Path(sys.executable).parent / "schemathesis",
                "run",
                OPENAPI_YAML,
                "--url",
                running.url,
                "--seed",
                "14",
            ]
            command += ["--max-examples", str(examples), "--phases", phases, "--checks", CHECKS, "--no-color"]
            command += ["--header", f"x-api-key: {KEY}"]
            command += ["--continue-on-failure", "--no-shrink", "--request-timeout", "30"]
            # A stream of lines, none of them where there is nothing: no one JSON document.
            command += ["--exclude-path", "/v1/admin/export"]
            command += ["--report", "json", "--report-json-path", report, "--suppress-health-check", "all"]
            done = await asyncio.to_thread(
                subprocess.run, command, cwd=tmp_path, capture_output=True, text=True, timeout=7000
            )
            cases = re.search(r"(\d[\d,]*) generated", done.stdout)
            assert cases is not None, done.stdout[-3000:] + done.stderr[-3000:]
            result.tried = int(cases[1].replace(",", ""))
            assert result.tried >= operations() * examples // 2, "every operation is tried"
            assert await running.is_well(), running.server.text[-3000:]
            assert done.returncode == 0, done.stdout[-6000:]
            result.held = result.tried


def message(**fields: object) -> dict[str, object]:
    """A message as REST takes it."""
    return {"tenant_id": "t", "conversation_id": "c", "role": "user", "content": "x"} | fields


def deep(depth: int, kind: str) -> str:
    """Metadata nested so deep, as text: json.dumps would not go so far."""
    inner = '{"k":' * depth + '"x"' + "}" * depth if kind == "objects" else '{"k":' + "[" * depth + "]" * depth + "}"
    return json.dumps(message(metadata="HERE")).replace('"HERE"', inner)


def poison() -> dict[str, tuple[str, str | bytes, set[int]]]:
    """Name to path, body and the statuses that are right."""
    bad, good = {400}, {202}
    ingest, search, policy = "/v1/messages", "/v1/memory/search", "/v1/admin/tenants/t/policy"
    found: dict[str, tuple[str, str | bytes, set[int]]] = {}
    whole = json.dumps(message(content="HERE", metadata={"m": "THERE"}, importance_override=0.5))

    for name, written in {
        "a lone high surrogate": r"a\ud800b",
        "a lone low surrogate": r"a\udc00b",
        "surrogates in the wrong order": r"\udc00\ud800",
        "half an escape": r"\ud8",
        "NUL": r"a\u0000b",
    }.items():
        found[f"{name} in content"] = (ingest, whole.replace("HERE", written), bad)
        found[f"{name} in metadata"] = (ingest, whole.replace("THERE", written), bad)
        found[f"{name} in a metadata key"] = (ingest, whole.replace('"m"', f'"{written}"'), bad)
        found[f"{name} in tenant_id"] = (ingest, whole.replace('"t"', f'"{written}"'), bad)
        found[f"{name} in a query"] = (search, json.dumps({"tenant_id": "t", "query": "Q"}).replace("Q", written), bad)
    found["a pair of surrogates"] = (ingest, whole.replace("HERE", r"\ud83c\udf89"), good)
    for written in ("NaN", "Infinity", "-Infinity", '"NaN"', '"Infinity"', '"-Infinity"', "1e999", "-1e999", "0x1"):
        found[f"importance_override {written}"] = (ingest, whole.replace("0.5", written), bad)
        found[f"max_age_days {written}"] = (policy, '{"retention": {"max_age_days": X}}'.replace("X", written), bad)
        body = '{"tenant_id": "t", "query": "q", "importance_min": X}'.replace("X", written)
        found[f"importance_min {written}"] = (search, body, bad)
        # A quoted one is a string here, as good as any.
        right = good if written.startswith('"') else bad
        found[f"{written} in metadata"] = (ingest, whole.replace('"THERE"', written), right)
    for written in (
        "0000-00-00T00:00:00Z",
        "0001-01-01T00:00:00Z",
        "1969-12-31T23:59:59Z",
        "9999-12-31T23:59:59Z",
        "10000-01-01T00:00:00Z",
        "-2026-01-01T00:00:00Z",
        "2026-02-30T00:00:00Z",
        "2026-01-01T25:00:00Z",
        "2026-01-01",
        "now",
        "1e99",
        "",
    ):
        found[f"created_at {written}"] = (ingest, json.dumps(message(created_at=written)), bad)
        right = {200} if written == "9999-12-31T23:59:59Z" else bad
        body = json.dumps({"tenant_id": "t", "query": "q", "as_of": written})
        found[f"as_of {written}"] = (search, body, right)
    for depth in (200, 5_000, 100_000):
        found[f"{depth} objects deep"] = (ingest, deep(depth, "objects"), bad)
        found[f"{depth} lists deep"] = (ingest, deep(depth, "lists"), bad)
        found[f"{depth} brackets"] = (ingest, "[" * depth, bad)
    for name, text in SCRIPTS.items():
        full = (text * (100_000 // len(text) + 1))[:100_000]
        found[f"100,000 characters of {name}"] = (ingest, json.dumps(message(content=full), ensure_ascii=False), good)
        escaped = json.dumps(message(content=full[:20_000]))
        found[f"20,000 escaped characters of {name}"] = (ingest, escaped, good)
        query = json.dumps({"tenant_id": "t", "query": full[:10_000], "ranking": "hybrid"})
        found[f"a query of 10,000 characters of {name}"] = (search, query, {200})
    found["100,001 characters"] = (ingest, json.dumps(message(content="x" * 100_001)), bad)
    for name, body in {
        "nothing": b"",
        "null": b"null",
        "a list": b"[]",
        "a string": b'"x"',
        "a number": b"1",
        "two objects": b"{}{}",
        "half an object": b'{"tenant_id": "t"',
        "no UTF-8": b'{"tenant_id": "\xff\xfe"}',
        "a surrogate as bytes": b'{"tenant_id": "\xed\xa0\x80"}',
        "a byte order mark": b"\xef\xbb\xbf{}",
        "UTF-16": '{"tenant_id": "t"}'.encode("utf-16"),
        "NUL bytes": b"\0" * 100,
        "random bytes": bytes(range(256)) * 16,
        "a gRPC frame": b"\x00\x00\x00\x00\x03\x0a\x01t",
        "one name a thousand times": b"{" + b'"tenant_id": "t",' * 1_000 + b'"role": "user"}',
        "wrong types": b'{"tenant_id": 1, "conversation_id": [], "role": {}, "content": true}',
        "nulls": b'{"tenant_id": null, "conversation_id": null, "role": null, "content": null}',
        "metadata that is no object": json.dumps(message(metadata=[1])).encode(),
        "a number of a million digits": whole.replace('"THERE"', "1" * 1_000_000).encode(),
        "ten thousand fields": json.dumps(message(metadata={f"k{n}": n for n in range(10_000)})).encode(),
    }.items():
        found[name] = (ingest, body, bad)
    return found


@pytest.mark.asyncio
async def test_14_poison_in_json(dsn: str, tmp_path: Path) -> None:
    wrong: list[str] = []
    with item(14, "poison values in JSON") as result:
        async with edge(dsn, tmp_path) as running:
            for name, (path, body, right) in poison().items():
                result.tried += 1
                content = body.encode("utf-8", "surrogatepass") if isinstance(body, str) else body
                method = "PUT" if path.endswith("/policy") else "POST"
                answer = await running.http.request(method, path, content=content, headers=JSON)
                if answer.status_code in right and ("code" in answer.json()) == (answer.status_code >= 400):
                    result.held += 1
                else:
                    wrong.append(f"{name}: {answer.status_code} {answer.text[:300]}, not {sorted(right)}")
            assert not wrong, "\n".join([*wrong, running.server.text[-3000:]])
            assert await running.is_well()


PATHS = {
    "/v1/messages/%00": {400},
    "/v1/messages/%ff%fe": {400},
    "/v1/messages/%ED%A0%80": {400},
    "/v1/messages/..%2f..%2fetc": {400},
    "/v1/messages/" + "a" * 20_000: {400},
    "/v1/messages/" + "a" * 40_000: {431},
    "/v1/admin/tenants/%00/policy": {400},
    "/v1/admin/tenants/" + "%F0%9F%8E%89" * 64 + "/policy": {200},
    "/v1/admin/tenants/" + "%F0%9F%8E%89" * 65 + "/policy": {400},
    "/v1/memory/search?tenant_id=t&query=%00": {400},
    "/v1/memory/search?tenant_id=t&query=%ED%A0%80": {400},
    "/v1/memory/search?tenant_id=t&query=%": {200, 400},
    "/v1/memory/search?tenant_id=t&query=q&importance_min=NaN": {400},
    "/v1/memory/search?tenant_id=t&query=q&importance_min=1e999": {400},
    "/v1/memory/search?tenant_id=t&query=q&top_k=99999999999999999999": {400},
    "/v1/memory/search?tenant_id=t&query=q&top_k=-1": {400},
    "/v1/memory/search?tenant_id=t&query=q&as_of=10000-01-01T00:00:00Z": {400},
    "/v1/memory/search?tenant_id=t&query=q&as_of=2026-01-01T00:00:00Z&as_of=x": {400},
    "/v1/memory/search?tenant_id=t&query=" + "%F0%9F%8E%89" * 2_000: {200},
    "/v1/memory/search?" + "&".join(f"metadata_equals=k{n}%3Dv" for n in range(1_000)): {400},
    "/v1/memory/search?" + "a=b&" * 5_000: {400},
    "/v1//memory///search?tenant_id=t&query=q": {200},
    "/v1/./memory/../memory/search?tenant_id=t&query=q": {200},
    "/V1/memory/search": {404},
    "/v1/nothing": {404},
}


@pytest.mark.asyncio
async def test_14_poison_in_paths_and_queries(dsn: str, tmp_path: Path) -> None:
    wrong: list[str] = []
    with item(14, "poison in paths and queries") as result:
        async with edge(dsn, tmp_path) as running:
            for path, right in PATHS.items():
                result.tried += 1
                # By hand: clients tidy paths up.
                call = f"GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
                answer = await exchange(running.port, call.encode())
                # A flood may be hung up on while it is still being sent.
                if status(answer) in right or (431 in right and not answer):
                    result.held += 1
                else:
                    wrong.append(f"{path[:100]}: {answer[:400]!r}, not {sorted(right)}")
            assert not wrong, "\n".join(wrong)
            assert await running.is_well()
