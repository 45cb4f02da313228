"""docs/filters.md, held to what filters do: examples, errors, fields and limits."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import nullcontext
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg
import pytest

from memory_grpc.errors import FieldViolation, InvalidFilter
from memory_grpc.filtering import conjuncts, parse, where
from memory_grpc.filtering.check import LONGEST, MOST_KEYS
from memory_grpc.filtering.parse import DEEPEST, MOST_COMPARISONS
from memory_grpc.filtering.parse import LONGEST as LONGEST_FILTER
from tests.filters.evaluate import passes
from tests.filters.stored import COLUMNS, message_with, passing, store, table_of_messages

DOCUMENT = (Path(__file__).parents[2] / "docs/filters.md").read_text(encoding="utf-8")


def documented() -> list[dict[str, Any]]:
    """The messages that docs/filters.md counts on."""
    (block,) = re.findall(r"^```json\n(.*?)^```$", DOCUMENT, re.MULTILINE | re.DOTALL)
    found = []
    for written in json.loads(block):
        message = message_with(written["metadata"])
        message.update({name: value for name, value in written.items() if name in COLUMNS})
        message["created_at"] = datetime.fromisoformat(written["created_at"])
        message["archived_at"] = message["created_at"] if written.get("archived") else None
        found.append(message)
    return found


def table(*header: str) -> list[list[str]]:
    """The lines of the tables that have a header, cell by cell, code without its ticks."""
    head = re.escape(" | ".join(header))
    found = re.findall(rf"^\| {head} \|\n\|[-|]+\|\n((?:\|.*\n)+)", DOCUMENT, re.MULTILINE)
    lines = [line for lines in found for line in lines.splitlines()]
    return [[cell.strip().strip("`") for cell in line.strip("|").split(" | ")] for line in lines]


@pytest.fixture
def connection(postgres: str) -> Iterator[psycopg.Connection[Any]]:
    """A connection with a table of messages."""
    with table_of_messages(postgres) as connection:
        yield connection


def test_the_documented_filters_pass_the_messages_that_are_named(connection: psycopg.Connection[Any]) -> None:
    found = documented()
    store(connection, found)
    joined = table("Filter", "Is read as", "Passes")
    examples = [*table("Filter", "Passes"), *([text, passed] for text, _, passed in joined)]
    assert len(examples) > 25
    for text, passed in examples:
        expected = {int(number) - 1 for number in re.findall(r"m(\d)", passed)}
        assert expected or passed == "none"
        assert {number for number, message in enumerate(found) if passes(parse(text), message)} == expected, text
        assert passing(connection, where(parse(text), "m")) == expected, text
    for text, meaning, _ in joined:
        assert parse(text) == parse(meaning)
    for text in re.findall(r"^```filter\n(.*?)^```$", DOCUMENT, re.MULTILINE | re.DOTALL):
        assert len(conjuncts(parse(text))) == 4


def test_the_documented_errors_are_given() -> None:
    examples = table("Filter", "Description")
    assert len(examples) > 5
    for text, said in examples:
        with pytest.raises(InvalidFilter) as caught:
            parse(text)
        assert caught.value.violations == [FieldViolation("filter", said)]


def test_the_documented_limits_and_fields_are_those_that_hold() -> None:
    limits = [f"{LONGEST_FILTER:,} characters", f"| {MOST_COMPARISONS} |", f"| {DEEPEST} |", f"| {MOST_KEYS} |"]
    limits += [f"1 to {longest} characters" for longest in LONGEST.values()]
    assert [limit for limit in limits if limit not in DOCUMENT] == []
    operators = {"=", "!=", "<", "<=", ">", ">=", ":"}
    for fields, values, accepted in table("Field", "Compared with", "Operators"):
        for field in re.findall(r"[a-z_]+(?:\.KEY)?", fields):
            some = {"text": "x", "a number": "1", "a timestamp": "2026-11-01T00:00:00Z"}
            value = some.get(values) or re.findall(r"\w+", values)[0]
            for operator in operators:
                is_accepted = accepted.startswith("all") or f"`{operator}`" in f"`{accepted}`"
                with nullcontext() if is_accepted else pytest.raises(InvalidFilter):
                    parse(f"{field} {operator} {value}")
