"""The filter language: AIP-160 text to a checked tree, and the tree to a condition in SQL. See docs/filters.md.

Whatever filters messages is this tree: the ``filter`` of a request, and its flat parameters.
"""

from memory_grpc.filtering.parse import parse
from memory_grpc.filtering.sql import Where, is_projected, text_key, where
from memory_grpc.filtering.tree import (
    EVERYTHING,
    And,
    Comparison,
    Node,
    Operator,
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
    "Operator",
    "Or",
    "Where",
    "all_of",
    "any_of",
    "compare",
    "comparisons",
    "conjuncts",
    "equals",
    "is_projected",
    "mentions",
    "metadata_holds",
    "metadata_reads",
    "negated",
    "parse",
    "present",
    "required_metadata",
    "text_key",
    "where",
]
