"""A limit is enforced, or the contract that declares it is refused: at the start, and before that by codegen."""

from __future__ import annotations

import itertools
import shutil
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import descriptor_pb2, duration_pb2, message_factory, struct_pb2, timestamp_pb2
from google.protobuf.descriptor import Descriptor
from google.protobuf.descriptor_pool import Default
from google.protobuf.message import Message

from memory_grpc import resources
from memory_grpc.errors import InvalidInput, StartupError
from memory_grpc.validation import prepare, validate
from memory_layer.v1 import limits_pb2
from tools.codegen.__main__ import main

T = descriptor_pb2.FieldDescriptorProto
NUMBERS = {
    "double": T.TYPE_DOUBLE,
    "float": T.TYPE_FLOAT,
    "int32": T.TYPE_INT32,
    "int64": T.TYPE_INT64,
    "uint32": T.TYPE_UINT32,
    "uint64": T.TYPE_UINT64,
    "sint32": T.TYPE_SINT32,
    "fixed64": T.TYPE_FIXED64,
}
# Imported for the pool: files that import them can be added to it then.
WELL_KNOWN = [file.DESCRIPTOR.name for file in (duration_pb2, struct_pb2, timestamp_pb2)]
_files = itertools.count()


def described(
    kind: int, *, repeated: bool = False, optional: bool = False, type_name: str = "", **limits: Any
) -> Descriptor:
    """A message with one field ``x`` of a type, with these limits; ``type_name`` ``Entry`` makes it a map."""
    number = next(_files)
    file = descriptor_pb2.FileDescriptorProto(
        name=f"limit_rules_{number}.proto",
        package=f"limit_rules_{number}",
        syntax="proto3",
        dependency=["memory_layer/v1/limits.proto", *WELL_KNOWN],
    )
    message = file.message_type.add(name="M")
    field = message.field.add(name="x", number=1, type=kind, label=T.LABEL_REPEATED if repeated else T.LABEL_OPTIONAL)
    if type_name == "Entry":
        entry = message.nested_type.add(name="XEntry")
        entry.options.map_entry = True
        for place, name in enumerate(("key", "value"), start=1):
            entry.field.add(name=name, number=place, type=T.TYPE_STRING, label=T.LABEL_OPTIONAL)
        type_name = f".{file.package}.M.XEntry"
    if type_name:
        field.type_name = type_name
    if optional:
        message.oneof_decl.add(name="_x")
        field.proto3_optional, field.oneof_index = True, 0
    field.options.Extensions[limits_pb2.limits].CopyFrom(limits_pb2.Limits(**limits))
    Default().AddSerializedFile(file.SerializeToString())
    found: Descriptor = Default().FindMessageTypeByName(f"{file.package}.M")
    return found


def violations(message: Message) -> list[str]:
    try:
        validate(message)
    except InvalidInput as error:
        return [violation.description for violation in error.violations]
    return []


@pytest.mark.parametrize("kind", NUMBERS)
@pytest.mark.parametrize("repeated", [False, True])
def test_bounds_hold_on_every_kind_of_number(kind: str, repeated: bool) -> None:
    more = {"max_items": 5} if repeated else {}
    make = message_factory.GetMessageClass(described(NUMBERS[kind], repeated=repeated, min=2, max=10, **more))

    def told(value: int) -> list[str]:
        return violations(make(x=[value] if repeated else value))

    assert told(1) == ["must be at least 2"]
    assert told(2) == told(10) == []
    assert told(11) == ["must be at most 10"]


@pytest.mark.parametrize(
    ("field", "fault"),
    [
        ({"kind": T.TYPE_BYTES, "max": 10}, "has the limit max, which is not enforced"),
        ({"kind": T.TYPE_BYTES, "max_length": 10}, "has the limit max_length, which is not enforced"),
        ({"kind": T.TYPE_BOOL, "min": 1}, "has the limit min, which is not enforced"),
        ({"kind": T.TYPE_BOOL, "required": True}, "has the limit required, which is not enforced"),
        ({"kind": T.TYPE_INT32, "required": True}, "has the limit required, which is not enforced"),
        ({"kind": T.TYPE_INT32, "max_length": 3}, "has the limit max_length, which is not enforced"),
        ({"kind": T.TYPE_DOUBLE, "one_of": ["1"]}, "has the limit one_of, which is not enforced"),
        ({"kind": T.TYPE_STRING, "min": 1}, "has the limit min, which is not enforced"),
        ({"kind": T.TYPE_STRING, "max_items": 1}, "has the limit max_items, which is not enforced"),
        ({"kind": T.TYPE_STRING, "max_depth": 1}, "has the limit max_depth, which is not enforced"),
        ({"kind": T.TYPE_STRING, "repeated": True, "required": True}, "has the limit required, which is not enforced"),
        ({"kind": T.TYPE_STRING, "repeated": True, "type_name": "Entry"}, "is a map, which nothing checks"),
        ({"kind": T.TYPE_MESSAGE, "type_name": ".google.protobuf.Timestamp", "min": 0}, "has the limit min"),
        ({"kind": T.TYPE_MESSAGE, "type_name": ".google.protobuf.Value"}, "is a google.protobuf.Value, which nothing"),
        (
            {"kind": T.TYPE_MESSAGE, "type_name": ".google.protobuf.Duration"},
            "is a google.protobuf.Duration, which nothing",
        ),
        (
            {"kind": T.TYPE_MESSAGE, "type_name": ".google.protobuf.Struct", "max_depth": 3},
            "needs max_depth and max_json",
        ),
        (
            {"kind": T.TYPE_STRING, "uuid": True, "max_length": 36},
            "has uuid, which leaves max_length without",
        ),
        ({"kind": T.TYPE_STRING, "one_of": ["a"], "uuid": True}, "has one_of, which leaves uuid without"),
        ({"kind": T.TYPE_STRING, "min_length": 3, "max_length": 2}, "has a min_length above its max_length"),
        ({"kind": T.TYPE_INT32, "min": 3, "max": 2}, "has a min above its max"),
        ({"kind": T.TYPE_DOUBLE, "max": float("nan")}, "has a bound of min and max that is no number"),
        ({"kind": T.TYPE_DOUBLE, "min": float("-inf")}, "has a bound of min and max that is no number"),
    ],
)
def test_a_limit_in_name_only_stops_the_start(field: dict[str, Any], fault: str) -> None:
    if field.get("type_name") == "Entry":
        field = field | {"kind": T.TYPE_MESSAGE}
    descriptor = described(**field)
    with pytest.raises(StartupError, match=r"^The contract cannot be enforced: limit_rules_\d+\.M\.x ") as refused:
        prepare(descriptor)
    assert fault in str(refused.value)


@pytest.mark.parametrize(
    "field",
    [
        {"kind": T.TYPE_STRING, "required": True, "min_length": 1, "max_length": 64, "example": '"a"'},
        {"kind": T.TYPE_STRING, "repeated": True, "max_items": 3, "max_length": 3},
        {"kind": T.TYPE_INT64, "optional": True, "required": True, "min": 1},
        {"kind": T.TYPE_BYTES, "optional": True, "required": True},
        {"kind": T.TYPE_MESSAGE, "type_name": ".google.protobuf.Timestamp", "required": True},
        {"kind": T.TYPE_MESSAGE, "type_name": ".google.protobuf.Struct", "max_depth": 3, "max_json_bytes": 100},
    ],
)
def test_what_is_enforced_is_accepted(field: dict[str, Any]) -> None:
    prepare(described(**field))


def test_required_is_missed_on_any_field_with_presence() -> None:
    make = message_factory.GetMessageClass(described(T.TYPE_INT64, optional=True, required=True))
    assert violations(make()) == ["is required"]
    assert violations(make(x=0)) == []


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        (
            "(limits).uuid = true,",
            "(limits).uuid = true,\n    (limits).max_length = 36,",
            "which leaves max_length without",
        ),
        (
            "bool include_archived = 13 [",
            "bool include_archived = 13 [(limits).min = 1, ",
            "has the limit min, which is",
        ),
        (
            "int32 total = 1 [",
            "map<string, string> labels = 99;\n  int32 total = 1 [",
            "labels is a map, which nothing",
        ),
    ],
)
def test_codegen_refuses_it_too(
    tmp_path: Path, old: str, new: str, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(resources.ROOT / "proto", tmp_path / "proto")
    (tmp_path / "gen").mkdir()
    proto = tmp_path / "proto/memory_layer/v1/memory_service.proto"
    assert old in proto.read_text()
    proto.write_text(proto.read_text().replace(old, new, 1))
    assert main(["--root", str(tmp_path)]) == 2
    assert sentence in capsys.readouterr().err
