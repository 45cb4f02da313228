"""One caller's request to the batcher, and one window of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from .provider import Vectors, Window

Kind = Literal["query", "ingest"]
KINDS: tuple[Kind, ...] = ("query", "ingest")
"""In the order they are served."""


@dataclass(eq=False)
class EmbeddingCall:
    """One caller's windows and what has become of them."""

    kind: Kind
    windows: Sequence[Window]
    on_done: Callable[[], None]
    """For whoever ends the call: to be called once, when it is embedded or has failed; not when it was dropped."""
    tenant: str = ""
    """Whose windows they are."""
    is_background: bool = False
    """Nobody waits for it."""
    step: Any = None
    """Of its caller's trace, that waits."""
    vectors: Vectors | None = None
    """float32 ``[len(windows), dimensions]``, filled as batches finish."""
    error: Exception | None = None
    waiting: list[int] = field(init=False)
    """Indices not yet taken, shortest first: taken from the end, neighbours are of similar length."""
    left: int = field(init=False)
    """Windows not yet embedded."""
    over: bool = False

    def __post_init__(self) -> None:
        self.waiting = sorted(range(len(self.windows)), key=lambda i: self.windows[i].length)
        self.left = len(self.windows)


@dataclass(frozen=True, slots=True)
class Item:
    """One window of one call."""

    call: EmbeddingCall
    index: int

    @property
    def window(self) -> Window:
        return self.call.windows[self.index]
