"""Which words of a query are looked up in a large tenant's word index."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from memory_grpc.store.word_index import RARE

# Of a query that is a text by itself: rare words that are looked up, and frequent words of which pairs are.
_MOST_WORDS = 64
_MOST_PAIRED = 8


@dataclass(frozen=True, slots=True)
class Word:
    """A word of a query. ``frequency`` is None for one that the last count held to be rare."""

    quoted: str
    frequency: int | None


def match_text(words: Sequence[Word], messages: int, most: int) -> tuple[str, frozenset[int]]:
    """What to look up in the word index: a tsquery, and the words of which it finds every message, by their places.

    Rare words are all looked up. Others follow, the rarest first, until they stand in ``most`` messages together. Of
    words that are too frequent for that, messages that hold two are looked up, as far as there are few of them: about
    frequency · frequency / messages, if words were independent.
    """
    rare = [i for i, word in enumerate(words) if word.frequency is None][:_MOST_WORDS]
    frequent = sorted((word.frequency, i) for i, word in enumerate(words) if word.frequency is not None)
    taken = rare
    left = most - RARE * len(rare)
    while frequent and frequent[0][0] <= left:
        frequency, i = frequent.pop(0)
        taken.append(i)
        left -= frequency
    parts = [words[i].quoted for i in taken]
    pairs = sorted((f * g // max(messages, 1), i, j) for (f, i), (g, j) in combinations(frequent[:_MOST_PAIRED], 2))
    for together, i, j in pairs:
        if together > left:
            break
        parts.append(f"{words[i].quoted} & {words[j].quoted}")
        left -= together
    return " | ".join(parts), frozenset(taken)
