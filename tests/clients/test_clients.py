"""docs/clients.md in other languages: each page runs as it stands there, where its tools are installed."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorSet

from memory_layer.v1 import listing_pb2
from tests.conftest import RunningRest
from tools.codegen.protoc import tool

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/clients.md").read_text()
NODE = Path(__file__).parent / "node"


def block(language: str) -> str:
    (found,) = re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    return found


@pytest.mark.asyncio
async def test_the_node_page_runs(rest: RunningRest, tmp_path: Path):
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    if not (NODE / "node_modules/@grpc/grpc-js").exists():
        pytest.skip("its packages are not installed: npm install --prefix tests/clients/node")
    address = f"127.0.0.1:{rest.server.settings.http_port}"
    source = block("js")
    assert "127.0.0.1:8000" in source
    program = tmp_path / "client.js"
    program.write_text(source.replace("127.0.0.1:8000", address))
    done = await asyncio.to_thread(
        subprocess.run,
        [node, program],
        cwd=ROOT,
        env={**os.environ, "NODE_PATH": str(NODE / "node_modules")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].startswith("completed ")
    assert lines[1].endswith("I love Python programming")
    assert lines[2:] == [*(f"acknowledged {n}" for n in range(3)), "true INVALID_FIELD conversation_id"]
    listed = await rest.server.memory.ListMessages(listing_pb2.ListMessagesRequest(tenant_id="node"))
    assert [message.metadata["source"] for message in listed.messages] == ["web"] * 4


def test_the_descriptor_set_is_all_that_protoc_needs(tmp_path: Path):
    files = sorted(path.relative_to(ROOT / "proto").as_posix() for path in (ROOT / "proto").rglob("*.proto"))
    command = [sys.executable, "-m", "grpc_tools.protoc", "--descriptor_set_in=gen/memory_layer.binpb"]
    done = subprocess.run(
        [*command, f"--pyi_out={tmp_path}", *files], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert len(list(tmp_path.rglob("*_pb2.pyi"))) == len(files)


def test_the_descriptor_set_is_an_input_of_buf(tmp_path: Path):
    image = tmp_path / "image.binpb"
    command = [tool("buf"), "build", "gen/memory_layer.binpb", "--path", "memory_layer/v1", "-o", str(image)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    names = {file.name for file in FileDescriptorSet.FromString(image.read_bytes()).file}
    assert {path.relative_to(ROOT / "proto").as_posix() for path in (ROOT / "proto").rglob("*.proto")} <= names
