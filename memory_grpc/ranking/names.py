"""Participants' names in a query: who is named, and the query as the named would put it.

Turns speak in the first person, so "What did Anna's brother cook?" is embedded as "What did my brother cook?": with
the name in it, the embedding is drawn to greetings that hold the name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from memory_grpc.ranking.words import Word, is_unspaced, split_words

__all__ = ["Mention", "Participants", "find_mentions", "rewrite", "speakers_named"]

# Said of whoever speaks in that role, where messages carry no name. "The system" means too much else.
_ROLES = {"user": "user", "assistant": "assistant"}
# Not a name by itself, as part of a longer one: "Prof. van der Berg" is asked about as Berg.
_PARTICLES = frozenset(
    [
        "the",
        "a",
        "an",
        "of",
        "and",
        "de",
        "del",
        "della",
        "der",
        "den",
        "di",
        "da",
        "do",
        "dos",
        "du",
        "el",
        "la",
        "le",
        "van",
        "von",
        "zu",
        "bin",
        "ibn",
        "al",
        "y",
        "e",
        "mr",
        "mrs",
        "ms",
        "miss",
        "mx",
        "dr",
        "prof",
        "sir",
        "dame",
        "jr",
        "sr",
        "ii",
        "iii",
        "iv",
    ]
)
# A sentence may begin with these in capitals without meaning the person: "Will he come?", "Mark the date".
_SENTENCE_OPENERS = frozenset(
    [
        "will",
        "may",
        "can",
        "would",
        "should",
        "could",
        "did",
        "does",
        "do",
        "is",
        "are",
        "was",
        "were",
        "has",
        "have",
        "had",
        "am",
        "what",
        "when",
        "where",
        "who",
        "whom",
        "whose",
        "which",
        "why",
        "how",
        "if",
        "so",
        "the",
        "a",
        "an",
        "in",
        "on",
        "at",
        "by",
        "for",
        "from",
        "with",
        "and",
        "or",
        "but",
        "not",
        "no",
        "yes",
        "ok",
        "okay",
        "please",
        "tell",
        "give",
        "list",
        "show",
        "find",
        "mark",
        "bill",
        "hope",
        "joy",
        "rose",
        "grant",
        "chase",
        "drew",
        "sue",
        "pat",
        "rob",
        "skip",
        "frank",
        "ever",
        "never",
        "any",
        "some",
        "all",
    ]
)
_POSSESSIVE = re.compile(r"['’](?:s\b)?", re.IGNORECASE)
_REPEATED = re.compile(r"\b(I|my)((?:[\s-]+(?:I|my))+)\b")


@dataclass(frozen=True, slots=True)
class Participants:
    """Who speaks in a tenant: the distinct names, and the roles of messages that have no name."""

    names: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Mention:
    """A stretch of the query that names participants, without its possessive ending."""

    start: int
    end: int
    possessive_end: int | None
    """Where the 's or ’ after it ends; None when there is none."""
    names: frozenset[str]
    roles: frozenset[str]


def _parts(name: str) -> frozenset[str]:
    """The words that stand for a name: all of them, except particles, initials and numbers beside a real word."""
    words = [
        piece for word in split_words(name) for piece in {word.key, *word.key.replace("‐", "-").split("-")} if piece
    ]
    real = {word for word in words if word not in _PARTICLES and (len(word) > 1 or is_unspaced(word))}
    return frozenset(word for word in real or words if any(character.isalpha() for character in word))


def _opens_sentence(text: str, word: Word) -> bool:
    before = text[: word.start].rstrip(" \t\"'“‘(")
    return not before or before[-1] in ".?!:;\n"


def _possessive_end(text: str, end: int) -> int | None:
    match = _POSSESSIVE.match(text, end)
    if match is None:
        return None
    # A bare apostrophe is a possessive only after s, and not when it closes a quotation.
    bare = len(match.group()) == 1
    return None if bare and (text[end - 1].lower() != "s" or text.count(match.group()) > 1) else match.end()


def find_mentions(text: str, participants: Participants, spans: Iterable[tuple[int, int]] = ()) -> tuple[Mention, ...]:
    """The participants that `text` names, in order.

    Args:
        text: the query.
        participants: who speaks in the tenant.
        spans: stretches that are already read as something else (dates), so that "in May" is not the person.
    """
    owners: dict[str, set[str]] = {}
    for name in participants.names:
        for part in _parts(name):
            owners.setdefault(part, set()).add(name)
    taken = list(spans)
    found = [
        (start, end, names)
        for start, end, names in _named_words(text, owners)
        if not any(start < taken_end and taken_start < end for taken_start, taken_end in taken)
    ]
    mentions = []
    for run in _runs(text, found):
        # Of two Johns, "John Smith" is the one who has both words.
        common = frozenset.intersection(*(frozenset(names) for _, _, names in run))
        union = frozenset().union(*(names for _, _, names in run))
        end = run[-1][1]
        mentions.append(Mention(run[0][0], end, _possessive_end(text, end), common or union, frozenset()))
    for match in re.finditer(r"\bthe\s+(user|assistant)\b", text, re.IGNORECASE):
        role = _ROLES[match.group(1).lower()]
        if role in participants.roles:
            end = match.end()
            mentions.append(Mention(match.start(), end, _possessive_end(text, end), frozenset(), frozenset({role})))
    return tuple(sorted(mentions, key=lambda mention: mention.start))


def _named_words(text: str, owners: dict[str, set[str]]) -> list[tuple[int, int, set[str]]]:
    found = []
    for word in split_words(text):
        if word.key in owners and word.capitalised:
            if not (
                word.key in _SENTENCE_OPENERS
                and _opens_sentence(text, word)
                and _possessive_end(text, word.end) is None
            ):
                found.append((word.start, word.end, owners[word.key]))
        elif is_unspaced(word.key):  # no spaces between words there: look inside
            position = 0
            while position < len(word.key):
                part = max(
                    (p for p in owners if len(p) > 1 and word.key.startswith(p, position)), key=len, default=None
                )
                if part is not None:
                    found.append((word.start + position, word.start + position + len(part), owners[part]))
                position += len(part) if part else 1
    return found


def _runs(text: str, found: Sequence[tuple[int, int, set[str]]]) -> list[list[tuple[int, int, set[str]]]]:
    """Groups words that follow each other with nothing but spaces, initials or hyphens in between."""
    runs: list[list[tuple[int, int, set[str]]]] = []
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
    names = frozenset().union(*(mention.names for mention in mentions))
    roles = frozenset().union(*(mention.roles for mention in mentions))
    return tuple(sorted(names)), tuple(sorted(roles))
