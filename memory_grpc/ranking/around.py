"""The turns around each turn in its conversation."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Integers = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Around:
    """``before`` and ``after``: the turns one away from each, two away and so on, each [turns], -1 where there is none.

    Values of turns are looked up with one more at their end, which is what -1 stands for.
    """

    before: tuple[Integers, ...]
    after: tuple[Integers, ...]

    @classmethod
    def of(cls, previous: Integers, reach: int) -> Around:
        """Up to ``reach`` turns away; ``previous`` [turns] is the turn right before each, and no turn is before two."""
        following = np.full(len(previous) + 1, -1, np.int64)
        following[previous] = np.arange(len(previous))
        return cls(_steps(previous, reach), _steps(following[:-1], reach))

    def best(self, values: Floats, reach: int) -> Floats:
        """[ids] -> [ids]: the highest value of each message and of the turns up to ``reach`` away. Messages that are no
        turns come last, and have none."""
        best, turns = values.copy(), len(self.before[0])
        known = np.append(values[:turns], -np.inf)
        for there in (*self.before[:reach], *self.after[:reach]):
            np.maximum(best[:turns], known[there], out=best[:turns])
        return best

    def holding(self, turns: Integers, reach: int) -> Flags:
        """[turns]: which turns are some of these, or up to ``reach`` away from one."""
        found = np.zeros(len(self.before[0]) + 1, bool)
        found[turns] = True
        for there in (*self.before[:reach], *self.after[:reach]):
            found[there[turns]] = True
        return found[:-1]


def _steps(one: Integers, reach: int) -> tuple[Integers, ...]:
    """One step, two steps and so on."""
    ended, steps = np.append(one, -1), [one]
    while len(steps) < reach:
        steps.append(ended[steps[-1]])
    return tuple(steps)
