"""The filter language: AIP-160 text to a checked tree, and the tree to a condition in SQL. See docs/filters.md.

Whatever filters messages is this tree: the ``filter`` of a request, and its flat parameters.
"""

from memory_grpc.filtering.parse import parse
from memory_grpc.filtering.sql import Where, where
from memory_grpc.filtering.tree import (
    EVERYTHING,
    And,
    Comparison,
    Node,
    Or,
    all_of,
    any_of,
    compare,
    comparisons,
    conjuncts,
    equals,
    mentions,
    metadata_holds,
    metadata_reads,
    negated,
    present,
    required_metadata,
)

__all__ = [
    "EVERYTHING",
    "And",
    "Comparison",
    "Node",
    "Or",
    "Where",
    "all_of",
    "any_of",
    "compare",
    "comparisons",
    "conjuncts",
    "equals",
    "mentions",
    "metadata_holds",
    "metadata_reads",
    "negated",
    "parse",
    "present",
    "required_metadata",
    "where",
]
