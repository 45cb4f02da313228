"""JSON read element by element: the same values as ``json.loads``, whatever the pieces, and places of what is wrong."""

from __future__ import annotations

import io
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memory_grpc.commands.importing import json_stream
from memory_grpc.commands.importing.turns import Malformed

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


class Slow(io.BytesIO):
    """Gives a few bytes at a time, whatever is asked for."""

    def __init__(self, data: bytes, step: int) -> None:
        super().__init__(data)
        self._step = step

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(self._step)


@settings(deadline=None)
@given(st.lists(VALUES), st.integers(1, 40), st.booleans(), st.sampled_from([None, 2]))
def test_a_list_in_pieces(values: list[Any], step: int, ascii_: bool, indent: int | None) -> None:
    data = json.dumps(values, ensure_ascii=ascii_, indent=indent).encode("utf-8", "surrogatepass")
    try:
        data.decode()
    except UnicodeDecodeError:
        return
    assert [value for _, value in json_stream.values(Slow(data, step))] == values


@settings(deadline=None)
@given(st.dictionaries(st.text(alphabet="abc"), VALUES), st.lists(VALUES), st.integers(1, 40))
def test_an_object_in_pieces(others: dict[str, Any], values: list[Any], step: int) -> None:
    data = json.dumps({**others, "messages": values}).encode()
    found = list(json_stream.fields(Slow(data, step), "messages"))
    assert dict(found[: len(others)]) == others
    assert found[len(others) :] == [(f"messages[{number}]", value) for number, value in enumerate(values)]


def test_values_in_lines() -> None:
    found = list(json_stream.values(io.BytesIO(b'{"a": 1}\n\n{"a":\n 2}\n"b"')))
    assert found == [("line 1", {"a": 1}), ("line 3", {"a": 2}), ("line 5", "b")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[1,\n 2,\n  oops]", "line 3 column 3: is no JSON"),
        ('[1,\n "cut off', "line 2 column 2: is no JSON"),
        ("[1, 2", "line 1 column 6: ends too soon"),
        ("[1,]", "line 1 column 4: is no JSON"),
        ("[1 2]", "line 1 column 4: is no JSON: one of ,] is missing"),
        ("[1] 2", "line 1 column 5: is no JSON"),
        ("[NaN]", "line 1 column 2: is no JSON that can be read"),
        ("[" + "[" * 100_000, "nested too deep"),
        ("", ""),
    ],
)
@pytest.mark.parametrize("step", [1, 100_000])
def test_what_is_wrong_is_named_by_line_and_column(text: str, message: str, step: int) -> None:
    if not message:
        assert list(json_stream.values(io.BytesIO(text.encode()))) == []
        return
    if step == 1 and len(text) > 1000:
        return
    with pytest.raises(Malformed) as error:
        list(json_stream.values(Slow(text.encode(), step)))
    assert message in str(error.value)


@pytest.mark.parametrize("text", ["{", '{"a"', '{"a":', '{"a": 1', '{"a": 1,', '{"a": 1,}', "{1: 2}", '{"a": 1} {}'])
def test_an_object_that_is_broken(text: str) -> None:
    with pytest.raises(Malformed, match="line 1 column"):
        list(json_stream.fields(io.BytesIO(text.encode()), "messages"))


def test_bytes_that_are_no_utf_8_are_named() -> None:
    with pytest.raises(Malformed, match="line 2 column 3: is not UTF-8"):
        list(json_stream.values(io.BytesIO(b'[1,\n "\xff"]')))


def test_an_element_that_is_broken_in_a_long_file_is_found_without_reading_it_all() -> None:
    file = io.BytesIO(b'[{"a": 1}, {"a" 2}, ' + b'"x",' * 1_000_000 + b"1]")
    with pytest.raises(Malformed, match="line 1 column 17"):
        list(json_stream.values(file))
    assert file.tell() < 200_000
