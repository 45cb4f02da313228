"""The named queries of ``sql/queries/*.sql``, read once at import.

A query is headed by ``-- name: table.verb`` and a sentence on what it does. Python names it and never holds its text.
"""

from __future__ import annotations

import re
from typing import LiteralString, cast

from memory_grpc.resources import SQL

_HEAD = re.compile(r"^-- name: (?P<name>[a-z_]+\.[a-z_]+)$", re.MULTILINE)


def _load() -> dict[str, LiteralString]:
    queries: dict[str, LiteralString] = {}
    for path in sorted((SQL / "queries").glob("*.sql")):
        parts = _HEAD.split(path.read_text(encoding="utf-8"))
        for name, text in zip(parts[1::2], parts[2::2], strict=True):
            if name in queries:
                raise ValueError(f"two queries are named {name}")
            # psycopg types queries as literal strings, to keep values out of them; these come from files of ours.
            queries[name] = cast(LiteralString, text.strip())
    return queries


QUERIES = _load()
