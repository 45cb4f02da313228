"""The texts of ``sql/queries/*.sql``, by the kind and the name in their heads.

A query is headed by ``-- name: table.verb``; what queries share by ``-- fragment: table.noun``; a part of a condition
that code puts together, as it does of filters, by ``-- expression: table.noun``. A sentence follows each head.
"""

from __future__ import annotations

import re
from functools import cache
from typing import Literal

from memory_grpc.resources import SQL

Kind = Literal["name", "fragment", "expression"]

_HEAD = re.compile(r"^-- (name|fragment|expression): ([a-z_]+\.[a-z_]+)$", re.MULTILINE)


@cache
def texts(kind: Kind) -> dict[str, str]:
    """The texts of a kind by their names, each led by its sentence. ValueError when two share a name."""
    found: dict[str, str] = {}
    for path in sorted((SQL / "queries").glob("*.sql")):
        parts = _HEAD.split(path.read_text(encoding="utf-8"))
        for its_kind, name, text in zip(parts[1::3], parts[2::3], parts[3::3], strict=True):
            if its_kind == kind:
                if name in found:
                    raise ValueError(f"two texts are named {name}")
                found[name] = text.strip()
    return found
