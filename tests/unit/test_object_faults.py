"""Objects of any shape: what is wrong is told once, with its place, at a cost that the limits bound."""

from __future__ import annotations

import json
import math
import random
from typing import Any

import pytest
from google.protobuf.struct_pb2 import Struct, Value

from memory_grpc.object_faults import INEXACT, NOT_FINITE, NUL, _Pass, object_faults
from memory_grpc.services.convert import plain

BEYOND = "is beyond 2^53, where JSON numbers are no longer exact: send it as text"


def struct(value: dict[str, Any]) -> Struct:
    result = Struct()
    result.update(value)
    return result


def faults(
    value: dict[str, Any] | Struct, *, max_depth: int = 16, max_json_bytes: int = 16384
) -> list[tuple[str, str]]:
    given = value if isinstance(value, Struct) else struct(value)
    return list(object_faults(given, max_depth=max_depth, max_json_bytes=max_json_bytes))


def json_bytes(value: dict[str, Any]) -> int:
    """The size of the compact JSON that the contract speaks of: of what is stored, where `1` is no `1.0`."""
    return len(json.dumps(plain(struct(value)), ensure_ascii=False, separators=(",", ":")).encode())


def depth(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inner is None else 1 + max(map(depth, inner), default=0)


def some_value(chance: random.Random, levels: int) -> Any:
    """A value as people send them: of every type, with keys and texts that need escaping."""
    texts = ["", "a", "naïve", "東京 🎉", 'say "hi"\\n', "\n\t\x01", "x" * 50]
    kind = chance.randrange(7 if levels else 5)
    if kind == 5:
        return [some_value(chance, levels - 1) for _ in range(chance.randrange(4))]
    if kind == 6:
        return {f"{chance.choice(texts)}{n}": some_value(chance, levels - 1) for n in range(chance.randrange(4))}
    numbers = [0, -0.0, 1, -7, 0.5, 1e-300, 2**53 - 1, -(2**53 - 1), 1 / 3, 123456.75]
    return [None, True, False, chance.choice(texts), chance.choice(numbers)][kind]


@pytest.mark.parametrize("seed", range(300))
def test_the_limits_are_exact_for_objects_of_any_shape(seed: int) -> None:
    chance = random.Random(seed)
    value = {f"key {n}": some_value(chance, 4) for n in range(chance.randrange(5))}
    size, levels = json_bytes(value), depth(value)
    assert faults(value, max_depth=levels, max_json_bytes=size) == []
    assert faults(value, max_depth=levels, max_json_bytes=size - 1) == [
        ("", f"must have at most {size - 1} bytes as JSON")
    ]
    if levels > 1:
        assert faults(value, max_depth=levels - 1) == [("", f"must be nested at most {levels - 1} deep")]


@pytest.mark.parametrize("number", [2**53, 2**53 + 2, -(2**53), 1546130668394913822, 1e300, -1e300, 1.7e308])
def test_a_number_that_may_have_been_another_is_named_by_its_place(number: float) -> None:
    assert faults({"user": number}) == [(".*", BEYOND)]
    assert faults({"ids": [1, 2, 3, number]}) == [(".*[3]", BEYOND)]
    assert faults({"a": {"b-c": [{"d_1": number}]}}) == [(".*.*[0].*", BEYOND)]
    assert INEXACT == BEYOND


@pytest.mark.parametrize("number", [2**53 - 1, -(2**53 - 1), 0.1, 1e15 + 0.5, 5e-324])
def test_numbers_that_are_kept_exactly_pass(number: float) -> None:
    assert faults({"user": number, "ids": [number]}) == []


def test_every_such_number_is_named_in_the_order_of_lists() -> None:
    assert faults({"ids": [2**60, 1, 2**61]}) == [(".*[0]", BEYOND), (".*[2]", BEYOND)]


@pytest.mark.parametrize("key", ["user", "my secret", "ann@example.org", "ключ", "a.b", "x" * 33, "", "\n"])
def test_a_key_is_not_repeated(key: str) -> None:
    assert faults({"a": {key: [2**60]}}) == [(".*.*[0]", BEYOND)]


def test_what_else_is_wrong_is_told_once_for_the_object() -> None:
    value = {"a": math.nan, "b": [math.inf, -math.inf], "c": "x\x00", "d\x00": ["\x00"], "e": 2**60}
    assert faults(value) == [("", NOT_FINITE), ("", NUL), (".*", BEYOND)]


def test_a_value_that_is_none_of_json_s_counts_as_null() -> None:
    value = Struct()
    value.fields["a"].CopyFrom(Value())
    assert faults(value, max_json_bytes=len('{"a":null}')) == []
    assert len(faults(value, max_json_bytes=len('{"a":null}') - 1)) == 1


@pytest.mark.parametrize(
    "value",
    [
        {"a": [None] * 100_000},
        {"a": [[] for _ in range(100_000)]},
        {f"key {n}": n for n in range(50_000)},
        {"a": ["x" * 200_000] * 10},
        {"x" * 1_000_000: 1},
        {"a": [2**60] * 100_000},
    ],
    ids=["nulls", "lists", "keys", "texts", "a long key", "large numbers"],
)
def test_an_object_past_its_limit_is_left_where_it_passes_it(
    value: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    looked_at, grown = 0, _Pass._grow

    def grow(self: _Pass, size: int) -> str | None:
        nonlocal looked_at
        looked_at += 1
        return grown(self, size)

    monkeypatch.setattr(_Pass, "_grow", grow)
    assert faults(value, max_json_bytes=4096) == [("", "must have at most 4096 bytes as JSON")]
    assert looked_at <= 4096


def test_the_deepest_object_that_can_be_read_is_refused_without_recursion() -> None:
    value: dict[str, Any] = {}
    for _ in range(32):
        value = {"a": [value]}
    assert faults(value) == [("", "must be nested at most 16 deep")]
