"""buf lints the contract and finds breaking changes, offline."""

from __future__ import annotations

from pathlib import Path

import pytest

from memory_grpc import resources
from tools.codegen.__main__ import main


def edit(checkout: Path, name: str, old: str, new: str) -> None:
    proto = checkout / "proto/memory_layer/v1" / name
    assert old in proto.read_text()
    proto.write_text(proto.read_text().replace(old, new, 1))


def test_the_contract_is_clean(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--lint"]) == 0
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("ignore", ["", "  // buf:lint:ignore FIELD_LOWER_SNAKE_CASE\n"])
def test_a_badly_named_field_is_found(checkout: Path, ignore: str, capsys: pytest.CaptureFixture[str]) -> None:
    edit(checkout, "admin_service.proto", "  int32 archived = 1 ", f"{ignore}  int32 nArchived = 1 ")
    assert main(["--lint", "--root", str(checkout)]) == 1
    (finding,) = capsys.readouterr().out.splitlines()
    assert finding.startswith("memory_layer/v1/admin_service.proto:")
    assert '"nArchived" should be lower_snake_case' in finding


def test_the_same_contract_breaks_nothing() -> None:
    assert main(["--breaking", str(resources.DESCRIPTORS)]) == 0


@pytest.mark.parametrize(
    ("name", "old", "new", "finding"),
    [
        ("message", "string id = 1 ", "int32 id = 1 ", 'Field "1" with name "id" on message "Message" changed type'),
        ("message", "string id = 1 ", "string ident = 1 ", 'Field "1" on message "Message" changed name'),
        ("memory_service", "rpc GetMessage(", "rpc FetchMessage(", 'Previously present RPC "GetMessage" on service'),
        ("admin_service", "service AdminService", "service Admin", 'present service "AdminService" was deleted'),
        ("errors", "ERROR_REASON_INTERNAL = 15 ", "ERROR_REASON_INTERNAL = 99 ", "ErrorReason"),
    ],
)
def test_breaking_changes_are_found(
    checkout: Path, name: str, old: str, new: str, finding: str, capsys: pytest.CaptureFixture[str]
) -> None:
    edit(checkout, f"{name}.proto", old, new)
    assert main(["--breaking", str(resources.DESCRIPTORS), "--root", str(checkout)]) == 1
    assert finding in capsys.readouterr().out


def test_a_missing_file_to_compare_with_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--breaking", str(tmp_path / "none.binpb")]) == 2
    assert "none.binpb is no file" in capsys.readouterr().err


def test_a_missing_configuration_is_named(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (checkout / "buf.yaml").unlink()
    assert main(["--lint", "--root", str(checkout)]) == 2
    assert "buf.yaml is missing" in capsys.readouterr().err


def test_every_exception_is_justified() -> None:
    lines = (resources.ROOT / "buf.yaml").read_text().splitlines()
    end = lines.index("breaking:")
    exceptions = [i for i in range(lines.index("  except:"), end) if lines[i].startswith("    - ")]
    assert exceptions
    assert all(lines[i - 1].lstrip().startswith("# ") for i in exceptions)
