"""The participants' names, taken apart: which of them hold a word.

A set of names is an integer whose bits stand for their places in the list: what two words have in common is one ``&``.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise

from memory_grpc.ranking.family_names import OTHER_WORDS, family_or_given
from memory_grpc.ranking.name_words import ENDINGS, LABELS, PARTICLES, TITLES
from memory_grpc.ranking.words import Word, fold, is_unspaced, plain, split_words

ADDRESS = re.compile(r"(?<![\w.+\-@])([\w.+\-]++)@[\w\-]++(?:\.[\w\-]+)+")
"""An e-mail address."""


def _masks() -> dict[str, int]:
    return defaultdict(int)


@dataclass(slots=True)
class NameIndex:
    """Sets of names by what they hold, each an integer. Not to be changed once made."""

    names: tuple[str, ...]
    holding: dict[str, int] = field(default_factory=_masks)
    """By any of their words."""
    spelt: dict[str, int] = field(default_factory=_masks)
    """By any of their words with its diacritics and zeros."""
    called: dict[str, int] = field(default_factory=_masks)
    """By the words that stand for them: all, except particles, labels, initials and numbers beside a real word."""
    initial: dict[str, int] = field(default_factory=_masks)
    """By the first letter of any word but the first."""
    begun: dict[str, int] = field(default_factory=_masks)
    """By their first word."""
    long: dict[int, int] = field(default_factory=lambda: defaultdict(int))
    """By how many words they have, titles not counted."""
    whole: dict[str, int] = field(default_factory=_masks)
    """By an address, or by all their letters and digits together: "annlee" of Ann Lee."""
    given: set[str] = field(default_factory=set)
    """The family and given names of those that are written as one word: 小明 of 王小明."""
    several: int = 0
    """Those with more than one word that stands for them: John Smith, not John."""
    numbered: int = 0
    """Those with a number or a single letter: Agent 7, Ann B."""
    series: int = 0
    """Those that only such a number or letter tells from another: Claude 3 and Claude 4."""
    lengths: Mapping[str, Sequence[int]] = field(default_factory=dict)
    """How long the words of names are that begin with the same two characters, the longest first."""

    def of(self, mask: int) -> frozenset[str]:
        """The names of a set."""
        return frozenset(self.names[place] for place in _places(mask))

    def inside(self, word: Word) -> Iterator[Word]:
        """The words of names within a stretch that is written without spaces, the longest that begins first; the
        stretch itself where it is one."""
        key, position = word.key, 0
        if key in self.holding or len(key) != word.end - word.start:
            yield word
            return
        while position < len(key):
            candidates = (
                key[position : position + length] for length in self.lengths.get(key[position : position + 2], ())
            )
            part = next((candidate for candidate in candidates if candidate in self.holding), None)
            if part in self.given and OTHER_WORDS.match(key, position):
                part = None
            if part is not None:
                start = word.start + position
                yield Word(start, start + len(part), part, part, part, True)
            position += len(part) if part else 1

    def without_ending(self, word: Word) -> Word:
        """The word of a name that a Korean particle hangs on."""
        for length in range(len(word.key) - 1, max(0, len(word.key) - 8), -1):
            stem = word.key[:length]
            if word.key[length:] in ENDINGS and stem in self.holding:
                return Word(word.start, word.start + length, stem, stem, stem, True)
        return word


@lru_cache(maxsize=4096)
def _taken_apart(name: str) -> tuple[tuple[Word, ...], frozenset[str]]:
    """A name's words, those of an address before its @ only; and those that stand for it."""
    words = tuple(split_words(ADDRESS.sub(r" \1 ", name)))
    real = [w.key for w in words if w.key not in PARTICLES and not is_discriminator(w)]
    telling = [key for key in real if key not in LABELS]
    letters = [word.key for word in words if not word.key.isdigit()]
    if not telling and len(words) > 1 and any(map(is_discriminator, words)):
        return words, frozenset()  # "Speaker 2" is called nothing shorter
    return words, frozenset(telling or real or letters)


def _other_spellings(words: Sequence[Word]) -> Iterator[str]:
    """What a name is called that is no word of it: "oneil" of O'Neil, "jr" of J.R., 小明 of 王小明."""
    if len(words) == 1:
        yield from family_or_given(words[0].key)
        return
    for one, other in pairwise(words):
        if other.start - one.end == 1 and len(one.key) == 1 and not one.key.isdigit():
            yield one.key + other.key
    if len(words) > 2 and all(len(word.key) == 1 for word in words):
        yield "".join(word.key for word in words)


def is_discriminator(word: Word) -> bool:
    """Whether a word tells two of a kind apart: a number, or a single letter of a script that has longer words."""
    return word.key.isdigit() or (len(word.key) == 1 and not is_unspaced(word.key))


@lru_cache(maxsize=16)
def indexed(names: tuple[str, ...]) -> NameIndex:
    """The index of the names. What it takes grows with their length together."""
    index = NameIndex(names)
    alike: dict[frozenset[str], dict[tuple[str, ...], int]] = defaultdict(lambda: defaultdict(int))
    for place, name in enumerate(names):
        bit = 1 << place
        words, called = _taken_apart(name)
        for word in words:
            for spelling in {word.key, word.other}:
                index.holding[spelling] |= bit
                if word.key in called:
                    index.called[spelling] |= bit
            index.spelt[word.exact] |= bit
        for spelling in _other_spellings(words):
            if len(words) == 1:
                index.given.add(spelling)
            index.holding[spelling] |= bit
            index.called[spelling] |= bit
        if words:
            index.begun[words[0].key] |= bit
        for word in words[1:]:
            index.initial[word.key[0]] |= bit
        index.long[sum(word.key not in TITLES for word in words)] |= bit
        for address in ADDRESS.finditer(name):
            index.whole[fold(address.group())] |= bit
        index.whole["".join(word.key for word in words)] |= bit
        index.several |= bit if len(called) > 1 else 0
        index.numbered |= bit if any(map(is_discriminator, words)) else 0
        alike[called][tuple(word.key for word in words if word.key not in TITLES)] |= bit
    for called, spellings in alike.items():
        if called and len(spellings) > 1:
            index.series |= sum(spellings.values()) & index.numbered
    index.lengths = _lengths(index.holding)
    return index


def forget() -> None:
    """Forgets the names that were taken apart."""
    _taken_apart.cache_clear()
    indexed.cache_clear()


def handle_of(text: str) -> str:
    """What a handle is looked up by in ``whole``."""
    return "".join(word.key for word in split_words(plain(fold(text))))


def _lengths(words: Iterable[str]) -> dict[str, list[int]]:
    lengths: dict[str, set[int]] = {}
    for word in words:
        if len(word) > 1 and is_unspaced(word):
            lengths.setdefault(word[:2], set()).add(len(word))
    return {start: sorted(of, reverse=True) for start, of in lengths.items()}


def _places(mask: int) -> Iterator[int]:
    while mask:
        lowest = mask & -mask
        yield lowest.bit_length() - 1
        mask ^= lowest
