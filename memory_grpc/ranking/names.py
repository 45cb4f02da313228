"""Participants' names in a query: who is named, and the query as the named would put it.

Turns speak in the first person, so "What did Anna's brother cook?" is embedded as "What did my brother cook?": with
the name in it, the embedding is drawn to greetings that hold the name.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from memory_grpc.ranking.name_words import PARTICLES, SENTENCE_OPENERS
from memory_grpc.ranking.words import Word, is_unspaced, split_words

__all__ = ["Mention", "Participants", "find_mentions", "rewrite", "speakers_named"]

# Said of whoever speaks in that role, where messages carry no name. "The system" means too much else.
_ROLES = {"user": "user", "assistant": "assistant"}
_POSSESSIVE = re.compile(r"['’](?:s\b)?", re.IGNORECASE)
_REPEATED = re.compile(r"\b(I|my)((?:[\s-]+(?:I|my))+)\b")


@dataclass(frozen=True, slots=True)
class Participants:
    """Who speaks in a tenant: the distinct names, and the roles of messages that have no name."""

    names: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()

    @property
    def characters(self) -> int:
        """How much there is to read of them."""
        return sum(map(len, self.names))


@dataclass(frozen=True, slots=True)
class Mention:
    """A stretch of the query that names participants, without its possessive ending."""

    start: int
    end: int
    possessive_end: int | None
    """Where the 's or ’ after it ends; None when there is none."""
    names: frozenset[str]
    roles: frozenset[str]


Found = tuple[int, int, str]
"""Where a word stands that is part of a name, and the part."""


@lru_cache(maxsize=4096)
def _parts(name: str) -> frozenset[str]:
    """The words that stand for a name: all of them, except particles, initials and numbers beside a real word."""
    words = [
        piece for word in split_words(name) for piece in {word.key, *word.key.replace("‐", "-").split("-")} if piece
    ]
    real = {word for word in words if word not in PARTICLES and (len(word) > 1 or is_unspaced(word))}
    return frozenset(word for word in real or words if any(character.isalpha() for character in word))


def forget() -> None:
    """Forgets the names that were taken apart."""
    _parts.cache_clear()


def _opens_sentence(text: str, word: Word) -> bool:
    place = word.start - 1
    while place >= 0 and text[place] in " \t\"'“‘(":
        place -= 1
    return place < 0 or text[place] in ".?!:;\n"


def _possessive_end(text: str, end: int) -> int | None:
    match = _POSSESSIVE.match(text, end)
    if match is None:
        return None
    # A bare apostrophe is a possessive only after s, and not when it closes a quotation.
    bare = len(match.group()) == 1
    return None if bare and (text[end - 1].lower() != "s" or text.count(match.group()) > 1) else match.end()


def find_mentions(text: str, participants: Participants, spans: Iterable[tuple[int, int]] = ()) -> tuple[Mention, ...]:
    """The participants that `text` names, in order.

    The text is read once, and each of its words looked up: what it takes grows with the text and with the names, not
    with the one times the other.

    Args:
        text: the query.
        participants: who speaks in the tenant.
        spans: stretches that are already read as something else (dates), so that "in May" is not the person. In order,
            without overlaps.
    """
    owners = _owners(participants.names)
    taken = list(spans)
    starts = [start for start, _ in taken]

    def is_taken(start: int, end: int) -> bool:
        before = bisect_right(starts, end - 1) - 1  # the last that begins within or before
        return before >= 0 and taken[before][1] > start

    found = [word for word in _named_words(text, owners) if not is_taken(word[0], word[1])]
    mentions = []
    meant: dict[frozenset[str], frozenset[str]] = {}
    for run in _runs(text, found):
        parts = frozenset(part for _, _, part in run)
        if parts not in meant:
            meant[parts] = _meant([owners[part] for part in parts])
        end = run[-1][1]
        mentions.append(Mention(run[0][0], end, _possessive_end(text, end), meant[parts], frozenset()))
    for match in re.finditer(r"\bthe\s+(user|assistant)\b", text, re.IGNORECASE):
        role = _ROLES[match.group(1).lower()]
        if role in participants.roles:
            end = match.end()
            mentions.append(Mention(match.start(), end, _possessive_end(text, end), frozenset(), frozenset({role})))
    return tuple(sorted(mentions, key=lambda mention: mention.start))


def _owners(names: Iterable[str]) -> dict[str, frozenset[str]]:
    """Whose name each word is part of."""
    owners: dict[str, list[str]] = {}
    for name in names:
        for part in _parts(name):
            owners.setdefault(part, []).append(name)
    return {part: frozenset(of) for part, of in owners.items()}


def _meant(owners: Sequence[frozenset[str]]) -> frozenset[str]:
    """Who is meant by words that follow each other: of two Johns, "John Smith" is the one who has both words."""
    return frozenset.intersection(*owners) or frozenset().union(*owners)


def _named_words(text: str, owners: Mapping[str, frozenset[str]]) -> list[Found]:
    found: list[Found] = []
    lengths: dict[str, list[int]] | None = None
    for word in split_words(text):
        if word.key in owners and word.capitalised:
            if not (
                word.key in SENTENCE_OPENERS and _opens_sentence(text, word) and _possessive_end(text, word.end) is None
            ):
                found.append((word.start, word.end, word.key))
        elif is_unspaced(word.key):  # no spaces between words there: look inside
            lengths = _lengths(owners) if lengths is None else lengths
            found += _named_inside(word, owners, lengths)
    return found


def _lengths(owners: Iterable[str]) -> dict[str, list[int]]:
    """How long the parts of names are that begin with the same two characters, the longest first."""
    lengths: dict[str, set[int]] = {}
    for part in owners:
        if len(part) > 1:
            lengths.setdefault(part[:2], set()).add(len(part))
    return {start: sorted(of, reverse=True) for start, of in lengths.items()}


def _named_inside(word: Word, owners: Mapping[str, object], lengths: Mapping[str, list[int]]) -> Iterator[Found]:
    """The parts of names within a word, the longest that begins first."""
    key, position = word.key, 0
    while position < len(key):
        candidates = (key[position : position + length] for length in lengths.get(key[position : position + 2], ()))
        part = next((candidate for candidate in candidates if candidate in owners), None)
        if part is not None:
            yield word.start + position, word.start + position + len(part), part
        position += len(part) if part else 1


def _runs(text: str, found: Sequence[Found]) -> list[list[Found]]:
    """Groups words that follow each other with nothing but spaces, initials or hyphens in between."""
    runs: list[list[Found]] = []
    for item in found:
        if runs and re.fullmatch(r"[\s\-]+|\s+\w\.?\s+", text[runs[-1][-1][1] : item[0]]):
            runs[-1].append(item)
        else:
            runs.append([item])
    return runs


def rewrite(text: str, mentions: Sequence[Mention]) -> str:
    """The text with every mention as "I", a possessive one as "my"; repeats collapse to one.

    >>> rewrite("What did Ann's son eat?", find_mentions("What did Ann's son eat?", Participants(("Ann",))))
    'What did my son eat?'
    """
    pieces, position = [], 0
    for mention in mentions:
        pieces += [text[position : mention.start], "I" if mention.possessive_end is None else "my"]
        position = mention.possessive_end or mention.end
    pieces.append(text[position:])
    if not mentions:
        return text
    return _REPEATED.sub(lambda match: re.split(r"[\s-]+", match.group())[-1], "".join(pieces))


def speakers_named(mentions: Sequence[Mention]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The names and the nameless roles that are mentioned, sorted."""
    names = frozenset().union(*{mention.names for mention in mentions})
    roles = frozenset().union(*{mention.roles for mention in mentions})
    return tuple(sorted(names)), tuple(sorted(roles))
