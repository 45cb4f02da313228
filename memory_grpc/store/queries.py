"""The named queries of ``sql/queries/*.sql``, read once at import.

A query is headed by ``-- name: table.verb`` and a sentence on what it does. Python names it and never holds its text.
What several queries share is headed by ``-- fragment: table.noun`` and stands in them as ``{{table.noun}}``.
"""

from __future__ import annotations

import re
from typing import LiteralString

from memory_grpc.resources import SQL

_HEAD = re.compile(r"^-- (name|fragment): ([a-z_]+\.[a-z_]+)$", re.MULTILINE)
_USE = re.compile(r"\{\{([a-z_.]+)\}\}")


def _load() -> dict[str, LiteralString]:
    found: dict[str, dict[str, str]] = {"name": {}, "fragment": {}}
    for path in sorted((SQL / "queries").glob("*.sql")):
        parts = _HEAD.split(path.read_text(encoding="utf-8"))
        for kind, name, text in zip(parts[1::3], parts[2::3], parts[3::3], strict=True):
            if name in found[kind]:
                raise ValueError(f"two queries are named {name}")
            found[kind][name] = text.strip()
    fragments = {name: text.partition("\n")[2] for name, text in found["fragment"].items()}

    def filled(text: str) -> str:
        return _USE.sub(lambda use: filled(fragments[use[1]]), text)

    return {name: filled(text) for name, text in found["name"].items()}


QUERIES = _load()
