"""What is different where the database is a Citus cluster."""

from __future__ import annotations

from typing import Any

import psycopg

from memory_grpc.errors import StartupError
from memory_grpc.store import poolers
from memory_grpc.store.queries import QUERIES
from memory_grpc.store.tenant_tables import DISTRIBUTED


def is_distributed(connection: psycopg.Connection[tuple[Any, ...]]) -> bool:
    """Whether the tenants' tables are spread over the nodes of a cluster."""
    (has_citus,) = connection.execute(QUERIES["citus.is_there"]).fetchone() or (False,)
    if not has_citus:
        return False
    rows = connection.execute(QUERIES["citus.tables"], {"names": [DISTRIBUTED[0]]}).fetchall()
    return any(is_distributed for _, is_distributed, _ in rows)


def keep_to_coordinator(connection: psycopg.Connection[tuple[Any, ...]]) -> None:
    """Until the tables are distributed, migrations change the coordinator alone. Citus would hand functions and roles
    to the workers as they are made, by roles that may not log in yet; they come along with the tables."""
    if not is_distributed(connection):
        connection.execute(QUERIES["citus.coordinator_alone"])


def asked_whether_distributed(conninfo: str) -> bool:
    """As is_distributed, on a connection of its own. Raises StartupError when the database cannot be asked."""
    try:
        with poolers.connect(conninfo) as connection:
            return is_distributed(connection)
    except psycopg.Error as error:
        raise StartupError("The database cannot be asked whether it is a Citus cluster.") from error
