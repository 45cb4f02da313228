"""Participants' names in a query: who is named, and the query as the named would put it.

Turns speak in the first person, so "What did Anna's brother cook?" is embedded as "What did my brother cook?": with
the name in it, the embedding is drawn to greetings that hold the name.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from memory_grpc.ranking.name_index import NameIndex, forget, handle_of, indexed
from memory_grpc.ranking.name_runs import Query, possessive_end
from memory_grpc.ranking.name_words import ABBREVIATIONS, COMPOUNDS, LABELS, OF_GROUPS, word_set
from memory_grpc.ranking.words import Word, fold, is_unspaced, plain, split_words

__all__ = ["Mention", "Participants", "find_mentions", "forget", "is_person", "rewrite", "speakers_named"]

# "The party" and "the model" are seldom said of who speaks.
_PEOPLE = LABELS - word_set("party group voice model human bot support admin team")
_OF_WHOM = re.compile(r"\b(?:did|does|has|is|was|who|tell|told|ask|asked|with)\s+$", re.IGNORECASE)
_OF_THE_DAY = ("am", "pm")
_WEEKDAYS = word_set("monday tuesday wednesday thursday friday saturday sunday")
# Read as a whole: a link, an e-mail address, a handle; and who is called by a role, "the system" means too much else.
_WHOLES = re.compile(
    r"(?<!\w)\w++://\S+"
    r"|(?P<address>(?<![\w.+\-@])[\w.+\-]++@[\w\-]++(?:\.[\w\-]+)+)"
    r"|(?P<handle>(?<![\w@])@\w[\w.\-]*(?<=\w))"
    rf"|\bthe\s+(?P<role>{'|'.join(sorted(_PEOPLE))})\b(?![\s#_-]*\d)(?!\s+(?:{'|'.join(sorted(COMPOUNDS))})\b)",
    re.IGNORECASE,
)
_REPEATED = re.compile(r"\b(I|my)((?:[\s-]+(?:I|my))+)\b")
_MAYBE_DATE = re.compile(r"(?:(\w+)\s+)?(\w+)")
_OF_SOMEBODY = frozenset({"from", "for", "of", "by"})
_OF_A_TIME = frozenset({"in", "on", "during", "before", "after", "since", "until", None})


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
    index = indexed(participants.names)
    dates = list(spans)
    mentions = []
    read = []
    for match in _WHOLES.finditer(text):
        if match["role"] and not (
            match["role"].lower() in participants.roles or index.whole.get(match["role"].lower())
        ):
            continue
        read.append(match.span())
        mention = _whole(text, match, index, participants.roles)
        mentions += [mention] if mention and _outside([Word(*match.span(), "", "", "", True)], dates) else []
    if participants.names:
        words = _outside(split_words(text), dates)
        letters = [text[word.start] for word in words if text[word.start] != text[word.start].swapcase()]
        tells = len(letters) < 3 or not all(map(str.isupper, letters))
        is_of_groups = any(word.key in OF_GROUPS for word in words)
        spoken = list(_broken_up(text, _outside(words, read), index))
        mentions += _spoken(Query(text, spoken, index, tells, is_of_groups))
    return tuple(sorted(mentions, key=lambda mention: mention.start))


def is_person(text: str, span: tuple[int, int], participants: Participants) -> bool:
    """Whether what may be read as a date is a participant: "from April", "May's", and not "in May"; and not "do
    Friday", but "did Friday"."""
    match = _MAYBE_DATE.fullmatch(text, *span)
    if match is None or not match[2][0].isupper() or not indexed(participants.names).called.get(plain(fold(match[2]))):
        return False
    before = match[1] and match[1].lower()
    said_before = text[max(0, match.start() - 10) : match.start()]
    if not before and match[2].lower() in _WEEKDAYS and _OF_WHOM.search(said_before):
        return True
    return before in _OF_SOMEBODY or (before in _OF_A_TIME and possessive_end(text, match.end()) is not None)


def _outside(words: Iterable[Word], spans: Sequence[tuple[int, int]]) -> list[Word]:
    """The words that lie outside of all spans."""
    starts = [start for start, _ in spans]

    def is_taken(word: Word) -> bool:
        before = bisect_right(starts, word.end - 1) - 1  # the last that begins within or before
        return before >= 0 and spans[before][1] > word.start

    return [word for word in words if not is_taken(word)]


def _broken_up(text: str, words: Iterable[Word], index: NameIndex) -> Iterator[Word]:
    """The words of names that are written together with others, in place of those; initials as one ("J.R." of JR)."""
    initials: list[Word] = []
    before: Word | None = None
    for word in [*words, None]:
        is_letter = word is not None and len(word.key) == 1 and word.key.isascii() and word.key.isalpha()
        if initials and not (is_letter and word and _follow(text, initials[-1], word)):
            yield from _together(text, initials, before, index) if len(initials) > 1 else initials
            initials = []
        if word is None:
            return
        if is_letter:
            initials.append(word)
            continue
        is_time = word.key in _OF_THE_DAY and _is_hour(text, before, word)
        before = word
        if is_time:
            continue
        if is_unspaced(word.key):
            yield from index.inside(word)
        elif word.key in index.holding or word.key.isascii():
            yield word
        else:
            yield index.without_ending(word)


def _follow(text: str, one: Word, other: Word) -> bool:
    """Whether two letters may be initials of one name: "J.R.", "J. R.", "J R"; not "A/B", "I a", nor "A. I"."""
    between = text[one.end : other.start]
    if between == ". ":
        return text[other.end : other.end + 1] == "."
    return between == "." or (between == " " and one.capitalised and other.capitalised)


def _is_hour(text: str, number: Word | None, other: Word) -> bool:
    """Whether a number just before a word may be the hour or the minute of a time."""
    if number is None or not number.key.isdigit() or len(number.key) > 3:
        return False
    between = text[number.end : other.start]
    return not between or between.isspace()


def _together(text: str, initials: Sequence[Word], before: Word | None, index: NameIndex) -> Sequence[Word]:
    """Letters as the one word of a name that they are, as themselves in "the U.S." and "e.g."; none of "5 p.m."."""
    key = "".join(letter.key for letter in initials)
    if key in _OF_THE_DAY and _is_hour(text, before, initials[0]):
        return ()
    is_abbreviation = (before is not None and before.key == "the") or (
        not initials[-1].capitalised and key in ABBREVIATIONS
    )
    if is_abbreviation or initials[0].key in index.holding or key not in index.holding:
        return initials
    end = initials[-1].end
    has_dots = text[initials[0].end] == "." and text[end : end + 1] == "."
    return [Word(initials[0].start, end + has_dots, key, key, key, True)]


def _spoken(query: Query) -> Iterator[Mention]:
    meant: dict[int, frozenset[str]] = {}
    place = done = 0
    while place < len(query.words):
        found = query.run_at(place)
        if found is None:
            place += 1
            continue
        length, mask = found
        if mask not in meant:
            meant[mask] = query.index.of(mask)
        start, end = query.start_of(place, done), query.words[place + length - 1].end
        yield Mention(start, end, possessive_end(query.text, end), meant[mask], frozenset())
        place = done = place + length


def _whole(text: str, match: re.Match[str], index: NameIndex, roles: Sequence[str]) -> Mention | None:
    """Who is named by an address, a handle or a role; None for nobody."""
    role = frozenset[str]()
    if match["role"]:
        key = match["role"].lower()
        mask, role = index.whole.get(key, 0), frozenset({key}).intersection(roles)
    elif match["handle"]:
        words = split_words(match["handle"])
        mask = index.whole.get(handle_of(match["handle"]), 0)
        if not mask and len(words) == 1:  # "@ann" of Ann Lee
            mask = index.called.get(words[0].key, 0) & ~index.series
    else:
        mask = index.whole.get(fold(match.group()), 0)
    if not mask and not role:
        return None
    return Mention(*match.span(), possessive_end(text, match.end()), index.of(mask), role)


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
