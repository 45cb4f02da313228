"""Every limit of every request field, as the descriptors state them, just inside and just outside.

The cases are made from the contract, so that a field or a limit added to it is tested here without another line. The
limits that the documentation names stand below once more, by hand: the contract may not drift from them unnoticed.
"""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.json_format import ParseDict
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from google.protobuf.struct_pb2 import Struct
from google.protobuf.timestamp_pb2 import Timestamp

from memory_grpc.errors import InvalidInput
from memory_grpc.rpcs import METHODS
from memory_grpc.validation import validate
from memory_layer.v1.admin_service_pb2 import RunRetentionRequest
from memory_layer.v1.limits_pb2 import Limits, limits
from memory_layer.v1.memory_service_pb2 import (
    BatchIngestMessagesRequest,
    GetMessageRequest,
    IngestMessageRequest,
    SearchMemoriesRequest,
)
from memory_layer.v1.policy_service_pb2 import SetTenantPolicyRequest

REQUESTS: list[Descriptor] = [method.input_type for method in METHODS.values()]
BATCH = 4  # items of a valid repeated message; the last one is the one that is broken
LAST_SECOND = 253402300799
DEEP = 30  # deeper than any limit, and read by protobuf (100 messages, three a level) all the same


def rules_of(field: FieldDescriptor) -> Limits:
    return field.GetOptions().Extensions[limits]


def example(descriptor: Descriptor) -> dict[str, Any]:
    """A request with every field set to the example of its documentation; what has none is left out there too."""
    result: dict[str, Any] = {}
    for field in descriptor.fields:
        if rules_of(field).example:
            result[field.name] = json.loads(rules_of(field).example)
        elif field.message_type is not None:
            inner = example(field.message_type)
            result[field.name] = [inner] * BATCH if field.is_repeated else inner
    return result


def valid(descriptor: Descriptor) -> Any:
    return ParseDict(example(descriptor), GetMessageClass(descriptor)())


def violations(message: Message) -> list[tuple[str, str]]:
    try:
        validate(message)
    except InvalidInput as error:
        return [(violation.field, violation.description) for violation in error.violations]
    return []


@dataclass(frozen=True)
class Place:
    """A field of a request, however deep: its path as errors name it, and how to get at it."""

    request: Descriptor
    path: str
    field: FieldDescriptor
    parent: Callable[[Any], Any]

    def set(self, request: Any, value: Any) -> None:
        parent = self.parent(request)
        if self.field.is_repeated:
            del getattr(parent, self.field.name)[:]
            getattr(parent, self.field.name).extend(value)
        elif self.field.message_type is not None:
            getattr(parent, self.field.name).CopyFrom(value)
        else:
            setattr(parent, self.field.name, value)


def places(
    request: Descriptor,
    descriptor: Descriptor,
    prefix: str = "",
    parent: Callable[[Any], Any] = lambda request: request,
) -> Iterator[Place]:
    for field in descriptor.fields:
        yield Place(request, prefix + field.name, field, parent)
        if field.message_type is not None and field.message_type.file.package == "memory_layer.v1":
            if field.is_repeated:
                yield from places(
                    request,
                    field.message_type,
                    f"{prefix}{field.name}[{BATCH - 1}].",
                    lambda message, up=parent, name=field.name: getattr(up(message), name)[BATCH - 1],
                )
            else:
                yield from places(
                    request,
                    field.message_type,
                    f"{prefix}{field.name}.",
                    lambda message, up=parent, name=field.name: getattr(up(message), name),
                )


PLACES = [place for request in REQUESTS for place in places(request, request)]


@dataclass(frozen=True)
class Case:
    """One value at one place, and what must be said of it; None when it must pass."""

    place: Place
    label: str
    value: Any
    fault: str | None
    item: int | None = None

    @property
    def id(self) -> str:
        return f"{self.place.request.name}.{self.place.path}-{self.label}"


def cases(place: Place) -> Iterator[Case]:
    field, rules = place.field, rules_of(place.field)
    kind = field.message_type.full_name if field.message_type is not None else ""
    if field.is_repeated:
        yield from repeated_cases(place, rules)
    elif kind == Timestamp.DESCRIPTOR.full_name:
        yield from (Case(place, *case) for case in timestamps())
    elif kind == Struct.DESCRIPTOR.full_name:
        yield from (Case(place, *case) for case in objects(rules))
    elif field.cpp_type == FieldDescriptor.CPPTYPE_STRING:
        yield from (Case(place, *case) for case in texts(rules))
    elif field.cpp_type in (
        FieldDescriptor.CPPTYPE_DOUBLE,
        FieldDescriptor.CPPTYPE_INT32,
        FieldDescriptor.CPPTYPE_INT64,
    ):
        yield from (Case(place, *case) for case in numbers(rules, field.cpp_type == FieldDescriptor.CPPTYPE_DOUBLE))


Values = Iterator[tuple[str, Any, str | None]]


def texts(rules: Limits) -> Values:
    good = json.loads(rules.example) if rules.example else "x"
    good = good[0] if isinstance(good, list) else good
    if rules.required or rules.min_length:
        yield "empty", "", "must not be empty"
        for label, blank in [("blanks", "   "), ("tab and newline", "\t\r\n"), ("wide blank", "\u3000\u00a0")]:
            yield label, blank, "must not be blank"
    if rules.min_length:
        yield "shortest", "x" * rules.min_length, None
    if rules.min_length > 1:
        yield "too short", "x" * (rules.min_length - 1), f"must have at least {rules.min_length} characters"
    if rules.max_length:
        fault = f"must have at most {rules.max_length} characters"
        for label, character in [("ascii", "x"), ("emoji", "👋"), ("combining", "\u0301"), ("umlaut", "ü")]:
            yield f"longest {label}", character * rules.max_length, None
            yield f"too long {label}", character * (rules.max_length + 1), fault
    if rules.one_of:
        fault = f"must be one of {', '.join(rules.one_of)}"
        yield from ((f"one of: {value}", value, None) for value in rules.one_of)
        for wrong in ("stranger", rules.one_of[0].upper(), f"{rules.one_of[0]} ", f"{rules.one_of[0]}\x00"):
            yield f"not one of: {wrong!r}", wrong, fault
    if rules.uuid:
        yield "upper case", good.upper(), None
        plain = good.replace("-", "")
        for wrong in ("nonsense", plain, f"{{{good}}}", f"urn:uuid:{good}", good[:-1], f"{good}0", f"{good[:-1]}g"):
            yield f"not a uuid: {wrong}", wrong, "must be a UUID"
        yield "uuid with NUL", f"{good}\x00", "must be a UUID"
    if rules.path_segment:
        for dots in (".", ".."):
            yield f"out of a path: {dots}", dots, "must not be . or .., which clients and proxies remove from paths"
        for other in ("...", ". ", "a/..", "/", "\\", "%2E"):
            yield f"in a path: {other}", other, None
    if not rules.one_of and not rules.uuid:
        yield "NUL within", "a\x00b", "must not contain NUL characters"
        yield "only NUL", "\x00" * max(1, rules.min_length), "must not contain NUL characters"
        yield "other control characters", "\x01\x1b\x7f", None


def numbers(rules: Limits, floating: bool) -> Values:
    if rules.HasField("min"):
        low = rules.min if floating else int(rules.min)
        fault = f"must be at least {low:.15g}"
        yield "smallest", low, None
        yield "just below", math.nextafter(low, -math.inf) if floating else low - 1, fault
        yield "far below", -1e300 if floating else -(2**31), fault
    if rules.HasField("max"):
        high = rules.max if floating else int(rules.max)
        fault = f"must be at most {high:.15g}"
        yield "largest", high, None
        yield "just above", math.nextafter(high, math.inf) if floating else high + 1, fault
        yield "far above", 1e300 if floating else 2**31 - 1 if high < 2**31 else 2**63 - 1, fault
    if floating:
        for value in (math.nan, math.inf, -math.inf):
            yield str(value), value, "must be a finite number"


def timestamps() -> Values:
    fault = "must be between the years 1970 and 9999"
    yield "first", Timestamp(), None
    yield "last", Timestamp(seconds=LAST_SECOND, nanos=999_999_999), None
    yield "before 1970", Timestamp(seconds=-1), fault
    yield "after 9999", Timestamp(seconds=LAST_SECOND + 1), fault
    yield "far off", Timestamp(seconds=2**62), fault
    yield "negative nanos", Timestamp(seconds=1, nanos=-1), fault
    yield "too many nanos", Timestamp(seconds=1, nanos=1_000_000_000), fault


def objects(rules: Limits) -> Values:
    def nested(depth: int) -> dict[str, Any]:
        value: dict[str, Any] = {"leaf": 1}
        for level in range(depth - 1):
            value = {"inner": value} if level % 2 else {"list": value}
        return value

    def listed(depth: int) -> dict[str, Any]:
        value: list[Any] = [1]
        for _ in range(depth - 2):
            value = [value]
        return {"list": value}

    assert rules.max_depth, "an object without a depth limit could exhaust the stack"
    assert rules.max_json_bytes, "an object without a size limit could exhaust the store"
    depth_fault = f"must be nested at most {rules.max_depth} deep"
    for label, make in [("objects", nested), ("lists", listed)]:
        yield f"deepest {label}", struct(make(rules.max_depth)), None
        yield f"too deep {label}", struct(make(rules.max_depth + 1)), depth_fault
    yield "far too deep", struct(nested(DEEP)), depth_fault

    frame = len('{"k":""}')
    size_fault = f"must have at most {rules.max_json_bytes} bytes as JSON"
    for label, character in [("ascii", "x"), ("two bytes", "ü")]:
        width = len(character.encode())
        full = character * ((rules.max_json_bytes - frame) // width)
        yield f"largest, {label}", struct({"k": full}), None
        yield f"too large, {label}", struct({"k": full + character}), size_fault
    yield "many keys", struct({f"key {n}": n for n in range(rules.max_json_bytes)}), size_fault
    yield "empty", struct({}), None
    yield "everything json has", struct({"a": [1, 2.5, None, True, "x", {"b": []}], "ü": {}}), None

    finite, nul = "must contain only finite numbers", "must not contain NUL characters"
    yield "NaN", struct({"a": math.nan}), finite
    yield "infinity in a list", struct({"a": [1, [math.inf]]}), finite
    yield "minus infinity deep down", struct({"a": {"b": {"c": -math.inf}}}), finite
    yield "NUL in a value", struct({"a": "x\x00"}), nul
    yield "NUL in a list", struct({"a": ["x", ["\x00"]]}), nul
    yield "NUL in a key", struct({"\x00": 1}), nul
    yield "NUL in a key deep down", struct({"a": [{"b": {"c\x00": None}}]}), nul


def struct(value: dict[str, Any]) -> Struct:
    result = Struct()
    result.update(value)
    return result


def repeated_cases(place: Place, rules: Limits) -> Iterator[Case]:
    if place.field.message_type is not None:
        good: list[Any] = [valid(place.field.message_type)]
    elif place.field.type == FieldDescriptor.TYPE_BYTES:
        good = [base64.b64decode(one) for one in json.loads(rules.example)[:1]]
    else:
        assert place.field.type == FieldDescriptor.TYPE_STRING
        good = json.loads(rules.example)[:1]
        for label, value, fault in texts(rules):
            yield Case(place, f"item {label}", [*good, value], fault, item=1)
    if rules.min_items:
        plural = "s" if rules.min_items > 1 else ""
        yield Case(place, "too few", good * (rules.min_items - 1), f"must have at least {rules.min_items} item{plural}")
        yield Case(place, "fewest", good * rules.min_items, None)
    assert rules.max_items, "a list without a limit is a request without one"
    yield Case(place, "most", good * rules.max_items, None)
    yield Case(place, "too many", good * (rules.max_items + 1), f"must have at most {rules.max_items} items")


CASES = [case for place in PLACES for case in cases(place)]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_a_field_keeps_its_limits(case: Case) -> None:
    request = valid(case.place.request)
    case.place.set(request, case.value)
    path = case.place.path if case.item is None else f"{case.place.path}[{case.item}]"
    assert violations(request) == ([] if case.fault is None else [(path, case.fault)])


@pytest.mark.parametrize("descriptor", REQUESTS, ids=lambda descriptor: descriptor.name)
def test_the_documentation_s_own_examples_are_valid(descriptor: Descriptor) -> None:
    assert violations(valid(descriptor)) == []


@pytest.mark.parametrize("place", PLACES, ids=lambda place: f"{place.request.name}.{place.path}")
def test_a_field_that_is_not_set_is_missed_only_if_it_is_required(place: Place) -> None:
    request = valid(place.request)
    place.parent(request).ClearField(place.field.name)
    rules = rules_of(place.field)
    if place.field.is_repeated:
        expected = f"must have at least {rules.min_items} item" if rules.min_items else None
    elif place.field.has_presence:
        expected = "is required" if rules.required else None
    elif rules.required:
        expected = "must not be empty"
    else:  # it is 0 then
        expected = f"must be at least {rules.min:.15g}" if rules.min > 0 else None
    assert violations(request) == ([(place.path, expected)] if expected else [])


def test_every_field_that_can_be_wrong_has_a_case_that_is() -> None:
    wrong = {(case.place.request.name, case.place.path) for case in CASES if case.fault}
    # A bool is never wrong; a message of ours is as wrong as its fields.
    harmless = {
        (place.request.name, place.path)
        for place in PLACES
        if place.field.cpp_type == FieldDescriptor.CPPTYPE_BOOL
        or (place.field.message_type is not None and place.field.message_type.file.package == "memory_layer.v1")
    }
    assert {(place.request.name, place.path) for place in PLACES} - harmless <= wrong
    assert len(wrong) > 25


def test_every_kind_of_limit_is_known_here() -> None:
    known = {
        *("required", "min_length", "max_length", "one_of", "uuid", "min", "max"),
        *("min_items", "max_items", "max_json_bytes", "max_depth", "example", "path_segment"),
    }
    assert {field.name for field in Limits.DESCRIPTOR.fields} == known


def test_every_tenant_can_be_named_in_a_path() -> None:
    """By whatever request it came in: where one took `..`, its policy could not be reached."""
    named = [place for place in PLACES if place.field.name in ("tenant_id", "tenant_ids")]
    assert len(named) >= 10
    assert [place.path for place in named if not rules_of(place.field).path_segment] == []


def test_every_text_has_a_longest_form() -> None:
    for place in PLACES:
        if place.field.type == FieldDescriptor.TYPE_STRING:
            rules = rules_of(place.field)
            assert rules.max_length or rules.one_of or rules.uuid, place.path


# What the documentation says, by hand: field, smallest and largest length.
LENGTHS = [
    (IngestMessageRequest, "tenant_id", 1, 64),
    (IngestMessageRequest, "conversation_id", 1, 128),
    (IngestMessageRequest, "content", 1, 100_000),
    (IngestMessageRequest, "name", 1, 64),
    (SearchMemoriesRequest, "tenant_id", 1, 64),
    (SearchMemoriesRequest, "conversation_id", 1, 128),
    (GetMessageRequest, "tenant_id", 1, 64),
    (RunRetentionRequest, "tenant_id", 1, 64),
    (SetTenantPolicyRequest, "tenant_id", 1, 64),
]


@pytest.mark.parametrize(("request_type", "field", "shortest", "longest"), LENGTHS)
def test_the_documented_lengths_hold(request_type: type[Message], field: str, shortest: int, longest: int) -> None:
    rules = rules_of(request_type.DESCRIPTOR.fields_by_name[field])
    assert (rules.min_length, rules.max_length) == (shortest, longest)


@pytest.mark.parametrize(
    ("request_type", "required"),
    [
        (IngestMessageRequest, {"tenant_id", "conversation_id", "role", "content"}),
        (GetMessageRequest, {"message_id"}),
        (SearchMemoriesRequest, {"tenant_id", "query"}),
        (RunRetentionRequest, {"tenant_id", "actions"}),
        (BatchIngestMessagesRequest, {"messages"}),
    ],
)
def test_an_empty_request_names_every_documented_required_field_at_once(
    request_type: type[Message], required: set[str]
) -> None:
    assert {path for path, _ in violations(request_type())} == required


def test_the_documented_choices_hold() -> None:
    assert set(rules_of(IngestMessageRequest.DESCRIPTOR.fields_by_name["role"]).one_of) == {
        "user",
        "assistant",
        "system",
    }
    assert set(rules_of(RunRetentionRequest.DESCRIPTOR.fields_by_name["actions"]).one_of) == {"archive", "delete"}
    override = rules_of(IngestMessageRequest.DESCRIPTOR.fields_by_name["importance_override"])
    assert (override.min, override.max) == (0.0, 1.0)


def test_every_violation_of_a_request_is_reported_at_once_in_the_order_of_its_fields() -> None:
    request = IngestMessageRequest(
        tenant_id="x" * 65,
        conversation_id=" ",
        role="narrator",
        content="\x00",
        metadata=struct({"a": math.nan, "\x00": "\x00"}),
        importance_override=1.5,
        name="",
        created_at=Timestamp(seconds=-1),
        request_id="?",
    )
    assert violations(request) == [
        ("tenant_id", "must have at most 64 characters"),
        ("conversation_id", "must not be blank"),
        ("role", "must be one of user, assistant, system"),
        ("content", "must not contain NUL characters"),
        ("metadata", "must contain only finite numbers"),
        ("metadata", "must not contain NUL characters"),
        ("importance_override", "must be at most 1"),
        ("name", "must not be empty"),
        ("created_at", "must be between the years 1970 and 9999"),
        ("request_id", "must be a UUID"),
    ]


def test_the_violations_of_a_batch_name_their_items() -> None:
    batch = valid(BatchIngestMessagesRequest.DESCRIPTOR)
    batch.messages[3].role = "narrator"
    batch.messages[1].content = ""
    batch.messages[1].metadata.update({"a": math.inf})
    assert violations(batch) == [
        ("messages[1].content", "must not be empty"),
        ("messages[1].metadata", "must contain only finite numbers"),
        ("messages[3].role", "must be one of user, assistant, system"),
    ]


def test_the_violations_of_a_section_name_the_section() -> None:
    request = SetTenantPolicyRequest(tenant_id="acme")
    request.retention.max_age_days = -1
    request.score_weights.decay = 2
    assert violations(request) == [
        ("retention.max_age_days", "must be at least 0"),
        ("score_weights.decay", "must be at most 1"),
    ]


def test_the_error_reads_as_its_first_violation_and_never_repeats_a_value() -> None:
    request = IngestMessageRequest(tenant_id="acme", conversation_id="c", role="hunter2", content="hunter2\x00")
    with pytest.raises(InvalidInput) as caught:
        validate(request)
    assert str(caught.value) == "role: must be one of user, assistant, system"
    assert "hunter2" not in repr(caught.value.violations)
