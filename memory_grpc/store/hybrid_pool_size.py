"""How much a pool of the hybrid ranking takes from each source."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PoolSize:
    """How far each source of the pool is read. More of everything finds more and takes longer."""

    graph: int = 490
    """Windows from the graph, by similarity and importance."""
    words: int = 1500
    """Messages that are looked up by their words, by the frequencies of the last count."""
    important: int = 20
    """The most important messages."""
    newest: int = 15_000
    """Windows that are looked through for those that are good as well."""
    dated: int = 20_000
    """Windows in the dates that a query names; where there are more, they are looked for in the graph."""
    spoken: int = 2000
    """Messages of the speakers that a query names; where there are more, they are looked for in the graph."""
    few: int = 600
    """What is kept of the messages that a narrow filter leaves."""
    kept: int = 100
    """What is kept of each other source but the graph, by the score as far as it is known."""
    pool: int = 160
    """What is kept of all of them together, by the same with words and speakers."""
    lifted: int = 20
    """How many of the best are ranked with the turns around them, which lift them."""
    mates: int = 24
    """How many turns to each side."""
    near: int = 60
    """The same where only the turns near them do."""
    followed: int = 20
    """How many of the best by words are ranked with the two turns after: those inherit a share of the words."""
    tuples: int = 8000
    """Points of the graph that are looked at for want of any that pass the filters."""


DEFAULT = PoolSize()
