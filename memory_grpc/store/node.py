"""What a node of the database says of itself, and whether it is a copy of another."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Node:
    """One Postgres, as it was heard of last."""

    position: int
    """Up to where it has what was written."""
    cluster: int
    """Made by initdb, and the same on every copy."""
    is_primary: bool
    """It takes writes."""
    started_at: datetime
    timeline: int

    def copies(self, primary: Node) -> bool:
        """Whether positions of the primary mean the same here.

        They do not in another cluster, nor on the timeline that a promotion left behind; and what takes writes itself,
        and is not the primary, has gone its own way.
        """
        if self.is_primary:
            return (self.cluster, self.started_at) == (primary.cluster, primary.started_at)
        return (self.cluster, self.timeline) == (primary.cluster, primary.timeline)
