"""Every program, by its name."""

from __future__ import annotations

from types import ModuleType

from tests.abuse import (
    compressed,
    empty_fields,
    error_details,
    guesses,
    large_answers,
    long_batches,
    long_searches,
    metadata,
    names,
    nulls,
    short_deadlines,
    slow_readers,
    unknown_methods,
    uploads,
    watches,
    words,
)
from tests.abuse.instance import Attack

_TO_THE_SERVER = (
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
_TO_ENVOY = (compressed, error_details, guesses, nulls, short_deadlines, slow_readers, uploads, watches)
"""What only REST or connections can do, and what Envoy is to stop by itself."""


def _name(module: ModuleType) -> str:
    return module.__name__.rpartition(".")[2]


THROUGH_ENVOY: dict[str, Attack] = {f"envoy_{_name(module)}": module.attack for module in _TO_ENVOY}
"""Those whose attacker and victim come through Envoy."""
PROGRAMS: dict[str, Attack] = {_name(module): module.attack for module in _TO_THE_SERVER} | THROUGH_ENVOY
"""All of them, the first without Envoy."""
