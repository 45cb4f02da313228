"""The text of a filter: what it means, what is refused, and that nothing costs much."""

from __future__ import annotations

import random
import re
import time
from datetime import UTC, datetime

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from memory_grpc.errors import InvalidFilter
from memory_grpc.filtering import (
    EVERYTHING,
    And,
    Node,
    Or,
    all_of,
    any_of,
    compare,
    equals,
    negated,
    parse,
    present,
)
from memory_grpc.filtering.check import CHOICES, LONGEST, MOST_KEYS
from memory_grpc.filtering.parse import LONGEST as LONGEST_FILTER
from memory_grpc.filtering.parse import MOST_COMPARISONS
from memory_layer.v1.limits_pb2 import limits
from memory_layer.v1.memory_service_pb2 import IngestMessageRequest, SearchMemoriesRequest
from memory_layer.v1.message_pb2 import Message
from tests.filters.generate import CANARY, sayable, soup, text_for

ROLE, PINNED, NAME = equals("role", "user"), equals("pinned", True), equals("name", "Ann")
NOVEMBER = datetime(2026, 11, 1, tzinfo=UTC)


def refusal(text: str) -> str:
    """What is said of a filter that cannot be read."""
    with pytest.raises(InvalidFilter) as caught:
        parse(text)
    (violation,) = caught.value.violations
    assert violation.field == "filter"
    assert str(caught.value) == f"filter: {violation.description}"
    assert caught.value.__context__ is None, "what was sent would be told with it"
    return violation.description


@pytest.mark.parametrize(
    ("text", "node"),
    [
        ("", EVERYTHING),
        (" \n\t", EVERYTHING),
        ("role = user", ROLE),
        ("(role=user)", ROLE),
        # OR binds tighter than AND.
        ("role = user AND pinned = true OR name = Ann", And((ROLE, Or((PINNED, NAME))))),
        ("role = user OR pinned = true AND name = Ann", And((Or((ROLE, PINNED)), NAME))),
        ("(role = user AND pinned = true) OR name = Ann", Or((And((ROLE, PINNED)), NAME))),
        # Side by side is AND.
        ("role = user pinned = true", And((ROLE, PINNED))),
        ("role = user pinned = true OR name = Ann", And((ROLE, Or((PINNED, NAME))))),
        ("role = user AND (pinned = true AND (name = Ann))", And((ROLE, PINNED, NAME))),
        ("role = user OR (pinned = true OR name = Ann)", Or((ROLE, PINNED, NAME))),
        ("(role = user)(pinned = true)", And((ROLE, PINNED))),
        # NOT binds tightest, and is carried inwards.
        ("NOT role = user OR name = Ann", Or((negated(ROLE), NAME))),
        ("-role = user -name = Ann", And((negated(ROLE), negated(NAME)))),
        ("NOT (role = user OR name = Ann)", And((negated(ROLE), negated(NAME)))),
        ("NOT (role = user AND name = Ann)", Or((negated(ROLE), negated(NAME)))),
        ("NOT NOT role = user", ROLE),
        ("role != user", negated(ROLE)),
        ("NOT role != user", ROLE),
        ("pinned != true", equals("pinned", False)),
        ("NOT created_at < 2026-11-01T00:00:00Z", compare("created_at", ">=", NOVEMBER)),
        ("NOT name < Ann", negated(compare("name", "<", "Ann"))),
    ],
)
def test_comparisons_are_joined(text: str, node: Node) -> None:
    assert parse(text) == node


@pytest.mark.parametrize(
    ("text", "node"),
    [
        ("user_id = u-7", equals("user_id", "u-7")),
        ("user_id = 'u-7'", equals("user_id", "u-7")),
        ('user_id:"u-7"', equals("user_id", "u-7")),
        ("user_id = 007", equals("user_id", "007")),
        ("user_id = true", equals("user_id", "true")),
        ("user_id = null", equals("user_id", "null")),
        ("name = OR-5", equals("name", "OR-5")),
        ("name = '*'", equals("name", "*")),
        ("name:*", present("name")),
        ('name = "\\"\\\'\\\\\\/\\b\\f\\n\\r\\t\\u0041\\ud83d\\ude00"', equals("name", "\"'\\/\b\f\n\r\tA😀")),
        ("importance >= 0.35", compare("importance", ">=", 0.35)),
        ("importance > 5", compare("importance", ">", 5.0)),
        ("pinned:true", PINNED),
        ("embedding_status = 'failed'", equals("embedding_status", "failed")),
        ("created_at = 2026-11-01T00:00:00Z", equals("created_at", NOVEMBER)),
        ('created_at = "2026-11-01t01:30:00.000000+01:30"', equals("created_at", NOVEMBER)),
        (
            "created_at = '2026-10-31T23:59:59.999999000-00:00'",
            equals("created_at", datetime(2026, 10, 31, 23, 59, 59, 999999, UTC)),
        ),
        ("metadata.source = web", equals("metadata", "web", "source")),
        ("metadata.source = 'true'", equals("metadata", "true", "source")),
        ("metadata.flag = true", equals("metadata", True, "flag")),
        ("metadata.n = 1", equals("metadata", 1.0, "n")),
        ("metadata.n = '1'", equals("metadata", "1", "n")),
        ("metadata.n = -0", equals("metadata", 0.0, "n")),
        ("metadata.n = -1.5E+2", equals("metadata", -150.0, "n")),
        ("metadata.n = 9007199254740992", equals("metadata", float(2**53), "n")),
        ("metadata.version = 1.2.3", equals("metadata", "1.2.3", "version")),
        ("metadata.day = 2026-11-01", equals("metadata", "2026-11-01", "day")),
        ("metadata.n < 3", compare("metadata", "<", 3.0, "n")),
        ("metadata.tags:x", compare("metadata", "has", "x", "tags")),
        ("metadata.tags:*", present("metadata", "tags")),
        ("metadata.tags:'*'", compare("metadata", "has", "*", "tags")),
        ("metadata:tags", present("metadata", "tags")),
        ('metadata:"a.b"', present("metadata", "a.b")),
        ("metadata:7", present("metadata", "7")),
        ("metadata.a.b = 1", equals("metadata", 1.0, "a", "b")),
        ('metadata."odd key".x = 1', equals("metadata", 1.0, "odd key", "x")),
        ("metadata.'a.b'.\"\\u0022\" = 1", equals("metadata", 1.0, "a.b", '"')),
        ("metadata.a-b.0.AND.日本 = 1", equals("metadata", 1.0, "a-b", "0", "AND", "日本")),
        ('metadata."" = 1', equals("metadata", 1.0, "")),
    ],
)
def test_a_field_is_compared_with_a_value(text: str, node: Node) -> None:
    assert parse(text) == node


@pytest.mark.parametrize(
    ("text", "position", "words"),
    [
        # The grammar.
        ("hello", 1, "a word alone is no comparison"),
        ("hello world", 1, "a word alone is no comparison"),
        ("role = user hello", 13, "a word alone is no comparison"),
        ("has(role)", 1, "a word alone is no comparison"),
        ('"hello"', 1, "expected a comparison"),
        ("5 = importance", 1, "expected a comparison"),
        ("role = user and pinned = true", 13, "written in capitals"),
        ("not pinned = true", 1, "written in capitals"),
        ("pinned", 1, "after a field comes an operator"),
        ("pinned AND role = user", 1, "after a field comes an operator"),
        ("role ~ user", 6, "expected an operator"),
        ("role =", 7, "expected a value"),
        ("role == user", 7, "expected a value"),
        ("role = AND", 8, "expected a value"),
        ("role = (user)", 8, "expected a value"),
        ("role = user &", 13, "expected AND, OR, another comparison or the end"),
        ("role = user AND", 16, "expected a comparison"),
        ("AND role = user", 1, "expected a comparison"),
        ("()", 2, "expected a comparison"),
        ("(role = user", 13, "a parenthesis is not closed"),
        ("role = user)", 12, "no parenthesis is open here"),
        ("name = 'Ann", 8, "this quote is not closed"),
        ("metadata.", 9, "after a dot comes a key"),
        ("metadata.a b = 1", 1, "after a field comes an operator"),
        ("metadata .a = 1", 10, "after a dot comes a key"),
        ("name = An*", 10, "no wildcards"),
        ("name = *", 8, "without wildcards"),
        ("name != *", 9, "without wildcards"),
        ('name = "\\x"', 9, "an escape is one of"),
        ('name = "\\u12"', 9, "an escape is one of"),
        ('name = "\\u0000"', 9, "NUL"),
        ('name = "a\\ud83d"', 10, "half a surrogate pair"),
        ('name = "\\ude00\\ud83d"', 9, "half a surrogate pair"),
        ("name = '\x00'", 9, "NUL"),
        ("name = '\ud800'", 9, "half a surrogate pair"),
        # Fields and their types.
        ("colour = red", 1, "there is no such field; the fields are user_id, conversation_id"),
        ("Role = user", 1, "there is no such field"),
        ("content = hello", 1, "there is no such field"),
        ("role.x = user", 6, "only metadata has keys"),
        ("role = admin", 8, "role must be one of user, assistant, system"),
        ("role < user", 6, "role has no order"),
        ("embedding_status >= failed", 18, "embedding_status has no order"),
        ("embedding_status = done", 20, "embedding_status must be one of pending, completed, failed"),
        ("pinned > false", 8, "pinned has no order"),
        ("pinned = 1", 10, "expected true or false"),
        ('archived = "true"', 12, "expected true or false"),
        ("importance = high", 14, "expected a number"),
        ('importance = "1"', 14, "expected a number"),
        ("importance = NaN", 14, "expected a number"),
        ("importance = .5", 14, "write a number as in JSON"),
        ("user_id = ''", 11, "user_id must have 1 to 128 characters"),
        ("created_at > 2026-11-01", 14, "expected a timestamp with its zone"),
        ("created_at > 2026-11-01T00:00:00", 14, "expected a timestamp with its zone"),
        ("created_at > 20261101T000000Z", 14, "expected a timestamp with its zone"),
        ("created_at > '2026-11-01T00:00:00.1234567Z'", 14, "at most six digits"),
        ("created_at > 2026-11-31T00:00:00Z", 14, "not a time between"),
        ("created_at > 2026-11-30T24:00:00Z", 14, "not a time between"),
        ("created_at > 2026-11-30T00:00:60Z", 14, "not a time between"),
        ("created_at > 2026-11-30T00:00:00+24:00", 14, "not a time between"),
        ("created_at > 2026-11-30T00:00:00+01:60", 14, "not a time between"),
        ("created_at > 1969-12-31T23:59:59Z", 14, "not a time between"),
        ("created_at > 9999-12-31T23:59:59-01:00", 14, "not a time between"),
        ("created_at > 0001-01-01T00:00:00+23:59", 14, "not a time between"),
        # Metadata.
        ("metadata = 1", 1, "name a key"),
        ("metadata:*", 1, "name a key"),
        ("metadata:a.b", 10, "put a key with dots in quotes"),
        ("metadata.a < true", 12, "true and false have no order"),
        ("metadata.a = null", 14, "nothing equals null"),
        ("metadata.a = True", 14, "in lower case"),
        ("metadata.a = 007", 14, "write a number as in JSON"),
        ("metadata.a = +1", 14, "write a number as in JSON"),
        ("metadata.a = 1_000", 14, "write a number as in JSON"),
        ("metadata.a = 9007199254740993", 14, "beyond 2^53"),
        ("metadata.a = -9007199254740992.5", 14, "beyond 2^53"),
        ("metadata.a = 1e999", 14, "beyond 2^53"),
        (f"metadata{'.a' * (MOST_KEYS + 1)} = 1", 10 + 2 * MOST_KEYS, "nested at most 16 deep"),
    ],
)
def test_what_cannot_be_read_is_refused_where_it_shows(text: str, position: int, words: str) -> None:
    said = refusal(text)
    assert said.startswith(f"character {position}: ")
    assert words in said


def test_what_is_at_the_bounds_is_read() -> None:
    assert parse(f"metadata{'.a' * MOST_KEYS} = 1") == equals("metadata", 1.0, *"a" * MOST_KEYS)
    assert parse("NOT (" * 5 + "role = user" + ")" * 5) == negated(ROLE)
    assert parse("(" * 10 + "role = user" + ")" * 10) == ROLE
    assert parse("(((-(-(role = user)))))" + " OR (role = user)" * 9) == any_of([ROLE] * 10)
    assert parse(" ".join(["role=user"] * MOST_COMPARISONS)) == all_of([ROLE] * MOST_COMPARISONS)
    assert parse("role = user".ljust(LONGEST_FILTER)) == ROLE
    for field, longest in LONGEST.items():
        assert parse(f"{field} = '{'😀' * longest}'") == equals(field, "😀" * longest)


@pytest.mark.parametrize(
    ("text", "position", "words"),
    [
        ("role = user".ljust(LONGEST_FILTER + 1), 2001, "at most 2,000 characters"),
        ("(" * 11 + "role = user" + ")" * 11, 11, "nested at most 10 deep"),
        ("NOT (" * 6 + "role = user" + ")" * 6, 26, "nested at most 10 deep"),
        ("(((((((((role = user))))))))) AND ((((((((((( role = user", 45, "nested at most 10 deep"),
        (" ".join(["role=user"] * 51), 501, "at most 50 comparisons"),
        *(
            (f"{field} = '{'x' * (longest + 1)}'", len(field) + 4, f"1 to {longest}")
            for field, longest in LONGEST.items()
        ),
    ],
)
def test_what_is_beyond_them_is_refused(text: str, position: int, words: str) -> None:
    said = refusal(text)
    assert said.startswith(f"character {position}: ")
    assert words in said


def test_the_bounds_are_those_of_the_contract() -> None:
    request = IngestMessageRequest.DESCRIPTOR.fields_by_name

    def rules(field: str) -> limits:
        return request[field].GetOptions().Extensions[limits]

    for field in LONGEST.keys() & set(request.keys()):
        assert (rules(field).min_length, rules(field).max_length) == (1, LONGEST[field])
    assert {"conversation_id", "name"} <= set(request.keys())
    assert tuple(rules("role").one_of) == CHOICES["role"]
    assert rules("metadata").max_depth == MOST_KEYS
    status = Message.DESCRIPTOR.fields_by_name["embedding_status"].GetOptions().Extensions[limits]
    assert tuple(status.one_of) == CHOICES["embedding_status"]
    if own := SearchMemoriesRequest.DESCRIPTOR.fields_by_name.get("filter"):
        assert own.GetOptions().Extensions[limits].max_length == LONGEST_FILTER


@pytest.mark.parametrize(
    "text",
    [
        "(" * 10_000,
        "(" * LONGEST_FILTER,
        ")" * LONGEST_FILTER,
        "NOT " * 500,
        "-" * LONGEST_FILTER,
        "()" * 1_000,
        "role=user" + ")" * 1_900,
        "role = user OR " * 133,
        "role=a " * 285,
        "metadata" + ".a" * 996,
        'metadata."' + "\\\\" * 995,
        "name = '" + "\\'" * 996,
        "name = " + '"\\"' * 664,
        "name = " + "a" * 1_900 + "*",
        "name = " + "1" * 1_990 + "x",
        "metadata.a = " + "9" * 1_980,
        "metadata.a = 1e" + "9" * 1_980,
        "metadata.a = 0." + "0" * 1_970 + "1",
        "é😀\u0301" * 660,
        "\u200b" * LONGEST_FILTER,
        "role = user" + "\x00" * 1_900,
        "\ud800" * LONGEST_FILTER,
        "name = '" + "\\ud800" * 330 + "'",
        " " * 1_999 + "(",
    ],
    ids=lambda text: ascii(text[:16]),
)
def test_what_is_hostile_is_refused_within_milliseconds(text: str) -> None:
    def seconds() -> float:
        start = time.perf_counter()
        try:
            parse(text)
        except InvalidFilter as error:
            assert len(str(error)) < 300
        else:
            assert text.startswith("metadata.a = 0.")
        return time.perf_counter() - start

    assert min(seconds() for _ in range(10)) < 0.005


@settings(deadline=None)
@given(sayable, st.integers())
def test_the_text_of_a_tree_gives_the_tree_again(node: Node, seed: int) -> None:
    text = text_for(node, random.Random(seed))
    assume(len(text) <= LONGEST_FILTER)
    assert parse(text) == node


@settings(deadline=None)
@given(soup | st.text() | st.text(st.sampled_from("()NOT-ANDR=:*.'\"\\u0aé ")))
def test_any_text_is_a_filter_or_is_refused_in_our_own_words(text: str) -> None:
    try:
        parse(text)
    except InvalidFilter as error:
        check_said(error, text)


@settings(deadline=None)
@given(sayable, st.integers(), st.data())
def test_a_filter_with_a_fault_is_a_filter_or_is_refused_in_our_own_words(
    node: Node, seed: int, data: st.DataObject
) -> None:
    text = text_for(node, random.Random(seed))
    at = data.draw(st.integers(0, len(text)))
    text = text[:at] + data.draw(st.sampled_from(["", CANARY, "(", "'", '"', "\\", ".", "\x00"])) + text[at + 1 :]
    try:
        parse(text)
    except InvalidFilter as error:
        check_said(error, text)


def check_said(error: InvalidFilter, text: str) -> None:
    (violation,) = error.violations
    assert violation.field == "filter"
    match = re.match(r"character (\d+): ", violation.description)
    assert match
    assert 1 <= int(match[1]) <= len(text) + 1
    assert CANARY not in str(error)
