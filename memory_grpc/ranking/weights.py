"""The weights of the hybrid relevance."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args

Recipe = Literal["surroundings", "conversation"]
RECIPE: Recipe = "surroundings"
"""What a deployment has that says nothing."""

_SIGNED = ("question", "assistant")
_UNSIGNED = (
    "lexical", "near", "near_words", "after", "conversation", "coverage", "date", "speaker", "asks_when",
    "first_person", "rerank", "previous", "k1",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class HybridWeights:
    """Every weight and constant of the hybrid relevance; 0 or False switches a part off.

    The formula is in docs/ranking.md. Which weights go together is a recipe, and stands in recipes.json: ``of`` gives
    one with some weights changed. The defaults are the recipe `conversation`.
    """

    lexical: float = 0.25
    """The words of a turn (BM25)."""
    near: float = 0.0
    """The best turn within three turns of the conversation, by its similarity and its words."""
    near_words: float = 0.0
    """What words count there, beside similarity."""
    after: float = 0.0
    """The turn right after it, by its similarity and ``near_words`` times its words: a reply echoes what it answers."""
    conversation: float = 0.4
    """The best turn of the conversation, by its similarity and ``lexical`` times its words."""
    coverage: float = 0.0
    """The share of the query's words within two turns, each by its rarity."""
    date: float = 0.3
    """A date that the query names."""
    graded_dates: bool = False
    """Whether a date fades around its range and the more time it spans, or counts inside its range alone."""
    speaker: float = 0.3
    """A speaker whom the query names."""
    asks_when: float = 0.0
    """A word of time, where the query asks when."""
    first_person: float = 0.0
    """A turn that speaks of its speaker."""
    question: float = 0.0
    """A turn that ends with a question mark."""
    assistant: float = 0.0
    """A turn of the role `assistant`."""
    rerank: float = 1.0
    """What the reranker makes of one of the best, where a deployment has one (ranking.rerank)."""
    previous: float = 0.5
    """Share of a word's count in the turn before that counts here too; half of it for the turn before that one."""
    k1: float = 0.9
    """How soon repeating a word stops counting (BM25)."""
    b: float = 0.4
    """How much a long message's words count less (BM25)."""
    names_to_i: bool = True
    """Embed the query with participants' names replaced by "I"."""

    def __post_init__(self) -> None:
        for field in (*_UNSIGNED, *_SIGNED):
            value: float = getattr(self, field)
            least = -100 if field in _SIGNED else 0
            if not least <= value <= 100:
                raise ValueError(f"{field} must be between {least} and 100, not {value}")
        if not 0 <= self.b <= 1:
            raise ValueError(f"b must be between 0 and 1, not {self.b}")

    @classmethod
    def of(cls, recipe: Recipe, changes: Mapping[str, Any] | None = None) -> HybridWeights:
        """The weights of a recipe; ``changes`` stand in their places."""
        return cls(**{**_recipes()[recipe], **(changes or {})})

    @property
    def shares(self) -> tuple[float, float]:
        """Of the words of the turn before and of the one before that: in 2^-16ths, whose sums are the same in any
        order."""
        share = round(self.previous * 2**16)
        return share / 2**16, share / 2**17

    @property
    def lift(self) -> float:
        """What the best turns around add to a turn's own similarity if it is the best of them. ``after`` adds nothing:
        no turn is the one after itself."""
        return self.near + self.conversation


@cache
def _recipes() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = json.loads(Path(__file__).with_name("recipes.json").read_text())
    assert set(found) == set(get_args(Recipe))
    return found
