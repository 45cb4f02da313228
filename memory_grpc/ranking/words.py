"""Words of a text in any script, with their places."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

_INNER = frozenset("-‐_")
# Scripts that put no space between words; ranges of code points.
_UNSPACED = (
    (0x0E00, 0x0EFF), (0x1000, 0x109F), (0x1780, 0x17FF), (0x3040, 0x30FF), (0x3400, 0x4DBF), (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF), (0x20000, 0x3FFFF),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Word:
    """A word: letters, marks and digits, with single hyphens or underscores inside."""

    start: int
    end: int
    key: str
    """What words are compared by: composed and case-folded."""
    capitalised: bool
    """Begins with something other than a small letter; scripts without case always do."""


def fold(text: str) -> str:
    """The form in which two spellings of one word are equal."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())


def is_unspaced(text: str) -> bool:
    """Whether the text holds a script that is written without spaces."""
    return not text.isascii() and any(low <= ord(character) <= high for character in text for low, high in _UNSPACED)


def _is_letter(character: str) -> bool:
    """A letter, a digit or a mark; asked of most without a look at their category."""
    return character.isalnum() or unicodedata.category(character)[0] in "LMN"


def _is_part(text: str, position: int) -> bool:
    if _is_letter(text[position]):
        return True
    return (
        text[position] in _INNER
        and 0 < position < len(text) - 1
        and all(_is_letter(text[neighbour]) for neighbour in (position - 1, position + 1))
    )


def split_words(text: str) -> list[Word]:
    """The words of a text, in order."""
    words, start = [], None
    for position in range(len(text) + 1):
        inside = position < len(text) and _is_part(text, position)
        if inside and start is None:
            start = position
        elif not inside and start is not None:
            piece = text[start:position]
            words.append(Word(start, position, fold(piece), not piece[0].islower()))
            start = None
    return words
