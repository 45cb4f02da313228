"""Trees that code builds, and what is asked of them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memory_grpc.filtering import (
    EVERYTHING,
    And,
    Node,
    Or,
    all_of,
    any_of,
    compare,
    comparisons,
    conjuncts,
    equals,
    mentions,
    metadata_holds,
    metadata_reads,
    negated,
    parse,
    present,
    required_metadata,
)
from tests.filters.evaluate import contains, passes
from tests.filters.generate import anything, messages

ROLE, NAME, SOURCE = equals("role", "user"), equals("name", "Ann"), equals("metadata", "web", "source")


def test_flat_parameters_become_the_tree_that_a_filter_is() -> None:
    flat = all_of(
        [
            equals("conversation_id", "c-1"),
            compare("importance", ">=", 0),
            compare("created_at", "<", datetime(2026, 11, 1, tzinfo=UTC)),
            any_of([equals("role", "user"), equals("role", "system")]),
        ]
    )
    assert flat == parse(
        "conversation_id = c-1 importance >= 0 created_at < 2026-11-01T00:00:00Z AND role = user OR role = system"
    )


def test_joining_leaves_no_level_too_many() -> None:
    assert all_of([ROLE]) == any_of([ROLE]) == ROLE
    assert all_of([]) == all_of([EVERYTHING, EVERYTHING]) == EVERYTHING
    assert all_of([ROLE, EVERYTHING, all_of([NAME, SOURCE])]) == And((ROLE, NAME, SOURCE))
    assert any_of([ROLE, any_of([NAME, SOURCE])]) == Or((ROLE, NAME, SOURCE))
    assert all_of([any_of([all_of([ROLE, NAME])]), SOURCE]) == And((ROLE, NAME, SOURCE))


@pytest.mark.parametrize("build", [lambda: any_of([]), lambda: negated(EVERYTHING)])
def test_there_is_no_filter_that_passes_nothing(build) -> None:
    with pytest.raises(ValueError, match="no filters"):
        build()


def test_true_and_one_are_different_values() -> None:
    assert equals("metadata", True, "a") != equals("metadata", 1, "a")
    assert equals("metadata", 1, "a") == equals("metadata", 1.0, "a")
    assert len({equals("metadata", True, "a"), equals("metadata", 1, "a"), equals("metadata", 1.0, "a")}) == 2


def test_a_tree_says_what_it_is_made_of() -> None:
    node = parse("role = user AND name = Ann OR NOT (pinned = true AND metadata.source = web)")
    assert conjuncts(node) == (ROLE, any_of([NAME, equals("pinned", False), negated(SOURCE)]))
    assert conjuncts(ROLE) == (ROLE,)
    assert conjuncts(EVERYTHING) == ()
    assert [comparison.field for comparison in comparisons(node)] == ["role", "name", "pinned", "metadata"]
    assert mentions(node, "metadata")
    assert not mentions(node, "user_id")
    assert not mentions(EVERYTHING, "role")


@pytest.mark.parametrize(
    ("node", "required"),
    [
        (EVERYTHING, []),
        (SOURCE, [{"source": "web"}]),
        (parse("metadata.a.b = 1 metadata.c = true role = user"), [{"a": {"b": 1}}, {"c": True}]),
        (parse("metadata.a = 1 metadata.a = 2"), [{"a": 1}, {"a": 2}]),
        (all_of([metadata_holds({"a": [1], "b": {}}), ROLE]), [{"a": [1], "b": {}}]),
        (parse("metadata.a = 1 OR metadata.b = 1"), []),
        (parse("metadata.a != 1 metadata.b < 1 metadata.c:1 metadata.d:* metadata:e"), []),
        (metadata_reads("a", "1"), []),
        (negated(metadata_holds({"a": 1})), []),
        (present("metadata", "a"), []),
    ],
)
def test_what_metadata_must_hold(node: Node, required: list[object]) -> None:
    assert required_metadata(node) == required


@settings(deadline=None)
@given(anything, st.lists(messages, min_size=1, max_size=5))
def test_whatever_passes_has_the_required_metadata(node: Node, found) -> None:
    for message in found:
        if passes(node, message):
            assert all(contains(message["metadata"], wanted) for wanted in required_metadata(node))


@settings(deadline=None)
@given(anything, messages)
def test_a_negation_passes_what_a_filter_does_not(node: Node, message) -> None:
    assert passes(negated(node), message) is not passes(node, message)
    assert negated(negated(node)) == node
