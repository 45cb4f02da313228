"""What a text is found by: the words that a text-search configuration stems, and what it cannot tell by itself.

::

    "see POSEIDON-1234 在北京" ──▶ words:  see POSEIDON 1234       Postgres stems them, and leaves out stop words
                                 others: poseidon-1234 在 北 京 在北 北京

Compounds and identifiers (file names, addresses, versions, tickets) are found by their parts and as a whole; scripts
that put no spaces between words by their characters and by every two that follow each other. A message and a query go
through the same function; whatever changes here changes VERSION, and every tenant's words are made anew.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

# Of the rules of this module.
VERSION = 3

# Longer words are not stored.
_LONGEST = 255
# A search counts no further.
_MOST_COUNTED = 127
# Postgres takes a tsvector of a mebibyte: what is left beside the words, which it may hold as words and as compounds.
_MOST_BYTES = 1_000_000

# Scripts without spaces between words, and Korean, which puts particles to its words; ranges of code points. Of the
# first only letters, marks and digits count; the others are ideographs and syllables throughout.
_MIXED = (
    (0x0E00, 0x0FFF), (0x1000, 0x109F), (0x1100, 0x11FF), (0x1780, 0x17FF), (0x1950, 0x19DF), (0x1A20, 0x1AAF),
    (0x3005, 0x3007), (0x3031, 0x312F), (0x31A0, 0x31BF), (0x31F0, 0x31FF), (0xA9E0, 0xA9FF), (0xAA60, 0xAADF),
)  # fmt: skip
_WHOLE = ((0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xAC00, 0xD7A3), (0xF900, 0xFAFF), (0x20000, 0x3FFFF))
_LETTERS, _MARKS = (
    "".join(
        character
        for low, high in _MIXED
        for character in map(chr, range(low, high + 1))
        if unicodedata.category(character)[0] in kinds
    )
    for kinds in ("LN", "M")
)
_UNSPACED = _LETTERS + "".join(f"{chr(low)}-{chr(high)}" for low, high in _WHOLE)
_PICTURES = "\u2190-\u2bff\U0001f000-\U0001faff"
# All that is no letter, digit or mark, by ranges: controls, spaces, punctuation, symbols.
_OUTSIDE = "\x00-/:-@[-`{-\xa9\xab-\xb4\xb6-\xb9\xbb-\xbf\xd7\xf7\u2000-\u2bff\u2e00-\u2e7f\u3000-\u3004\u3008-\u3030"
_OUTSIDE += "\ud800-\uf8ff\ufe00-\ufe6f\uff00-\uff0f\uff1a-\uff20\uffe0-\uffff\U0001f000-\U0001faff"
_LETTER = f"[^{_OUTSIDE}{_UNSPACED}{_MARKS}]"
# What holds the parts of a compound together; "://" and ":\\" do too.
_JOINT = r"(?:[-_.@#+=~&%?]|[:/\\]{1,3})"
_TOKEN = re.compile(
    f"(?P<unspaced>[{_UNSPACED}][{_UNSPACED}{_MARKS}]*)|(?P<word>{_LETTER}+(?:{_JOINT}{_LETTER}+)*)|[{_PICTURES}]"
)
_JOINTS = re.compile(_JOINT)
_UNIT = re.compile(f"[{_UNSPACED}][{_MARKS}]*")
# "5kg", "covid19", but neither "3rd" nor "h2": a letter beside a digit tells little.
# Of long numbers, years only: the others are serial.
_FIGURE = re.compile(
    r"(?<=[^\W\d_]{2})(?=(?:\d{1,3}|(?:19|20)\d\d)(?!\d))|(?<=\d)(?=[^\W\d_]{2})(?!(?i:st|nd|rd|th)(?![a-z]))"
)
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z][a-z])|(?<=[A-Z])(?=[A-Z][a-z]{2})")
_VERSION = re.compile(r"[vV]\d+")
_ACCENTS = re.compile("([a-zα-ωе])[\u0300-\u036f]+")
# Characters that only shape others are no part of a word, nor are the vowels of Arabic, which few write; a zero-width
# space parts two.
_SHAPING = {
    **dict.fromkeys(
        [
            0xAD,
            0x640,
            *range(0x64B, 0x653),
            *range(0x200C, 0x2010),
            *range(0x202A, 0x202F),
            *range(0x2060, 0x2070),
            0xFEFF,
        ]
    ),
    **dict.fromkeys(range(0xFE00, 0xFE10)),
    0x200B: " ",
    0x2010: "-",
    0xDF: "ss",
    0x1E9E: "SS",
}
_PLAIN = str.maketrans("øłđı", "oldi")


@dataclass(frozen=True, slots=True)
class Lexemes:
    """A text, read."""

    words: str
    """Words between spaces, for a text-search configuration."""
    others: str
    """What else it is found by, as Postgres writes a tsvector. What stands there n times has the positions 1 to n:
    nothing but their number counts."""


def lexemes(*texts: str) -> Lexemes:
    """Reads texts that are found together: what a message says, and the name of who says it."""
    words: list[str] = []
    others: Counter[str] = Counter()
    for text in texts:
        for token in _TOKEN.finditer(_normal(text)):
            found = token[0]
            if token.lastgroup == "unspaced":
                others.update(_grams(found))
            elif not found.isalnum() and _JOINTS.search(found):
                words += _parts(found, others)
            elif found.isdigit() or (found.isalpha() and (found.islower() or found.istitle())):  # most are
                words.append(found)
            else:
                words += _humps(found)
    made = " ".join(words)
    return Lexemes(made, _tsvector(others, _MOST_BYTES - 2 * len(made.encode())))


def is_unspaced(text: str) -> bool:
    """Whether most of a text is in scripts without spaces between words, Korean among them: two characters are about a
    word."""
    if text.isascii():
        return False
    words = characters = 0
    for token in _TOKEN.finditer(_normal(text)):
        if token.lastgroup == "unspaced":
            characters += len(token[0])
        else:
            words += 1
    return characters > 2 * words


def _normal(text: str) -> str:
    """The text with one spelling of what looks the same: a no-break space is a space, a full-width letter a letter."""
    if text.isascii():
        return text
    # A few characters become up to eighteen.
    normal = unicodedata.normalize("NFKC", text)
    return (normal if len(normal) <= 2 * len(text) else unicodedata.normalize("NFC", text)).translate(_SHAPING)


def _grams(run: str) -> Iterator[str]:
    """Every character with its marks, and every two that follow each other."""
    units = _UNIT.findall(run)
    yield from units
    yield from map("".join, pairwise(units))


def _parts(compound: str, others: Counter[str]) -> list[str]:
    """The parts of a compound; the whole goes to the others. Hyphenated words are left to Postgres, which stems the
    whole too."""
    parts, joints = _JOINTS.split(compound), set(_JOINTS.findall(compound))
    if joints == {"-"} and all(part.isalpha() for part in parts):
        return [compound, *(["".join(parts)] if len(parts[0]) == 1 and len(parts) == 2 else [])]  # e-mail is email
    if _VERSION.fullmatch(parts[0]) and "." in joints:  # v1.2 is asked for as 1.2
        compound, parts = compound[1:], [parts[0], parts[0][1:], *parts[1:]]
    others[_fold(compound)] += 1
    return [hump for part in parts for hump in _humps(part)]


def _humps(word: str) -> Iterator[str]:
    """The word, and the words in it where it is written likeThis, or with figures: iPhone15Pro is an iPhone."""
    yield word
    pieces = _FIGURE.split(word)
    for piece in pieces:
        if len(pieces) > 1:
            yield piece
        if _HUMP.search(piece):
            yield from _HUMP.split(piece)


def _fold(text: str) -> str:
    """As text_lexemes of sql/schema.sql folds words: without case and accents."""
    text = text.casefold()
    if text.isascii():
        return text
    return unicodedata.normalize("NFC", _ACCENTS.sub(r"\1", unicodedata.normalize("NFD", text))).translate(_PLAIN)


def _tsvector(counts: Counter[str], most_bytes: int) -> str:
    written = []
    for lexeme, count in counts.items():
        size, times = len(lexeme.encode()), min(count, _MOST_COUNTED)
        most_bytes -= size + 6 + 2 * times
        if most_bytes < 0:
            break
        if size <= _LONGEST:
            quoted = lexeme.replace("\\", "\\\\").replace("'", "''")
            written.append(f"'{quoted}':{','.join(map(str, range(1, times + 1)))}")
    return " ".join(written)
