"""The statements of a text of SQL, one by one."""

from __future__ import annotations

import re
from collections.abc import Iterator

# Where a semicolon ends no statement: a text, a quoted name, a comment, the body of a function. Postgres, 4.1: Lexical
# Structure. Comments within comments are not told apart.
_PIECE = re.compile(
    r"""
    \$(\w*)\$.*?\$\1\$ | \bbegin\s+atomic\b.*?;\s*end(?=\s*;)
    | '(?:[^']|'')*' | "[^"]*" | --[^\n]* | /\*.*?\*/ | ; | \w+ | \s+ | .
    """,
    re.DOTALL | re.VERBOSE | re.IGNORECASE,
)


def split(text: str) -> Iterator[str]:
    """Each statement without its semicolon, with the comments before it; what is comments alone is none."""
    statement, says = "", False
    for piece in _PIECE.finditer(f"{text};"):
        if piece[0] != ";":
            statement += piece[0]
            says = says or not (piece[0].isspace() or piece[0].startswith(("--", "/*")))
            continue
        if says:
            yield statement.strip()
        statement, says = "", False
