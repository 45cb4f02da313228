"""docs/clients: each page runs as it stands there, where its tools are installed, and is skipped by name otherwise."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from google.protobuf.descriptor_pb2 import FileDescriptorSet

from memory_layer.v1 import listing_pb2
from tests.clients.pages import OF_MEMORY_SERVICE, ROOT, block, check, needs, program, run
from tests.e2e.test_workflow import Up, running
from tools.codegen.protoc import tool

HERE = Path(__file__).parent
NODE = HERE / "node/node_modules"
TOOLS = HERE / ".tools/usr/bin"
JARS = Path("/usr/share/java")
DEBIAN = "sh tests/clients/toolchains.sh"


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    with running(tmp_path_factory.mktemp("clients"), MEMORY_EMBEDDING_PROVIDER="hashing") as started:
        yield started


@pytest.fixture
def node() -> dict[str, str]:
    """The environment of programs for Node."""
    needs("node", installed_by="install Node")
    if not (NODE / "@connectrpc/connect-web").exists():
        pytest.skip("its packages are not installed: npm install --prefix tests/clients/node")
    return {"NODE_PATH": str(NODE)}


def test_the_node_page_runs(up: Up, tmp_path: Path, node: dict[str, str]) -> None:
    (tmp_path / "client.js").write_text(program("clients/node.md", "js", up.port))
    check(run(["node", "client.js"], tmp_path, node), refused="true")
    listed = up.http.get("/v1/messages", params={"tenant_id": "node"}).json()
    assert [message["metadata"]["source"] for message in listed["messages"]] == ["web"] * 4


def test_the_page_of_connect_runs_over_grpc_web(up: Up, tmp_path: Path, node: dict[str, str]) -> None:
    (tmp_path / "client.mjs").write_text(program("clients/web.md", "js", up.port))
    (tmp_path / "node_modules").symlink_to(NODE)  # ES modules do not look at NODE_PATH
    lines = run(["node", "client.mjs"], tmp_path).splitlines()
    assert lines[0].startswith("completed ")
    assert lines[1].endswith("I love Python programming")
    exported = ["I love Python programming", "turn 0", "turn 1", "turn 2"]
    assert lines[2:] == [*(f"exported {content}" for content in exported), "true INVALID_FIELD conversation_id"]


def test_protobufjs_reads_the_descriptor_set(tmp_path: Path, node: dict[str, str]) -> None:
    (tmp_path / "read.js").write_text(block("clients.md", "js"))
    number = listing_pb2.ListMessagesRequest.DESCRIPTOR.fields_by_name["tenant_id"].number
    assert run(["node", "read.js"], tmp_path, node) == f"{number}\n"


def test_the_ruby_page_runs(up: Up, tmp_path: Path) -> None:
    needs("ruby", "grpc_tools_ruby_protoc", installed_by=DEBIAN)
    (tmp_path / "client.rb").write_text(program("clients/ruby.md", "ruby", up.port))
    build = block("clients/ruby.md", "bash").replace("gem install grpc grpc-tools\n", "")
    check(run(["sh", "-e", "-c", build], tmp_path))


def test_the_java_page_runs(up: Up, tmp_path: Path) -> None:
    """With Debian's gRPC, whose library of googleapis has no ErrorInfo yet."""
    needs("javac", "java", "protoc", "grpc_java_plugin", installed_by=DEBIAN)
    if not (JARS / "grpc-netty.jar").exists():
        pytest.skip(f"gRPC for Java is not installed: {DEBIAN}")
    build = block("clients/java.md", "bash")
    build += "protoc --descriptor_set_in=gen/memory_layer.binpb --java_out=src google/rpc/error_details.proto\n"
    run(["sh", "-e", "-c", build], tmp_path)
    (tmp_path / "src/Client.java").write_text(program("clients/java.md", "java", up.port))
    names = ("grpc-*", "protobuf", "guava*", "failureaccess*", "proto-google-common-protos", "netty*", "*perfmark*")
    jars = [
        jar for name in (*names, "opencensus-api", "geronimo-annotation*") for jar in sorted(JARS.glob(f"{name}.jar"))
    ]
    path = os.pathsep.join(["classes", *map(str, jars)])
    sources = sorted(str(file.relative_to(tmp_path)) for file in (tmp_path / "src").rglob("*.java"))
    run(["javac", "-proc:none", "-nowarn", "-d", "classes", "-cp", path, *sources], tmp_path)
    check(run(["java", "-cp", path, "Client"], tmp_path))


def test_the_go_page_runs(up: Up, tmp_path: Path) -> None:
    """With Debian's gRPC, in which NewClient is still called Dial and messages are those of the first API."""
    needs("go", "protoc", installed_by=DEBIAN)
    if not (TOOLS / "protoc-gen-go").exists():
        pytest.skip(f"protoc-gen-go is not there: {DEBIAN}")
    folder = tmp_path / "src/client"
    folder.mkdir(parents=True)
    source = program("clients/go.md", "go", up.port)
    for now, then in (
        ("grpc.NewClient(", "grpc.Dial("),
        ("grpc.WithTransportCredentials(insecure.NewCredentials())", "grpc.WithInsecure()"),
        ('\t"google.golang.org/grpc/credentials/insecure"\n', ""),
    ):
        assert now in source
        source = source.replace(now, then)
    (folder / "main.go").write_text(source)
    (folder / "codec.go").write_text((HERE / "go/codec.go").read_text())
    build = re.sub(r"^go .*\n", "", block("clients/go.md", "bash"), flags=re.MULTILINE)
    found = {"PATH": f"{TOOLS}{os.pathsep}{os.environ['PATH']}"}
    run(["sh", "-e", "-c", build], folder, found)
    local = {"GO111MODULE": "off", "GOPATH": f"{tmp_path}:/usr/share/gocode", "GOCACHE": str(tmp_path / "cache")}
    run(["go", "build", "-o", "client"], folder, local)
    check(run([str(folder / "client")], folder))


@pytest.mark.skipif(not os.environ.get("TEST_CPP"), reason="compiles for minutes: set TEST_CPP=1")
def test_the_cpp_page_runs(up: Up, tmp_path: Path) -> None:
    needs("g++", "protoc", "grpc_cpp_plugin", "pkg-config", installed_by=DEBIAN)
    (tmp_path / "client.cpp").write_text(program("clients/cpp.md", "cpp", up.port))
    check(run(["sh", "-e", "-c", block("clients/cpp.md", "bash")], tmp_path))


def test_the_csharp_page_names_what_there_is(tmp_path: Path) -> None:
    """It is compared with what protoc generates, and not run: .NET and its packages are not Debian's."""
    needs("protoc", installed_by=DEBIAN)
    source = block("clients/csharp.md", "csharp")
    files = [f"memory_layer/v1/{name}.proto" for name in OF_MEMORY_SERVICE.split()]
    google = ["google/rpc/error_details.proto", "google/rpc/status.proto"]
    run(["protoc", "--descriptor_set_in=gen/memory_layer.binpb", "--csharp_out=.", *files, *google], tmp_path)
    generated = "\n".join(file.read_text() for file in tmp_path.glob("*.cs"))
    properties = set(re.findall(r"public [^(\n]+? (\w+) \{$", generated, re.MULTILINE))
    named = set(re.findall(r"\b(?:stored|hit|acknowledged|info\?|bad\?)\.(\w+)", source))
    for initializer in re.findall(r"(?:Request|new\(\))\s*\{(.*?)\}", source, re.DOTALL):
        named |= set(re.findall(r"\b([A-Z]\w+) = ", initializer))
    assert {"TenantId", "EmbeddingStatus", "Sequence", "FieldViolations"} <= named
    assert named - properties - {"Fields"} == set()


def test_the_rest_page_runs(up: Up, tmp_path: Path) -> None:
    needs("bash", "curl", installed_by="install curl")
    printed = run(["bash", "-e", "-c", program("clients/rest.md", "bash", up.port)], tmp_path)
    assert re.findall(r"^status (\d+)$", printed, re.MULTILINE) == ["202", "200", "202", "200", "400"]
    assert '"items":[{' in printed
    assert re.findall(r'^\{"(\w+)"', printed, re.MULTILINE)[3:7] == ["header", "message", "message", "message"]
    assert '"reason":"INVALID_FIELD"' in printed
    assert '{"field":"conversation_id","description":"must not be empty"' in printed


def test_the_descriptor_set_is_all_that_protoc_needs(tmp_path: Path) -> None:
    files = sorted(path.relative_to(ROOT / "proto").as_posix() for path in (ROOT / "proto").rglob("*.proto"))
    command = [sys.executable, "-m", "grpc_tools.protoc", "--descriptor_set_in=gen/memory_layer.binpb"]
    run([*command, f"--pyi_out={tmp_path}", *files], tmp_path)
    assert len(list(tmp_path.rglob("*_pb2.pyi"))) == len(files)


def test_the_descriptor_set_is_an_input_of_buf(tmp_path: Path) -> None:
    """Which takes googleapis out of it, and generates what it is asked for and no more."""
    plugin = Path(sys.executable).parent / "protoc-gen-mypy"
    template = f'{{"version": "v2", "plugins": [{{"local": "{plugin}", "out": "out"}}]}}'
    build = ["generate", "gen/memory_layer.binpb", "--path", "memory_layer/v1", "--template", template]
    run([str(tool("buf")), *build], tmp_path)
    written = {file.relative_to(tmp_path / "out").as_posix() for file in (tmp_path / "out").rglob("*.pyi")}
    protos = {path.relative_to(ROOT / "proto").as_posix() for path in (ROOT / "proto").rglob("*.proto")}
    assert written == {name.replace(".proto", "_pb2.pyi") for name in protos}


def test_every_proto_has_the_packages_of_all_languages() -> None:
    files = FileDescriptorSet.FromString((ROOT / "gen/memory_layer.binpb").read_bytes()).file
    ours = [file.options for file in files if file.package == "memory_layer.v1"]
    assert len(ours) == len(list((ROOT / "proto").rglob("*.proto")))
    for options in ours:
        assert options.go_package == "memory_layer/v1;memorylayerv1"
        assert (options.java_package, options.java_multiple_files) == ("memorylayer.v1", True)
        assert options.csharp_namespace == "MemoryLayer.V1"
        assert options.objc_class_prefix == "MXX"
        assert options.php_namespace == "MemoryLayer\\V1"
        assert options.php_metadata_namespace == "MemoryLayer\\V1\\GPBMetadata"
        assert options.ruby_package == "MemoryLayer::V1"
