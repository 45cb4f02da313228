"""Guards: what work in the background asks of each of its transactions, as the last thing before the commit."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from memory_grpc.store.database import Transaction

Guard = Callable[[Transaction], Awaitable[None]]
"""Raises to have the transaction rolled back: a lease that was lost."""


async def no_guard(tx: Transaction) -> None:
    """Nothing needs to hold."""
