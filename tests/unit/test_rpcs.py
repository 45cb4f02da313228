"""The services of the contract: none is forgotten by the server, by Envoy or by a language's options."""

from __future__ import annotations

import keyword
from dataclasses import replace
from typing import Any

import pytest
import yaml
from google.protobuf.descriptor_pb2 import FileDescriptorProto, FileDescriptorSet, MethodOptions

from memory_grpc import resources
from memory_grpc.operations.models.registry import Slot
from memory_grpc.rpc_facts import UNDECLARED, RpcFacts, faults
from memory_grpc.rpcs import FACTS, METHODS, SERVICES
from memory_grpc.services import add_services
from memory_grpc.settings import Settings

FILES = [
    file
    for file in FileDescriptorSet.FromString(resources.DESCRIPTORS.read_bytes()).file
    if file.package == "memory_layer.v1"
]
ENVOY = yaml.safe_load(resources.ENVOY_YAML.read_text())


def names() -> set[str]:
    """Every service of the contract's files."""
    return {f"{file.package}.{service.name}" for file in FILES for service in file.service}


def found(node: Any, key: str) -> list[Any]:
    """Every value of a key, however deep."""
    inner = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    own = [node[key]] if isinstance(node, dict) and key in node else []
    return own + [value for child in inner for value in found(child, key)]


def test_every_service_of_the_contract_is_known_and_transcoded() -> None:
    assert {service.full_name for service in SERVICES} == names()
    # The chains of the listener share their filters, which count once.
    (transcoded,) = {id(services): services for services in found(ENVOY, "services")}.values()
    assert transcoded == [service.full_name for service in SERVICES]


def test_every_rpc_is_served_by_a_method_of_its_own() -> None:
    class Server:
        methods: set[str] = set()

        def add_generic_rpc_handlers(self, handlers: Any) -> None:
            """Not asked: the registered ones name their methods."""

        def add_registered_method_handlers(self, service: str, handlers: dict[str, Any]) -> None:
            self.methods |= {f"/{service}/{name}" for name in handlers}
            for handler in handlers.values():
                own = handler.stream_stream or handler.unary_stream or handler.unary_unary
                # One that is not written is the base's, which answers UNIMPLEMENTED.
                assert own.__func__.__module__.startswith("memory_grpc.services.")

    server: Any = Server()
    add_services(server, Slot(), Settings(), lambda: 0.0)
    assert server.methods == set(METHODS)


def test_every_stream_has_a_route_without_a_timeout() -> None:
    by_path = {route["match"].get("path"): route for routes in found(ENVOY, "routes") for route in routes}
    streams = [name for name, method in METHODS.items() if method.client_streaming or method.server_streaming]
    assert streams
    for name in streams:
        assert by_path[name]["route"]["timeout"] == "0s"


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_every_language_finds_its_package(file: FileDescriptorProto) -> None:
    options = file.options
    assert options.go_package == "memory_layer/v1;memorylayerv1"
    assert (options.java_package, options.java_multiple_files) == ("memorylayer.v1", True)
    assert options.csharp_namespace == "MemoryLayer.V1"
    assert options.ruby_package == "MemoryLayer::V1"
    assert options.php_namespace == "MemoryLayer\\V1"


def test_no_name_is_a_keyword_of_python() -> None:
    named = [field.name for file in FILES for message in file.message_type for field in message.field]
    assert len(named) > 100
    assert not [name for name in named if keyword.iskeyword(name)]


def test_facts_are_what_the_options_say() -> None:
    ingest = FACTS["/memory_layer.v1.MemoryService/IngestMessage"]
    assert ingest == RpcFacts(
        kind="write",
        role="writer",
        reach="named_tenants",
        http_status=202,
        reasons=("NOT_FOUND", "REQUEST_ID_REUSED", "QUOTA_EXCEEDED"),
    )
    health = FACTS["/memory_layer.v1.AdminService/GetHealth"]
    assert health == RpcFacts(kind="probe", is_open=True)
    stream = FACTS["/memory_layer.v1.MemoryService/StreamIngest"]
    assert (stream.kind, stream.is_streaming, stream.http_status) == ("stream", True, 200)
    assert {name.rpartition("/")[2]: facts.kind for name, facts in FACTS.items() if facts.kind != "admin"} == {
        "IngestMessage": "write",
        "BatchIngestMessages": "write",
        "StreamIngest": "stream",
        "Export": "stream",
        "GetMessage": "read",
        "DeleteMessage": "write",
        "UpdateMessage": "write",
        "ListRevisions": "read",
        "ListMessages": "read",
        "ListConversations": "read",
        "ListUsers": "read",
        "SearchMemories": "read",
        "BuildContext": "read",
        "GetHealth": "probe",
    }


DECLARED = RpcFacts(kind="read", role="reader", reach="named_tenants")


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"kind": ""}, "does not say what a call of it counts as"),
        ({"role": ""}, "does not say which key it needs"),
        ({"reach": ""}, "does not say which key it needs"),
        ({"kind": "stream"}, "must be of the kind CALL_KIND_STREAM if it streams"),
        ({"is_streaming": True}, "must be of the kind CALL_KIND_STREAM if it streams"),
        ({"http_status": 404}, "must have an http_status of success"),
        ({"kind": "stream", "is_streaming": True, "http_status": 202}, "has no http_status of its own"),
        ({"reasons": ("NOT_FOUND", "NOT_FOUND")}, "names a reason twice"),
    ],
)
def test_facts_that_are_missing_or_contradict_themselves_are_told(change: dict[str, Any], fault: str) -> None:
    assert not list(faults(DECLARED))
    (told,) = faults(replace(DECLARED, **change))
    assert fault in told


def test_an_open_rpc_needs_no_role() -> None:
    assert not list(faults(RpcFacts(kind="probe", is_open=True)))
    assert len(list(faults(UNDECLARED))) == 2


def test_reads_say_that_they_have_no_side_effects():
    for name, facts in FACTS.items():
        level = METHODS[name].GetOptions().idempotency_level
        if facts.kind in ("read", "probe"):
            assert level == MethodOptions.NO_SIDE_EFFECTS, f"{name}: a client may not try it again"
        elif facts.kind == "write":
            assert level != MethodOptions.NO_SIDE_EFFECTS, name
