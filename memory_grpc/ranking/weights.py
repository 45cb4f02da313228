"""The weights of the hybrid relevance."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class HybridWeights:
    """Every weight and constant of the hybrid relevance; 0 or False switches a part off.

    The formula and the defaults are those of DESIGN.md §7:

        h   = cosine(q*, m) + lexical · BM25F / ln(N + 1)
        rel = h + conversation · max h in the conversation + date · [date matches] + speaker · [speaker named]

    The defaults sit on a wide plateau: lexical, conversation, date and speaker may move by half for about a point of
    R@10.
    """

    lexical: float = 0.25
    conversation: float = 0.4
    date: float = 0.3
    speaker: float = 0.3
    previous: float = 0.5
    """Share of a word's count in the turn before that counts here too; half of it for the turn before that one."""
    k1: float = 0.9
    """How soon repeating a word stops counting (BM25)."""
    b: float = 0.4
    """How much a long message's words count less (BM25)."""
    names_to_i: bool = True
    """Embed the query with participants' names replaced by "I"."""

    def __post_init__(self) -> None:
        for field in ("lexical", "conversation", "date", "speaker", "previous", "k1"):
            value: float = getattr(self, field)
            if not 0 <= value <= 100:
                raise ValueError(f"{field} must be between 0 and 100, not {value}")
        if not 0 <= self.b <= 1:
            raise ValueError(f"b must be between 0 and 1, not {self.b}")

    @property
    def shares(self) -> tuple[float, float]:
        """Of the words of the turn before and of the one before that: in 2^-16ths, whose sums are the same in any
        order."""
        share = round(self.previous * 2**16)
        return share / 2**16, share / 2**17
