"""Every program, by its name."""

from __future__ import annotations

from tests.abuse import (
    compressed,
    empty_fields,
    guesses,
    large_answers,
    long_batches,
    long_searches,
    metadata,
    names,
    short_deadlines,
    unknown_methods,
    watches,
    words,
)
from tests.abuse.instance import Attack

PROGRAMS: dict[str, Attack] = {
    module.__name__.rpartition(".")[2]: module.attack
    for module in (
        compressed,
        empty_fields,
        guesses,
        large_answers,
        long_batches,
        long_searches,
        metadata,
        names,
        short_deadlines,
        unknown_methods,
        watches,
        words,
    )
}
