"""The named queries of ``sql/queries/*.sql``, read once at import.

A query is headed by ``-- name: table.verb`` and a sentence on what it does. Python names it and never holds its text.
What several queries share is headed by ``-- fragment: table.noun`` and stands in them as ``{{table.noun}}``.
"""

from __future__ import annotations

import re
from typing import LiteralString

from cachetools import LRUCache, cached

from memory_grpc.sql_files import texts

# What stands for the places in braces in a query.
Parts = tuple[tuple[str, str], ...]

_USE = re.compile(r"\{\{([a-z_.]+)\}\}")
_LOOKED_AT = re.compile(r"\b(?:messages|message_embeddings|message_lexemes)\b")
_COMMENT = re.compile(r"('(?:[^']|'')*')|--[^\n]*")


def _load() -> dict[str, LiteralString]:
    fragments = {name: text.partition("\n")[2] for name, text in texts("fragment").items()}

    def filled(text: str) -> str:
        return _USE.sub(lambda use: filled(fragments[use[1]]), text)

    return {name: filled(text) for name, text in texts("name").items()}


QUERIES = _load()


# Filters make many texts of one query.
@cached(LRUCache(maxsize=1000))
def text(query: str, parts: Parts = ()) -> LiteralString:
    """A query with its parts, without comments and indentation: psycopg remembers how a text of up to 4,096 bytes is to
    be sent, and reads a longer one anew each time."""
    whole = _bare(QUERIES[query])
    for name, value in parts:
        whole = whole.replace(f"{{{name}}}", value)
    return whole


@cached(LRUCache(maxsize=200))
def looked_back(query: str, parts: Parts = ()) -> LiteralString:
    """The same, reading what messages were at a moment, `looked_back_to`; as it is where it reads none of them."""
    own = text(query, parts)
    return part("revisions.looked_back").replace("{statement}", own.rstrip(";")) if _LOOKED_AT.search(own) else own


def part(name: str) -> LiteralString:
    """A query that is a part of others: its text without comments and semicolon."""
    return _bare(QUERIES[name]).rstrip(";")


def _bare(text: LiteralString) -> LiteralString:
    # What stands in quotes is left as it is, two hyphens too.
    return re.sub(r"\s*\n\s*", " ", _COMMENT.sub(lambda found: found[1] or "", text)).strip()
