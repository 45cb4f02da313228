"""The named queries of ``sql/queries/*.sql``, read once at import.

A query is headed by ``-- name: table.verb`` and a sentence on what it does. Python names it and never holds its text.
What several queries share is headed by ``-- fragment: table.noun`` and stands in them as ``{{table.noun}}``.
"""

from __future__ import annotations

import re
from typing import LiteralString

from memory_grpc.sql_files import texts

_USE = re.compile(r"\{\{([a-z_.]+)\}\}")


def _load() -> dict[str, LiteralString]:
    fragments = {name: text.partition("\n")[2] for name, text in texts("fragment").items()}

    def filled(text: str) -> str:
        return _USE.sub(lambda use: filled(fragments[use[1]]), text)

    return {name: filled(text) for name, text in texts("name").items()}


QUERIES = _load()
