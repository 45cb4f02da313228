"""Whether Postgres keeps what it has acknowledged: asked at start, and a database that does not is refused.

A message is acknowledged once its transaction has committed. With ``fsync``, ``full_page_writes`` or
``synchronous_commit`` off, a committed transaction can be gone, or the database broken, after a crash or a power cut.
"""

from __future__ import annotations

from collections.abc import Collection

import psycopg

from memory_grpc.errors import StartupError
from memory_grpc.store.poolers import CONNECT_TIMEOUT_SECONDS
from memory_grpc.store.queries import QUERIES

# What each setting risks when it is off. synchronous_commit has weaker values than `on`, but all of them flush to this
# server's disk before the commit is acknowledged; what they differ in is how long a standby is waited for.
RISKS = {
    "fsync": "a crash of the machine can lose acknowledged messages and corrupt the database",
    "full_page_writes": "a crash of the machine can leave half-written pages and corrupt the database",
    "synchronous_commit": "a crash can lose acknowledged messages",
}


def check_durability(conninfo: str, accepted: Collection[str]) -> list[str]:
    """Asks the database, as the service's own role sees it, and returns what is off and ``accepted`` (``fsync=off``).

    Raises StartupError when a setting is off that ``accepted`` does not name, or when the database cannot be asked.
    """
    off = [f"{name}=off" for name, value in _values(conninfo).items() if value == "off"]
    refused = [fault for fault in off if fault not in accepted]
    if refused:
        risk = RISKS[refused[0].removesuffix("=off")]
        raise StartupError(
            f"Postgres runs with {' and '.join(refused)}, so {risk}: turn that on, or accept the risk with "
            f"MEMORY_ACCEPT_DATA_LOSS_WITH={','.join(off)}."
        )
    return off


def _values(conninfo: str) -> dict[str, str]:
    try:
        with psycopg.connect(conninfo, autocommit=True, connect_timeout=CONNECT_TIMEOUT_SECONDS) as connection:
            row = connection.execute(QUERIES["database.durability"]).fetchone()
    except psycopg.Error as error:
        raise StartupError(
            "The database cannot be asked for its durability settings: check that Postgres is running."
        ) from error
    assert row is not None, "a select without a from has a row"
    return dict(zip(RISKS, row, strict=True))
