"""Filters, the texts that say them, and messages, for Hypothesis: few enough values that comparisons often hold."""

from __future__ import annotations

import random
import re
from datetime import UTC, datetime, timedelta, timezone

from hypothesis import strategies as st

from memory_grpc.filtering import (
    And,
    Comparison,
    Node,
    all_of,
    any_of,
    compare,
    equals,
    metadata_holds,
    metadata_reads,
    negated,
    present,
)
from memory_grpc.filtering.check import CHOICES, LONGEST

# No NUL, no halves of surrogate pairs: neither can be stored.
CHARACTERS = st.characters(exclude_characters="\x00", exclude_categories=["Cs"])
WORDS = [
    "x",
    "y",
    "web",
    "é",
    "e\u0301",
    "日本",
    "😀",
    "\uffee",
    "",
    "1",
    "true",
    "null",
    "100%",
    "%(f0)s",
    "%s",
    "a.b",
]
WORDS += ["it's", 'say "x"', "back\\slash", "\\u0041", "line\nbreak", "{column}", "X", " x", "AND", "*", "-", "'; --"]
KEYS = [
    "a",
    "b",
    "c",
    "0",
    "1",
    "a.b",
    'q"q',
    "it's",
    "100%",
    "%(f0)s",
    "\\",
    "😀",
    "é",
    "",
    "my-key",
    "NOT",
    " ",
    "{json}",
]
NUMBERS = [0.0, -0.0, 1.0, -1.0, 0.1, 0.1 + 0.2, 0.3, 1.5, 5e-324, 1e-7, float(2**53), float(1 - 2**53)]
STORED_NUMBERS = [*NUMBERS, 1, 2**53, 2**53 + 1, 1e300, -1e300, 1.7976931348623157e308]
MOMENTS = [
    datetime(1970, 1, 1, tzinfo=UTC),
    datetime(2026, 11, 1, tzinfo=UTC),
    datetime(2026, 11, 1, 0, 0, 0, 1, tzinfo=UTC),
    datetime(2026, 11, 14, 20, 30, tzinfo=UTC),
    datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC),
]

words = st.sampled_from(WORDS) | st.text(CHARACTERS, max_size=6)
few_keys = st.sampled_from(KEYS[:4])
keys = few_keys | st.sampled_from(KEYS) | st.text(CHARACTERS, max_size=4)
numbers = st.sampled_from(NUMBERS) | st.floats(-(2**53), 2**53)
stored_scalars = st.none() | st.booleans() | st.sampled_from(STORED_NUMBERS) | st.floats(-1, 1) | words
stored_json = st.recursive(
    stored_scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(few_keys | keys, inner, max_size=3),
    max_leaves=6,
)


def text_of(field: str) -> st.SearchStrategy[str]:
    """Values of a column of text."""
    return words.filter(lambda text: 1 <= len(text) <= LONGEST[field])


importances = st.sampled_from([0.0, 0.1, 0.3, 0.1 + 0.2, 0.35, 1.0]) | st.floats(0, 1)
moments = st.sampled_from(MOMENTS) | st.datetimes(datetime(1970, 1, 1), timezones=st.just(UTC))

messages = st.fixed_dictionaries(
    {
        "conversation_id": text_of("conversation_id"),
        "user_id": st.none() | text_of("user_id"),
        "role": st.sampled_from(CHOICES["role"]),
        "name": st.none() | text_of("name"),
        "metadata": st.just({}) | st.dictionaries(few_keys | keys, stored_json, min_size=3, max_size=5),
        "importance": importances,
        "embedding_status": st.sampled_from(CHOICES["embedding_status"]),
        "created_at": moments,
        "archived_at": st.none() | moments,
        "pinned": st.booleans(),
    }
)

ordering = st.sampled_from(["=", "<", "<=", ">", ">="])
paths = st.one_of(
    st.lists(few_keys, min_size=1, max_size=2),
    st.lists(keys, min_size=1, max_size=3),
    st.lists(few_keys, min_size=1, max_size=16),
)
on_columns = st.one_of(
    *(st.builds(compare, st.just(field), ordering, text_of(field)) for field in LONGEST),
    *(st.builds(equals, st.just(field), st.sampled_from(values)) for field, values in CHOICES.items()),
    st.builds(compare, st.just("created_at"), ordering, moments),
    st.builds(compare, st.just("importance"), ordering, importances | numbers),
    st.builds(equals, st.sampled_from(["pinned", "archived"]), st.booleans()),
    st.builds(present, st.sampled_from(["user_id", "name", "created_at", "importance", "pinned", "archived", "role"])),
)
on_metadata = st.one_of(
    st.builds(
        lambda operator, value, path: compare("metadata", operator, value, *path),
        st.sampled_from(["=", "=", "has", "has", "<", "<=", ">", ">="]),
        words | numbers,
        paths,
    ),
    st.builds(
        lambda operator, value, path: compare("metadata", operator, value, *path),
        st.sampled_from(["=", "has"]),
        st.booleans(),
        paths,
    ),
    st.builds(lambda path: present("metadata", *path), paths),
)
# What only code says.
built = st.builds(metadata_holds, st.dictionaries(keys, stored_json, max_size=2)) | st.builds(
    metadata_reads,
    keys,
    words.filter(lambda text: not text.startswith(("{", "[")))
    | st.sampled_from(["0.0", "1.0", "0.1", "true", "0.0000001"]),
)


def trees(leaves: st.SearchStrategy[Comparison]) -> st.SearchStrategy[Node]:
    """Trees of comparisons, negated anywhere."""

    def joined(inner: st.SearchStrategy[Node]) -> st.SearchStrategy[Node]:
        several = st.lists(inner, min_size=1, max_size=4)
        return several.map(all_of) | several.map(any_of) | inner.map(negated)

    return st.recursive(leaves, joined, max_leaves=8)


sayable = trees(on_columns | on_metadata)
anything = trees(on_columns | on_metadata | built)


def text_for(node: Node, draw: random.Random) -> str:
    """One of the texts that say a tree."""
    if isinstance(node, Comparison):
        return _comparison(node, draw)
    if isinstance(node, And):
        return "".join(
            part if index == 0 else draw.choice([" AND ", "  ", "\n", " AND\t"]) + part
            for index, part in enumerate(_wrapped(term, draw, must=False) for term in node.terms)
        )
    return " OR ".join(_wrapped(term, draw, must=isinstance(term, And)) for term in node.terms)


def _wrapped(node: Node, draw: random.Random, *, must: bool) -> str:
    text = text_for(node, draw)
    return f"({text})" if must or draw.random() < 0.1 else text


def _comparison(node: Comparison, draw: random.Random) -> str:
    field = ".".join([node.field, *(_key(key, draw) for key in node.keys)])
    gap = draw.choice(["", " ", "  "])
    if node.operator == "present":
        text = f"{field}{gap}:{gap}*"
        if len(node.keys) == 1 and draw.random() < 0.5:
            text = f"metadata{gap}:{gap}{_quoted(node.keys[0], draw)}"
    else:
        has = node.operator == "has" or (node.operator == "=" and node.field != "metadata" and draw.random() < 0.2)
        symbol = ":" if has else node.operator
        if node.negated and node.operator == "=" and draw.random() < 0.5:
            return f"{field}{gap}!={gap}{_value(node, draw)}"
        text = f"{field}{gap}{symbol}{gap}{_value(node, draw)}"
    return draw.choice(["NOT ", "-", "- ", "NOT NOT -"]) + text if node.negated else text


def _key(key: str, draw: random.Random) -> str:
    plain = re.fullmatch(r"\w[\w-]*", key) and draw.random() < 0.7
    return key if plain else _quoted(key, draw)


def _value(node: Comparison, draw: random.Random) -> str:
    value = node.value
    if isinstance(value, datetime):
        return _moment(value, draw)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        whole = f"{value:.0f}" if value.is_integer() else repr(value)
        return draw.choice([whole, repr(value), repr(value).upper()])
    assert isinstance(value, str)
    bare = re.fullmatch(r"[a-z]+", value) and value not in {"true", "false", "null"}
    return value if bare and draw.random() < 0.5 else _quoted(value, draw)


def _moment(value: datetime, draw: random.Random) -> str:
    offset = timedelta(minutes=draw.choice([0, 0, 60, -330, 840]))
    try:
        text = value.astimezone(timezone(offset)).isoformat()
    except OverflowError:
        text = value.isoformat()
    return draw.choice(['"{}"', "{}", "'{}'"]).format(text.replace("+00:00", draw.choice(["Z", "z", "+00:00"])))


def _quoted(text: str, draw: random.Random) -> str:
    quote = draw.choice("\"'")
    return quote + "".join(_character(character, quote, draw) for character in text) + quote


def _character(character: str, quote: str, draw: random.Random) -> str:
    if character in {quote, "\\"}:
        return "\\" + character
    if draw.random() < 0.1:
        units = character.encode("utf-16-be")
        return "".join(f"\\u{units[at : at + 2].hex()}" for at in range(0, len(units), 2))
    return character


# Pieces of filters in any order, and one that none of our words has: errors must not repeat it.
CANARY = "zqxjk"
PIECES = rf"""
user_id role metadata metadata.{CANARY} {CANARY} "{CANARY}" '{CANARY} created_at importance pinned = != < <= > >=
NOT AND OR and ( ) - * : . , \ true null 1 -1e999 2026-11-01T00:00:00Z \u{CANARY} "\ud800" '' 00 1.
""".split()
soup = st.lists(
    st.sampled_from(PIECES) | st.sampled_from([" ", "\n", "\x00", "\ud800", "\ufeff", "😀"]) | st.text(max_size=3),
    max_size=30,
).flatmap(lambda parts: st.sampled_from(["", " "]).map(lambda gap: gap.join(parts)))
