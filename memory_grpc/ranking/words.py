"""Words of a text in any script, with their places."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby

# Scripts that put no space between words; ranges of code points.
_UNSPACED = (
    (0x0E00, 0x0EFF), (0x1000, 0x109F), (0x1780, 0x17FF), (0x3005, 0x3007),
    (0x3040, 0x30FF), (0x3400, 0x4DBF), (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF), (0x20000, 0x3FFFF),
)  # fmt: skip
# Letters that carry their mark within, and so lose none when taken apart.
_PLAIN = str.maketrans({"ø": "o", "ł": "l", "đ": "d", "ð": "d", "ħ": "h", "ı": "i", "æ": "ae", "œ": "oe", "þ": "th"})
_FULL_WIDTH = {code: code - 0xFEE0 for code in range(0xFF01, 0xFF5F)}
_UMLAUTS = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "å": "aa", "ø": "oe"})


@dataclass(frozen=True, slots=True)
class Word:
    """A run of letters and marks, or of digits, of one kind of script."""

    start: int
    end: int
    key: str
    """What words are compared by: case-folded, without diacritics; a number without the zeros before it."""
    exact: str
    """The same with its diacritics and zeros."""
    other: str
    """The other way to write it in plain letters: "mueller" of Müller; mostly the key."""
    capitalised: bool
    """Begins with something other than a small letter; scripts without case always do."""


def fold(text: str) -> str:
    """The form in which two spellings of one word are equal."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", text.translate(_FULL_WIDTH)).casefold())


def plain(folded: str) -> str:
    """Without the diacritics of the Latin, Greek and Cyrillic scripts. Marks that make another letter, as of Japanese
    and the scripts of India, stay."""
    if folded.isascii():
        return folded
    bare = (
        character
        for character in unicodedata.normalize("NFD", folded.translate(_PLAIN))
        if not 0x300 <= ord(character) <= 0x36F
    )
    return unicodedata.normalize("NFC", "".join(bare))


def is_unspaced(text: str) -> bool:
    """Whether the text holds a script that is written without spaces."""
    return not text.isascii() and any(low <= ord(character) <= high for character in text for low, high in _UNSPACED)


@lru_cache(maxsize=16_384)
def _kind(character: str) -> str:
    """What a character belongs to: words change where it does. Empty for what belongs to none."""
    if "a" <= character <= "z" or "A" <= character <= "Z":
        return "letter"
    if character.isdigit():
        return "digit"
    if is_unspaced(character):
        return "unspaced" if unicodedata.category(character)[0] in "LMN" else ""
    return "letter" if character.isalnum() or unicodedata.category(character)[0] in "LMN" else ""


def split_words(text: str) -> list[Word]:
    """The words of a text, in order."""
    words, start = [], 0
    for kind, characters in groupby(text, _kind):
        piece = "".join(characters)
        end = start + len(piece)
        if kind:
            if piece.isascii():
                exact = piece.lower()
            else:
                exact = fold(piece) if kind != "digit" else "".join(str(unicodedata.digit(figure)) for figure in piece)
            key = exact.lstrip("0") or "0" if kind == "digit" else plain(exact)
            other = key if exact.isascii() else plain(exact.translate(_UMLAUTS))
            if key:  # marks that stand alone are no word
                words.append(Word(start, end, key, exact, other, not piece[0].islower()))
        start = end
    return words
