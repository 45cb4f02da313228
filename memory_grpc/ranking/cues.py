"""What the words of a turn and of a query give away besides what they mean, in English.

A turn's cues are found in the database when it is stored: the function message_cues of sql/schema.sql, whose bits these
are.
"""

from __future__ import annotations

import re

TIME, FIRST_PERSON, QUESTION, ASSISTANT = 1, 2, 4, 8

_WHEN = re.compile(
    r"\b(when|what (?:date|day|year|month|time)|which (?:date|day|year|month)|how long)\b", re.IGNORECASE
)


def asks_when(query: str) -> bool:
    """Whether a query asks for a time."""
    return _WHEN.search(query) is not None
