"""Which windows make a batch: similar lengths, so that little of it is padding."""

from __future__ import annotations

from collections.abc import Iterable

from .calls import Item

PADDING_SHARE = 0.15
"""Share of a batch that may be padding; more, and two batches are cheaper than one."""
PADDING_FREE = 64
"""Padding that is always allowed, in the provider's unit: about what a batch of its own would cost."""


def similar(items: Iterable[Item], *, batch_size: int, batch_length: float, padding_cost: float) -> list[Item]:
    """The first item and those nearest to it in length, up to the limits; never empty.

    ``batch_length`` limits the batch's cost: the sum of its lengths, and ``padding_cost`` for each unit of padding.
    """
    items = list(items)
    anchor = items[0].window.length
    batch: list[Item] = []
    longest = total = 0
    for item in sorted(items, key=lambda item: abs(item.window.length - anchor)):  # stable: the first stays first
        total_then, longest_then = total + item.window.length, max(longest, item.window.length)
        padding = padding_cost * (longest_then * (len(batch) + 1) - total_then)
        cost = total_then + padding
        if batch and (cost > batch_length or padding > max(PADDING_SHARE * cost, PADDING_FREE)):
            continue
        batch.append(item)
        longest, total = longest_then, total_then
        if len(batch) == batch_size:
            break
    return batch
