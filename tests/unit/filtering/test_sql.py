"""The condition that a filter becomes: its text holds nothing of the filter's values."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings

from memory_grpc.filtering import (
    EVERYTHING,
    Node,
    all_of,
    compare,
    equals,
    is_projected,
    metadata_holds,
    parse,
    text_key,
    where,
)
from memory_grpc.filtering.tree import Comparison
from tests.filters.generate import anything


def test_comparisons_that_must_hold_are_plain_ones_that_an_index_answers() -> None:
    found = where(parse('user_id = "u-7" AND created_at >= 2026-11-01T00:00:00Z AND NOT importance < 0.5'), "m")
    assert found.text == (
        '((m.user_id = %(f0)s::text collate "C")'
        " and (m.created_at >= %(f1)s::timestamptz)"
        " and (m.importance >= %(f2)s::double precision))"
    )
    assert found.params["f0"] == "u-7"
    assert found.params["f2"] == 0.5


def test_everything_is_true() -> None:
    assert where(EVERYTHING, "m").text == "true"


def test_a_projection_has_a_flag_keys_and_the_first_letter_of_a_role() -> None:
    node = parse("archived = false")
    assert where(node, "m").text == "(not (m.archived_at is not null))"
    assert where(node, "e", projected=True).text == "(not e.archived)"
    found = where(parse('conversation_id = "c" NOT user_id:* role = user'), "e", projected=True, prefix="p")
    assert found.params == {"p0": text_key("c"), "p1": "u"}
    assert "e.conversation_key = %(p0)s" in found.text


@pytest.mark.parametrize(
    ("text", "projected"),
    [
        ("", True),
        ('conversation_id = "c" OR NOT role = system', True),
        ("importance > 0.5 created_at:*", False),
        ('user_id < "u"', False),
        ("name = Ann", False),
        ("archived = true metadata.a = 1", False),
    ],
)
def test_it_says_what_a_projection_tells(text: str, projected: bool) -> None:
    assert is_projected(parse(text)) is projected
    if not projected:
        with pytest.raises(ValueError, match="projection"):
            where(parse(text), "e", projected=True)


@pytest.mark.parametrize("alias", ["", "M", "m.x", 'm"', "m; --", "1m"])
def test_an_alias_is_a_plain_name(alias: str) -> None:
    with pytest.raises(ValueError, match="alias"):
        where(EVERYTHING, alias)


@pytest.mark.parametrize(
    "node",
    [Comparison("password", "=", "x"), Comparison("archived_at", "=", "x"), Comparison("role", "= 'x' or", "x")],
)
def test_only_columns_and_operators_of_the_language_reach_the_text(node: Node) -> None:
    with pytest.raises(ValueError, match="not a"):
        where(node, "m")


PART = re.compile(
    r"m\.\w+|%\(f\d+\)s|::(text|jsonb|timestamptz|double precision)|collate \"C\"|jsonb_typeof|'(string|number|\{\})'"
    r"|\b(and|or|not|is not true|is not null|true)\b|->|#>>|@>|[<>]=?|=|[() ]"
)


@settings(deadline=None)
@given(anything)
def test_a_text_is_made_of_fixed_parts_and_its_parameters(node: Node) -> None:
    found = where(all_of([node, equals("name", "Ann")]), "m")
    assert PART.sub("", found.text) == ""
    # Some stand twice; `name` is compared with the last.
    assert set(re.findall(r"%\((f\d+)\)s", found.text)) == found.params.keys()
    assert found.params[f"f{len(found.params) - 1}"] == "Ann"


def test_the_same_shape_has_the_same_text() -> None:
    one, other = (where(all_of([compare("importance", ">", n), metadata_holds({"a": n})]), "m") for n in (0.1, 0.2))
    assert one.text == other.text
    assert one.params != other.params
