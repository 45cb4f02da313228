"""The words of a query that follow each other and are of one name: who is meant by them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from memory_grpc.ranking.name_index import NameIndex, is_discriminator
from memory_grpc.ranking.name_words import (
    AFTER_NO_FAMILY,
    BEFORE_A_LETTER,
    LABELS,
    NEVER_SMALL,
    NUMBERS,
    PARTICLES,
    SENTENCE_OPENERS,
    TITLES,
    WORDS_TOO,
    word_set,
)
from memory_grpc.ranking.words import Word, is_unspaced

# No name that a question gives in full has more words: what a text takes grows with its length alone.
_LONGEST: Final = 24
_JOINT = re.compile(r"\s*|[-‐_.]|\s*#|['’](?!s\b)", re.IGNORECASE)
_AFTER_AN_INITIAL = re.compile(r"\.\s+")
_POSSESSIVE = re.compile(r"['’](?:s\b)?", re.IGNORECASE)
_DETERMINERS: Final = word_set("the a an this that my your his her our their its which each every any no")
_NO_LAST_NAMES: Final = SENTENCE_OPENERS | NEVER_SMALL
_OPENERS: Final = _NO_LAST_NAMES | LABELS
_NO_FIRST_NAMES: Final = _OPENERS | PARTICLES


def possessive_end(text: str, end: int) -> int | None:
    """Where the 's or ’ ends that stands at ``end``; None where none does."""
    match = _POSSESSIVE.match(text, end)
    if match is None:
        return None
    # A bare apostrophe is a possessive only after s, and not when it closes a quotation.
    bare = len(match.group()) == 1
    return None if bare and (text[end - 1].lower() != "s" or text.count(match.group()) > 1) else match.end()


@dataclass(frozen=True, slots=True)
class Query:
    """A query's words, those within a stretch that is read as something else left out."""

    text: str
    words: Sequence[Word]
    index: NameIndex
    capitals_tell: bool
    """Whether a capital says that a word is a name: not where all words have one."""
    is_of_groups: bool
    """Whether it is about parties or teams: the Greens in an election."""

    def run_at(self, place: int) -> tuple[int, int] | None:
        """How many words from ``place`` on are of one name, and the set of names that is meant by them; None for
        nobody."""
        first, mask = self.words[place], self._names(place)
        if not mask:
            return self._listed(place) or self._family(place)
        begins = mask & self.index.begun.get(first.key, 0) or self.text[first.end : first.end + 1] in ("'", "’")
        if is_discriminator(first) and not begins:
            return None
        if self.text[max(0, first.start - 1) : first.end].lower() in ("'s", "’s"):
            return None
        masks = self._extended(place, mask)
        while len(masks) > 1 and self._is_particle(place + len(masks) - 1, masks[-1]):
            masks.pop()
        run = self.words[place : place + len(masks)]
        chosen = self._meant(place, run, masks[-1])
        return (len(masks), chosen) if chosen and self._is_name(place, run) else None

    def start_of(self, place: int, first: int) -> int:
        """Where a run begins, the title before it included ("Mr. Cruz", "the Smiths") if that stands at ``first`` or
        behind."""
        if place <= first:
            return self.words[place].start
        if not self._names(place):
            article = self._article(place)
            place = place if article is None else max(first, article)
        elif self.words[place - 1].key in TITLES and self._are_joined(place - 1, place):
            place -= 1
        return self.words[place].start

    def _listed(self, place: int) -> tuple[int, int] | None:
        """The same for several of a label: "speakers 1 and 2"."""
        label, holding = self.words[place].key.removesuffix("s"), self.index.holding
        if label == self.words[place].key or label not in LABELS or label not in holding:
            return None
        chosen, length, at = 0, 0, place + 1
        while at < len(self.words) and at - place < _LONGEST:
            word = self.words[at]
            if is_discriminator(word) and (word.key not in NEVER_SMALL or self.text[word.start].isupper()):
                chosen |= holding[label] & holding.get(word.key, 0) & self.index.long.get(2, 0)
                length = at + 1 - place
            elif word.key not in ("and", "or"):
                break
            at += 1
        return (length, chosen) if chosen else None

    def _family(self, place: int) -> tuple[int, int] | None:
        """Who has the family name that a word is the plural of: "the Smiths", "the Joneses"; no first name has one."""
        key = self.words[place].key
        after = self.words[place + 1].key if place + 1 < len(self.words) else ""
        if not key.endswith("s") or self._article(place) is None or after in AFTER_NO_FAMILY:
            return None
        for name in (key[:-1], key.removesuffix("es")):
            chosen = self.index.called.get(name, 0) & ~self.index.begun.get(name, 0)
            is_likely = name not in WORDS_TOO or (self._is_shown(self.words[place]) and not self.is_of_groups)
            if chosen and len(name) > 1 and is_likely:
                return 1, chosen
        return None

    def _article(self, place: int) -> int | None:
        """Where "the" stands before a word or before the particles that belong to it: "the van der Bergs"."""
        for before in range(place - 1, max(-1, place - 4), -1):
            word = self.words[before]
            if word.key == "the":
                return before if self._is_spaced(before, before + 1) else None
            if not self._are_joined(before, before + 1) or not (word.key in PARTICLES or len(word.key) == 1):
                return None
        return None

    def _names(self, place: int) -> int:
        word, holding = self.words[place], self.index.holding
        return holding.get(word.key, 0) | holding.get(word.other, 0)

    def _is_particle(self, place: int, mask: int) -> bool:
        word = self.words[place]
        is_letter = is_discriminator(word) and self.words[place - 1].key in LABELS  # "agent a"
        is_called = mask & self.index.called.get(word.key, 0)
        return word.key in PARTICLES and self.text[word.start].islower() and not is_letter and not is_called

    def _extended(self, place: int, mask: int) -> list[int]:
        """The names that hold all words up to each."""
        masks, seen, at = [mask], {self.words[place].key}, place + 1
        while at < len(self.words) and at - place < _LONGEST and self._are_joined(at - 1, at):
            word = self.words[at]
            narrower = mask & (self._names(at) or self.index.holding.get(NUMBERS.get(word.key, ""), 0))
            if narrower and (word.key not in seen or is_discriminator(word)):
                mask, at = narrower, at + 1
                masks.append(mask)
                seen.add(word.key)
                continue
            # The initial of a name that is stored in full: "Anna L." of Anna Lee.
            if len(word.key) == 1 and word.capitalised and self.text[word.end : word.end + 1] == ".":
                narrower = mask & self.index.initial.get(word.key, 0)
                if narrower and narrower != mask:
                    return [*masks, narrower]
            # An initial that the name is stored without: "John Q. Smith".
            is_initial = len(word.key) == 1 and at + 1 < len(self.words) and self._are_joined(at, at + 1)
            if not is_initial or not word.capitalised or not mask & self._names(at + 1):
                break
            mask, at = mask & self._names(at + 1), at + 2
            masks += [mask, mask]
        return masks

    def _are_joined(self, one: int, other: int) -> bool:
        first, second = self.words[one], self.words[other]
        between = self.text[first.end : second.start]
        if _JOINT.fullmatch(between) and not (between in ("'", "’") and second.key == "s"):
            return True
        return bool(_AFTER_AN_INITIAL.fullmatch(between)) and (is_discriminator(first) or first.key in TITLES)

    def _meant(self, place: int, run: Sequence[Word], mask: int) -> int:
        index = self.index
        called = told_apart = 0
        for word in run:
            called |= index.called.get(word.key, 0) | index.called.get(word.other, 0)
            if is_discriminator(word) or word.key in NUMBERS:
                told_apart |= index.holding.get(NUMBERS.get(word.key, word.key), 0)
        called &= mask
        length = sum(word.key not in TITLES for word in run)
        chosen = mask & index.long.get(length, 0)
        if length == 1:
            chosen &= called
        if not chosen:
            chosen = called & ~(index.series & ~told_apart) & ~self._somebody_else(place, len(run))
            is_only = mask & (mask - 1) == 0 and told_apart and any(not is_discriminator(word) for word in run)
            if not chosen and is_only and len(run) > 1:
                chosen = mask
        exact = chosen
        for word in run:
            exact &= index.spelt.get(word.exact, 0)
        return exact or chosen

    def _somebody_else(self, place: int, length: int) -> int:
        """The names that the words around a part of them contradict: John Doe, where John Smith is asked about."""
        others = 0
        after, before = place + length, place - 1
        if after < len(self.words) and self._is_spaced(after - 1, after):
            word = self.words[after]
            if word.key.isdigit() or (len(word.key) == 1 and self._is_shown(word) and word.key != "i"):
                others |= self.index.numbered
            elif self._is_shown(word) and word.key not in _NO_LAST_NAMES and len(word.key) > 1:
                others |= self.index.several
        if before >= 0 and self._is_spaced(before, before + 1):
            word = self.words[before]
            is_name = self._is_shown(word) and word.key not in _NO_FIRST_NAMES and len(word.key) > 1
            if is_name and not self._opens_sentence(word):
                others |= self.index.several
        return others

    def _is_spaced(self, one: int, other: int) -> bool:
        between = self.text[self.words[one].end : self.words[other].start]
        return bool(between) and between.isspace() and not is_unspaced(self.words[other].key)

    def _is_name(self, place: int, run: Sequence[Word]) -> bool:
        """Whether words are meant as a name, and not as the words that they are, too."""
        strong = [word for word in run if word.key not in PARTICLES] or list(run)
        end = run[-1].end
        before = self.words[place - 1].key if place and self._is_spaced(place - 1, place) else ""
        is_owner = possessive_end(self.text, end) is not None
        if len(strong) == 1 and len(strong[0].key) == 1 and is_discriminator(strong[0]):
            is_capital = self.text[strong[0].start].isupper() and strong[0].key != "i"
            opens = self._opens_sentence(run[0]) and strong[0].key not in SENTENCE_OPENERS
            return is_capital and (is_owner or opens or before in BEFORE_A_LETTER)
        if len(run) > 1 and (len(strong) > 1 or is_discriminator(run[-1])):
            common = all(
                not self._is_shown(word) and word.key in WORDS_TOO for word in run if not is_discriminator(word)
            )
            is_apart = is_discriminator(run[-1]) and self._is_spaced(place + len(run) - 2, place + len(run) - 1)
            return not (common and is_apart and before in _DETERMINERS)
        (word,) = strong[:1]
        if self._is_shown(word):
            opens = word.key in _OPENERS and self._opens_sentence(word)
            return is_owner or not opens
        if word.key in NEVER_SMALL:
            return False
        return self._is_asked_of(place, before) or (len(word.key) > 2 and word.key not in WORDS_TOO)

    def _is_asked_of(self, place: int, before: str) -> bool:
        """Whether somebody has to stand here: after "did", and after "has" where that opens a question."""
        if before != "has":
            return before in ("did", "does")
        return place == 1 or self.words[place - 2].key in ("why", "where", "when", "how")

    def _is_shown(self, word: Word) -> bool:
        """Whether a capital, or a script without any, says that this may be a name."""
        return word.capitalised and (self.capitals_tell or not self.text[word.start].isupper())

    def _opens_sentence(self, word: Word) -> bool:
        place = word.start - 1
        while place >= 0 and self.text[place] in " \t\"'“‘(":
            place -= 1
        return place < 0 or self.text[place] in ".?!:;\n"
