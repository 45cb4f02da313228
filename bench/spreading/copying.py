"""The same rows in both databases."""

from __future__ import annotations

import time

import psycopg
from psycopg import sql
from tqdm import tqdm

from memory_grpc.store.tenant_tables import DISTRIBUTED

# What the tenants' rows name by its number.
_TABLES = ("embedding_models", *DISTRIBUTED)
# So that the next model does not get the number of one that was copied.
_NUMBERED = "select setval(pg_get_serial_sequence('embedding_models', 'id'), max(id)) from embedding_models"


def copy(source: str, target: str) -> float:
    """Copies what one database has into another that has nothing, as `pg_dump` does; seconds."""
    began = time.monotonic()
    with (
        psycopg.connect(source) as reading,
        psycopg.connect(target) as writing,
        tqdm(desc="copied to the cluster", unit="B", unit_scale=True, mininterval=10) as progress,
    ):
        for table in map(sql.Identifier, _TABLES):
            out = sql.SQL("copy {} to stdout (format binary)").format(table)
            into = sql.SQL("copy {} from stdin (format binary)").format(table)
            with reading.cursor().copy(out) as rows, writing.cursor().copy(into) as there:
                for data in rows:
                    there.write(data)
                    progress.update(len(data))
            writing.commit()
        writing.execute(_NUMBERED)
    with psycopg.connect(target, autocommit=True) as connection:
        connection.execute("vacuum analyze")
    return time.monotonic() - began
