"""Every script of Unicode, as far as this Python knows it, and texts written in them."""

from __future__ import annotations

import random
import sys
import unicodedata
from collections import defaultdict
from functools import cache

# «OLD ITALIC LETTER A» is of Old Italic, «OLD TURKIC …» of another; of other names the first word is enough.
TWO_WORDS = {"OLD", "LINEAR", "TAI", "NEW", "MEROITIC", "INSCRIPTIONAL"}
LEAST = 10
"""Letters that make a script: what has fewer is a sign, as the ANGSTROM."""


@cache
def scripts() -> dict[str, str]:
    """Script, as the names of its letters begin, to its letters and marks. Hangul and Han are among them."""
    found: dict[str, list[str]] = defaultdict(list)
    for number in range(sys.maxunicode + 1):
        letter = chr(number)
        if unicodedata.category(letter)[0] in "LM":
            words = unicodedata.name(letter, "NAMELESS").replace("-", " ").split(" ")
            found[" ".join(words[: 1 + (words[0] in TWO_WORDS)])].append(letter)
    return {name: "".join(letters) for name, letters in found.items() if len(letters) >= LEAST}


def text(letters: str, length: int, seed: str) -> str:
    """Words of one to twelve of these letters, so many characters altogether; the same for the same seed."""
    chance = random.Random(seed)
    words: list[str] = []
    missing = length
    while missing > 0:
        word = "".join(chance.choices(letters, k=chance.randint(1, 12)))[:missing]
        words.append(word)
        missing -= len(word) + 1
    return " ".join(words)[:length].ljust(length, letters[0])
