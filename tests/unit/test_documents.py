"""The documents, held to the repository: links, paths, tests, variables, commands and examples that are there."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import pytest
import yaml
from google.protobuf.json_format import ParseDict

from memory_grpc.settings import Settings
from memory_layer.v1 import (
    admin_service_pb2,
    context_pb2,
    key_service_pb2,
    memory_service_pb2,
    policy_service_pb2,
    revision_pb2,
)
from tests.conftest import RunningServer

ROOT = Path(__file__).parents[2]
PAGES = ("rest", "keys", "grpc", "context", "memory-life", "erasure", "transfer")
PARITY, CONFIGURATION, README = ROOT / "docs/parity.md", ROOT / "docs/configuration.md", ROOT / "README.md"
EXAMPLES = [README, *(ROOT / f"docs/{name}.md" for name in PAGES)]
DECISIONS = sorted((ROOT / "docs/decisions").glob("[0-9]*.md"))
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])

# What the two reference documents name, by hand: parity has a line for each.
REFERENCE_NAMES = """
POST /v1/messages | GET /v1/messages/{message_id} | GET /v1/memory/search | POST /v1/admin/retention/run
GET /v1/admin/health | GET /metrics | /docs
tenant_id | conversation_id | role | content | metadata | importance_override | query | top_k | importance_min
candidate_limit | dry_run | actions | message_id | embedding_status | importance_score | uptime_seconds | latency_ms
MEMORY_DATABASE_URL | MEMORY_API_KEYS | MEMORY_ALLOWED_ORIGINS | MEMORY_GLOBAL_RATE_LIMIT
MEMORY_REQUEST_TIMEOUT_SECONDS | MEMORY_EMBEDDING_PROVIDER | MEMORY_EMBEDDING_MODEL_NAME
MEMORY_RETENTION_MAX_AGE_DAYS | MEMORY_RETENTION_SCHEDULE_SECONDS | MEMORY_LOG_LEVEL
uv sync | alembic upgrade head | uvicorn | make format | make lint | make test | docker compose up --build
createdb | --cov | ab -n 1000 | SQLite | .env.example | structlog | x-api-key | 429 | 202 | 404
""".replace("\n", "|").split("|")

BODIES: dict[str, Any] = {
    "PATCH http://localhost:8000/v1/messages/": revision_pb2.UpdateMessageRequest,
    "/v1/memory/context": context_pb2.BuildContextRequest,
    "/v1/messages": memory_service_pb2.IngestMessageRequest,
    "/v1/messages:batch": memory_service_pb2.BatchIngestMessagesRequest,
    "/v1/memory/search": memory_service_pb2.SearchMemoriesRequest,
    "/v1/admin/api-keys": key_service_pb2.CreateApiKeyRequest,
    "/v1/admin/retention/run": admin_service_pb2.RunRetentionRequest,
    "/v1/admin/tenants/acme/policy": policy_service_pb2.SetTenantPolicyRequest,
    "MemoryService/SearchMemories": memory_service_pb2.SearchMemoriesRequest,
}


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def blocks(text: str, language: str) -> list[str]:
    """The fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def prose(text: str) -> str:
    """The text without its fenced blocks."""
    return re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)


def code(text: str) -> str:
    """What is set as code: fenced blocks and spans, a line each."""
    fenced = re.findall(r"^```\w*\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return "\n".join([*fenced, *re.findall(r"`([^`\n]+)`", prose(text))])


def anchors(text: str) -> set[str]:
    """The anchors of the headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", prose(text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_there_are_the_documents_that_readers_look_for():
    top = {"README.md", "CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md"}
    assert top | {"docs/parity.md", "docs/configuration.md"} <= {name_of(path) for path in DOCUMENTS}
    assert (ROOT / "LICENSE").read_text().startswith("MIT License")


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_links_inside_the_repository_lead_somewhere(document: Path):
    for target in re.findall(r"\[[^\]]*\]\(([^)\s]+)\)", prose(document.read_text())):
        if re.match(r"(https?|mailto):", target):
            continue
        path, _, anchor = target.partition("#")
        found = (document.parent / path).resolve() if path else document
        assert found.exists(), target
        assert found.is_relative_to(ROOT), target
        if anchor:
            assert anchor in anchors(found.read_text()), target


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_no_document_names_a_path_of_a_machine(document: Path):
    assert not re.findall(r"(?<![\w.~:/-])/(?:work|home|root|Users|tmp|mnt|var)/\S*", document.read_text())


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_make_targets_and_commands_exist(document: Path):
    targets = set(re.findall(r"^([a-z][a-z-]*):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    text = code(document.read_text())
    assert set(re.findall(r"(?:^|[\s$&])make ([a-z][a-z-]*)", text)) - targets == set()
    from memory_grpc.cli import app

    commands = {command.name or command.callback.__name__ for command in app.registered_commands if command.callback}
    commands |= {str(group.name) for group in app.registered_groups}
    named = set(re.findall(r"(?:^|[\s/])memory-grpc ([a-z][a-z-]*)", text))
    assert named - commands == set()


def test_a_page_shows_every_command_of_the_command_line():
    from memory_grpc.cli import app

    text = (ROOT / "docs/commands.md").read_text()
    for command in app.registered_commands:
        assert command.callback is not None
        name = command.name or command.callback.__name__
        assert f"memory-grpc {name}" in text, name


# -- parity


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))]


def parity_rows() -> Iterator[tuple[str, str, str]]:
    for line in PARITY.read_text().splitlines():
        if line.startswith("| ") and not line.startswith("| The documents say"):
            cells = _cells(line)
            assert len(cells) == 3, line
            yield cells[0], cells[1], cells[2]


def test_everything_that_parity_names_exists():
    tops = "|".join(re.escape(path.name) for path in ROOT.iterdir())
    found = re.findall(rf"`((?:{tops})(?:/[^`\s:]*)?)(?:::(\w+))?`", PARITY.read_text())
    assert len(found) > 50
    for path, function in found:
        assert (ROOT / path).exists(), path
        if function:
            assert re.search(rf"^(async )?def {function}\(", (ROOT / path).read_text(), re.MULTILINE), function


def test_every_test_that_another_document_names_exists():
    for document in DOCUMENTS:
        for path, function in re.findall(r"`(tests/[^`\s:]+)(?:::(\w+))?`", document.read_text()):
            assert (ROOT / path).exists(), (name_of(document), path)
            assert f"def {function}" in ((ROOT / path).read_text() if function else "def "), (
                name_of(document),
                function,
            )


def test_each_line_of_parity_has_its_test_or_its_reason():
    rows = list(parity_rows())
    assert len(rows) > 60
    for said, here, shown in rows:
        assert said, here
        assert here, said
        assert "::" in shown or shown.startswith("No test: "), said
        assert len(re.findall(r"`tests/[^`]+`", shown)) == shown.count("::"), shown


def test_parity_leaves_nothing_out():
    said = " ".join(row[0] for row in parity_rows())
    assert [name.strip() for name in REFERENCE_NAMES if name.strip() not in said] == []


# -- configuration


def _spelling(default: Any) -> str:
    """A default as the environment spells it."""
    if default is None or default == "" or default == []:
        return "not set"
    if isinstance(default, list):
        return f"`{','.join(default)}`"
    return f"`{default:.15g}`" if isinstance(default, float) else f"`{default}`"


def configuration_rows() -> list[str]:
    """What the tables of docs/configuration.md must hold, a line a variable."""
    rows = []
    for name, field in Settings.model_fields.items():
        choices = get_args(field.annotation) if get_origin(field.annotation) is Literal else ()
        meaning = (field.description or "") + (f" One of: {', '.join(choices)}." if choices else "")
        rows.append(f"| `MEMORY_{name.upper()}` | {_spelling(field.get_default())} | {meaning} |")
    return rows


def test_configuration_lists_every_variable_with_its_default_and_meaning():
    written = [line for line in CONFIGURATION.read_text().splitlines() if line.startswith("| `MEMORY_")]
    expected = configuration_rows()
    wrong = sorted(set(expected) ^ set(written)) or expected
    assert written == expected, "docs/configuration.md must hold each setting in order; look at:\n" + "\n".join(wrong)


def test_the_readme_s_variables_have_the_settings_defaults():
    rows = re.findall(r"^\| `(MEMORY_\w+)` \| (.+?) \| ", README.read_text(), re.MULTILINE)
    assert len(rows) > 10
    defaults = {row.split("`")[1]: row.split(" | ")[1] for row in configuration_rows()}
    assert {name: default for name, default in rows if defaults.get(name) != default} == {}


@pytest.mark.parametrize("document", DOCUMENTS, ids=name_of)
def test_every_variable_that_is_named_exists(document: Path):
    known = {f"MEMORY_{name.upper()}" for name in Settings.model_fields} | {
        "MEMORY_CLIENT_API_KEY",
        "MEMORY_TEST_CITUS",
    }
    assert set(re.findall(r"\bMEMORY_[A-Z][A-Z_]*[A-Z]\b", document.read_text())) - known == set()


# -- examples


def test_bodies_of_the_documents_are_json_of_the_contract():
    text = "\n\n".join(code(path.read_text()) for path in EXAMPLES)
    commands = re.findall(r"(?:curl|grpcurl) .*?(?=\n\n|\n```|\n\w+ |\ncurl|\Z)", text, re.DOTALL)
    found = [(command, body) for command in commands for body in re.findall(r"-d '(.*?)'(?=\s|$)", command, re.DOTALL)]
    assert len(found) >= 11
    for command, body in found:
        value = json.loads(body)
        message = next((BODIES[path] for path in sorted(BODIES, key=len, reverse=True) if path in command), None)
        if message is not None:
            ParseDict(value, message())


def test_answers_of_the_documents_are_json():
    answers = [answer for path in EXAMPLES for answer in blocks(path.read_text(), "json")]
    assert len(answers) >= 9
    for answer in answers:
        json.loads(answer)


def test_rest_paths_of_the_documents_are_in_the_openapi_document():
    known = set(yaml.safe_load((ROOT / "gen/openapi.yaml").read_text())["paths"])
    for path in [path for page in EXAMPLES for path in re.findall(r"localhost:8000(/[^\s\"'?`]*)", page.read_text())]:
        pattern = re.sub(r"[0-9a-f]{8}-[0-9a-f-]{27}", "{message_id}", path).replace("/acme/", "/{tenant_id}/")
        assert pattern in known, path


def programs(document: str) -> str:
    """The Python of a document as one program."""
    found = blocks((ROOT / document).read_text(), "python")
    assert found
    return "\n".join(found)


async def output_of(source: str, server: RunningServer) -> list[str]:
    """What a program prints that finds the service where the documents say it is."""
    source = re.sub(r"127\.0\.0\.1:(8000|50051)", server.grpc_address, source)
    assert server.grpc_address in source
    printed = io.StringIO()

    def run() -> None:
        with contextlib.redirect_stdout(printed):
            exec(compile(source, "document", "exec"), {})

    await asyncio.to_thread(run)
    return printed.getvalue().splitlines()


@pytest.mark.asyncio
async def test_the_loop_of_the_readme_runs(server: RunningServer):
    source = programs("README.md")
    loop = source[source.index("with ") :].strip().splitlines()
    assert len(loop) <= 10
    lines = await output_of(source, server)
    assert lines[0] == "I know:"
    assert any(line.endswith("user: I love Python programming") for line in lines), lines


@pytest.mark.asyncio
async def test_the_programs_of_the_clients_page_run(server: RunningServer):
    lines = await output_of(programs("docs/clients.md"), server)
    assert any(line.endswith("I love Python programming") for line in lines)
    assert "query must not be empty" in lines
    assert "4 of 4" in lines
    assert lines[-1] == "I moved to Lisbon"


@pytest.mark.asyncio
async def test_the_stubs_of_the_grpc_page_run(server: RunningServer):
    lines = await output_of(programs("docs/grpc.md"), server)
    assert lines[0] == "completed 0.54"
    assert lines[1].endswith("I love Python programming")
    assert lines[2] == "INVALID_ARGUMENT conversation_id: must not be empty"


# -- decisions


def test_decisions_are_numbered_and_have_their_parts():
    assert len({path.name[:4] for path in DECISIONS}) == len(DECISIONS)
    index = (ROOT / "docs/decisions/README.md").read_text()
    for path in DECISIONS:
        text = path.read_text()
        assert text.startswith(f"# {int(path.name[:4])}. "), path.name
        assert re.findall(r"^## (.+)$", text, re.MULTILINE) == ["Context", "Decision", "Consequences"], path.name
        assert f"({path.name})" in index, path.name
