"""English words that are parts of names and are not names by themselves, or that begin sentences and are names too."""

from __future__ import annotations

_PARTICLES = (
    "the a an of and de del della der den di da do dos du el la le van von zu bin ibn al y e mr mrs ms miss mx dr prof "
    "sir dame jr sr ii iii iv"
)
_SENTENCE_OPENERS = (
    "will may can would should could did does do is are was were has have had am what when where who whom whose which "
    "why how if so the a an in on at by for from with and or but not no yes ok okay please tell give list show find "
    "mark bill hope joy rose grant chase drew sue pat rob skip frank ever never any some all"
)

PARTICLES = frozenset(_PARTICLES.split())
"""Not a name by itself, as part of a longer one: "Prof. van der Berg" is asked about as Berg."""
SENTENCE_OPENERS = frozenset(_SENTENCE_OPENERS.split())
"""A sentence may begin with these in capitals without meaning the person: "Will he come?", "Mark the date"."""
