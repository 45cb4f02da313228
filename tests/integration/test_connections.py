"""What a connection to Postgres leaves behind when it is gone: nothing, however often the network cuts them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import psycopg
import pytest
from pgvector import HalfVector
from psycopg.adapt import AdaptersMap
from psycopg.rows import dict_row

from memory_grpc.store.connections import configure


@asynccontextmanager
async def connection(dsn: str) -> AsyncIterator[psycopg.AsyncConnection[Any]]:
    """A new one, as the pool makes them."""
    async with await psycopg.AsyncConnection.connect(dsn, autocommit=True, row_factory=dict_row) as made:
        await configure(made)
        yield made


@pytest.mark.asyncio
async def test_a_new_connection_makes_no_classes_that_psycopg_remembers_for_good(dsn: str) -> None:
    async with connection(dsn):
        known = len(AdaptersMap._optimised)
    for _ in range(3):
        async with connection(dsn) as another:
            vectors = [HalfVector(np.arange(3) + n) for n in range(2)]
            row = await (await another.execute("select %s as one, %s as many", [vectors[0], vectors])).fetchone()
            assert row == {"one": vectors[0], "many": vectors}
    assert len(AdaptersMap._optimised) == known


@pytest.mark.asyncio
async def test_a_database_without_the_extension_is_told(empty_dsn: str) -> None:
    with pytest.raises(psycopg.ProgrammingError, match="halfvec type not found"):
        async with connection(empty_dsn):
            pytest.fail("it is told")
