"""gen/ is what proto/ gives, and --check says where it is not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorSet

from memory_grpc import resources
from tools.codegen.__main__ import main
from tools.codegen.descriptors import read_contract
from tools.codegen.generate import generated
from tools.codegen.problem import CodegenError


def test_gen_is_current(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--check"]) == 0, capsys.readouterr().err


def test_the_same_protos_give_the_same_bytes() -> None:
    first = generated(resources.ROOT / "proto")
    assert first == generated(resources.ROOT / "proto")
    for name, content in first.items():
        assert str(resources.ROOT).encode() not in content, name
        assert sys.prefix.encode() not in content, name


def test_check_lists_what_differs_is_missing_and_is_stale(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    gen = checkout / "gen"
    (gen / "openapi.yaml").write_text("openapi: 3.0.3\n")
    (gen / "memory_layer/v1/errors_pb2.py").unlink()
    (gen / "memory_layer/v1/gone_pb2.py").write_text("")
    assert main(["--check", "--root", str(checkout)]) == 1
    said = capsys.readouterr().err.splitlines()
    assert said[:3] == [
        "gen/memory_layer/v1/errors_pb2.py: missing",
        "gen/memory_layer/v1/gone_pb2.py: stale",
        "gen/openapi.yaml: differs",
    ]
    assert main(["--root", str(checkout)]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 3
    assert main(["--check", "--root", str(checkout)]) == 0
    assert not (gen / "memory_layer/v1/gone_pb2.py").exists()


def test_files_that_are_current_are_not_touched(checkout: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in (checkout / "gen").rglob("*")}
    assert main(["--root", str(checkout)]) == 0
    assert before == {path: path.stat().st_mtime_ns for path in (checkout / "gen").rglob("*")}


def test_a_changed_proto_makes_gen_stale(checkout: Path) -> None:
    proto = checkout / "proto/memory_layer/v1/message.proto"
    proto.write_text(proto.read_text().replace("string id = 1", "string id = 99"))
    assert main(["--check", "--root", str(checkout)]) == 1


@pytest.mark.parametrize("line", ["message {", 'import "google/protobuf/duration.proto";'])
def test_a_broken_proto_leaves_gen_as_it_was(checkout: Path, line: str, capsys: pytest.CaptureFixture[str]) -> None:
    proto = checkout / "proto/memory_layer/v1/message.proto"
    text = proto.read_text()
    proto.write_text(text.replace("package memory_layer.v1;", f"package memory_layer.v1;\n{line}"))
    before = (checkout / "gen/memory_layer.binpb").read_bytes()
    assert main(["--root", str(checkout)]) == 2
    (sentence,) = capsys.readouterr().err.splitlines()
    assert sentence.startswith("codegen: protoc refused the contract: memory_layer/v1/message.proto")
    assert (checkout / "gen/memory_layer.binpb").read_bytes() == before


def test_without_protos_it_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--root", str(tmp_path)]) == 2
    (sentence,) = capsys.readouterr().err.splitlines()
    assert sentence == "codegen: proto/ holds no .proto file: run this in a checkout of the repository."


def test_plugins_are_found_when_the_environment_is_not_activated() -> None:
    command = [sys.executable, "-m", "tools.codegen", "--check"]
    environment = {**os.environ, "PATH": "/usr/bin:/bin"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_the_descriptor_set_holds_what_envoy_and_readers_need() -> None:
    described = FileDescriptorSet.FromString(resources.DESCRIPTORS.read_bytes())
    types = {f"{file.package}.{message.name}" for file in described.file for message in file.message_type}
    assert {"google.rpc.Status", "google.rpc.ErrorInfo", "google.rpc.BadRequest", "google.api.HttpRule"} <= types
    assert all(file.HasField("source_code_info") for file in described.file if file.package == "memory_layer.v1")
    assert read_contract(resources.DESCRIPTORS.read_bytes()).rpcs.keys() >= {"MemoryService.IngestMessage"}


def test_only_files_with_services_have_grpc_stubs() -> None:
    stubs = {path.name for path in (resources.ROOT / "gen").rglob("*_grpc.py*") if path.suffix in (".py", ".pyi")}
    services = {path.stem for path in (resources.ROOT / "proto").rglob("*_service.proto")}
    assert stubs == {f"{name}_pb2_grpc.{suffix}" for name in services for suffix in ("py", "pyi")}


def test_a_descriptor_set_of_something_else_is_refused() -> None:
    with pytest.raises(CodegenError):
        read_contract(b"")


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("      kind: CALL_KIND_READ\n", "", "MemoryService.GetMessage does not say what a call of it counts as"),
        ("role: ROLE_READER, ", "", "MemoryService.GetMessage does not say which key it needs"),
        (
            "[ERROR_REASON_NOT_FOUND]",
            "[ERROR_REASON_INTERNAL]",
            "declares the reason INTERNAL, which any call can give",
        ),
        ("http_status: 202", "http_status: 302", "MemoryService.IngestMessage must have an http_status of success"),
    ],
)
def test_an_rpc_that_does_not_declare_what_it_is_is_refused(
    checkout: Path, old: str, new: str, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    proto = checkout / "proto/memory_layer/v1/memory_service.proto"
    assert old in proto.read_text()
    proto.write_text(proto.read_text().replace(old, new, 1))
    assert main(["--root", str(checkout)]) == 2
    assert sentence in capsys.readouterr().err


def test_a_path_variable_that_clients_would_take_out_of_the_path_is_refused(
    checkout: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    proto = checkout / "proto/memory_layer/v1/policy_service.proto"
    proto.write_text(proto.read_text().replace("    (limits).path_segment = true,\n", "", 1))
    assert main(["--root", str(checkout)]) == 2
    assert "GetTenantPolicyRequest.tenant_id stands in a path" in capsys.readouterr().err


def test_a_reason_that_nobody_gives_is_refused(checkout: Path, capsys: pytest.CaptureFixture[str]) -> None:
    proto = checkout / "proto/memory_layer/v1/errors.proto"
    proto.write_text(proto.read_text().replace("_INTERNAL = 15 [(any_call) = true];", "_INTERNAL = 15;"))
    assert main(["--root", str(checkout)]) == 2
    assert "no RPC declares the reason INTERNAL" in capsys.readouterr().err
