"""Terminals whose encoding lacks characters: no command ends for one, and JSON stays JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from memory_grpc.cli import app
from memory_grpc.commands.failure import USAGE, said_plainly
from memory_grpc.commands.pipes import reader_may_leave
from memory_layer.v1 import context_pb2, listing_pb2, memory_service_pb2, policy_pb2, transfer_service_pb2
from tests.unit.client.flaky import Flaky, flaky_server

TEXT = "Zoë’s café: 東京 🎉 → naïve…"
ID = "550e8400-e29b-41d4-a716-446655440000"
# The last is Python's own for the locale C; it raises for what ASCII lacks.
STREAMS = [("latin-1", "strict"), ("ascii", "strict"), ("ascii", "surrogateescape")]
Printed = Callable[..., tuple[int, str]]


@pytest.fixture
def service() -> Iterator[Flaky]:
    found = memory_service_pb2.SearchMemoriesResponse(total=1)
    found.items.add(message_id=ID, content=TEXT, role="user", conversation_id="c")
    page = listing_pb2.ListMessagesResponse()
    page.messages.add(id=ID, content=TEXT, role="user", conversation_id="c")
    built = context_pb2.BuildContextResponse(text=f"user: {TEXT}", total_tokens=9)
    record = transfer_service_pb2.TransferRecord()
    record.message.id, record.message.content = ID, TEXT
    answers = {
        "SearchMemoriesRequest": found,
        "ListMessagesRequest": page,
        "BuildContextRequest": built,
        "ExportRequest": [record],
        "GetTenantPolicyRequest": policy_pb2.TenantPolicy(),
    }
    with flaky_server() as server:
        server.answer = lambda request: answers[request.DESCRIPTOR.name]
        yield server


@pytest.fixture(params=STREAMS, ids=":".join)
def printed(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, service: Flaky
) -> Iterator[Printed]:
    """Runs a command as the console script does; its exit code and what it printed."""
    encoding, errors = request.param

    def command(*arguments: str) -> tuple[int, str]:
        with (
            (tmp_path / "out").open("w", encoding=encoding, errors=errors) as stream,
            monkeypatch.context() as patch,
        ):
            patch.setenv("COLUMNS", "100")
            patch.setenv("MEMORY_GRPC_PORT", service.address.rpartition(":")[2])
            patch.setattr(sys, "stdout", stream)
            with pytest.raises(SystemExit) as ended, said_plainly(), reader_may_leave():
                app(args=list(arguments), prog_name="memory-grpc")
        assert isinstance(ended.value.code, int)
        return ended.value.code, (tmp_path / "out").read_text(encoding="utf-8" if "export" in arguments else encoding)

    yield command


@pytest.mark.parametrize(
    "arguments", [("search", "x", "-t", "acme"), ("list", "-t", "acme"), ("context", "x", "-t", "acme")], ids=" ".join
)
def test_what_an_encoding_lacks_is_spelled_out(arguments: tuple[str, ...], printed: Printed) -> None:
    code, out = printed(*arguments)
    assert code == 0
    assert "'s caf" in out
    assert r"\u6771\u4eac \U0001f389 > na" in out
    code, out = printed(*arguments, "--json")
    assert code == 0
    assert TEXT in json.dumps(json.loads(out), ensure_ascii=False)


def test_help_and_exports_are_whole(printed: Printed) -> None:
    code, out = printed("policy", "set", "--help")
    assert (code, "\\" in out) == (0, False)
    assert "Exit codes" in out
    code, out = printed("export", "-t", "acme")
    assert code == 0
    assert TEXT in out


def test_an_argument_that_is_no_text_is_wrong_usage(
    service: Flaky, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As Python reads bytes of the command line that the locale's encoding has no characters for."""
    monkeypatch.setenv("MEMORY_GRPC_PORT", service.address.rpartition(":")[2])
    for arguments in (["search", "caf\udce9", "-t", "acme"], ["list", "-t", "caf\udce9"]):
        with pytest.raises(SystemExit) as ended, said_plainly():
            app(args=arguments, prog_name="memory-grpc")
        assert ended.value.code == USAGE
        said = capsys.readouterr()
        assert said.err.startswith("Some text given to the command is not valid ")
        assert "caf" not in said.out + said.err
    assert not service.requests
