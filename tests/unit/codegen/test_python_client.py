"""The Python client is what the contract says: names, types, defaults, and what it refuses to guess."""

from __future__ import annotations

from dataclasses import replace

import pytest

from memory_grpc.rpc_facts import RpcFacts
from tools.codegen.contract import Contract, Field, Limits, MessageType, Rpc, Service
from tools.codegen.problem import CodegenError
from tools.codegen.python_calls import ASYNC, SYNC, calls_module, method_name, rpcs_module
from tools.codegen.python_types import argument, dataclasses_of, docstring

PLAIN = Field("n", "int32", "", False, False, "How many.", Limits())


def field(name: str, type_: str = "string", type_name: str = "", **changes: object) -> Field:
    return replace(PLAIN, name=name, type=type_, type_name=type_name, **changes)


def rpc(name: str, service: str = "S", **changes: object) -> Rpc:
    one = Rpc(service, name, "Does it.", "memory_layer.v1.Ask", "memory_layer.v1.Answer", (), RpcFacts())
    return replace(one, **changes)


def contract(*rpcs: Rpc, ask: tuple[Field, ...] = (), answer: tuple[Field, ...] = ()) -> Contract:
    kinds = {
        "Ask": ask,
        "Answer": answer,
        "Part": (field("x"),),
    }
    messages = {
        f"memory_layer.v1.{name}": MessageType(f"memory_layer.v1.{name}", f"A {name}.", fields)
        for name, fields in kinds.items()
    }
    names = dict.fromkeys(one.service for one in rpcs)
    services = tuple(Service(name, "", tuple(one for one in rpcs if one.service == name)) for name in names)
    return Contract(services, messages, {})


@pytest.mark.parametrize(
    ("one", "written"),
    [
        (field("a"), 'a: str = ""'),
        (field("a", "bool"), "a: bool = False"),
        (field("a", optional=True), "a: str | None = None"),
        (field("a", limits=Limits(required=True)), "a: str"),
        (field("tenant_id", limits=Limits(required=True)), "tenant_id: str | None = None"),
        (field("a", repeated=True), "a: Iterable[str] = ()"),
        (field("a", repeated=True, limits=Limits(min_items=1)), "a: Iterable[str]"),
        (field("a", "message", "google.protobuf.Timestamp"), "a: datetime | None = None"),
        (field("a", "message", "google.protobuf.Struct"), "a: Mapping[str, Any] | None = None"),
        (field("a", "message", "memory_layer.v1.Part"), "a: types.Part | None = None"),
    ],
)
def test_a_field_is_an_argument(one: Field, written: str):
    assert argument(one) == written


@pytest.mark.parametrize("one", [field("a", "enum", "memory_layer.v1.E"), field("a", "message", "google.type.Date")])
def test_a_type_that_the_client_does_not_know_is_refused(one: Field):
    with pytest.raises(CodegenError, match=r"^a is of type"):
        calls_module(contract(rpc("Do"), ask=(one,)), SYNC)


def test_names_are_those_of_python():
    assert [method_name(rpc(name)) for name in ("ListApiKeys", "Get", "Import")] == ["list_api_keys", "get", "import_"]
    assert 'IMPORT = Rpc("/memory_layer.v1.S/Import", types.Answer)' in rpcs_module(contract(rpc("Import")))


def test_two_methods_of_one_name_are_refused():
    with pytest.raises(CodegenError, match="client's method get"):
        calls_module(contract(rpc("Get", "S"), rpc("Get", "T")), SYNC)
    with pytest.raises(CodegenError, match="client's method remember"):
        calls_module(contract(rpc("Remember")), SYNC)


def test_a_field_that_hides_what_every_method_has_is_refused():
    with pytest.raises(CodegenError, match=r"^do: "):
        calls_module(contract(rpc("Do"), ask=(field("timeout"),)), SYNC)


def test_only_what_is_used_becomes_a_dataclass():
    part = field("part", "message", "memory_layer.v1.Part")
    without, with_part = (dataclasses_of(contract(rpc("Do"), answer=fields)) for fields in ((), (part,)))
    assert "class Answer:" in without
    assert "class Ask:" not in without
    assert "class Part:" not in without
    assert "part: Part | None = None" in with_part
    required = replace(part, limits=Limits(required=True))
    assert "    part: Part\n" in dataclasses_of(contract(rpc("Do"), answer=(required,)))


def test_lists_and_streams_are_iterators_of_either_kind():
    parts = field("parts", "message", "memory_layer.v1.Part", repeated=True)
    paged = contract(rpc("ListParts"), ask=(field("page_token"),), answer=(parts,))
    assert "-> Pages[types.Answer, types.Part]:" in calls_module(paged, SYNC)
    assert "-> AsyncPages[types.Answer, types.Part]:" in calls_module(paged, ASYNC)
    streamed = contract(rpc("Take", server_streaming=True))
    assert "-> AsyncIterator[types.Answer]:" in calls_module(streamed, ASYNC)
    both = contract(
        rpc("Talk", server_streaming=True, client_streaming=True),
        ask=(field("message", "message", "memory_layer.v1.Part"),),
    )
    assert "messages: Iterable[types.Part]," in calls_module(both, SYNC)


def test_what_is_written_compiles():
    for flavour in (SYNC, ASYNC):
        compile(calls_module(contract(rpc("Do"), ask=(field("a"),)), flavour), "calls", "exec")


@pytest.mark.parametrize("text", ['It says "no".', 'A path \\x and """.', "word " * 60, "one\n\ntwo"])
def test_a_comment_is_a_docstring_of_lines_that_fit(text: str):
    lines = docstring(text, "    ")
    assert all(len(line) <= 120 for line in lines)
    found = compile("class A:\n" + "\n".join(lines), "doc", "exec").co_consts[0].co_consts
    assert any(isinstance(one, str) and text.split()[0] in one for one in found)


def test_no_comment_is_no_docstring():
    assert docstring("", "    ") == []
