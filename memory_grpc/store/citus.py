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
    return DISTRIBUTED[0] in _spread(connection)


def prepare_migrations(connection: psycopg.Connection[tuple[Any, ...]]) -> None:
    """Until the tables are distributed, migrations change the coordinator alone: Citus would hand functions and roles
    to the workers as they are made, by roles that may not log in yet; they come along with the tables. Afterwards a
    migration changes all nodes, in one transaction over them."""
    connection.execute(QUERIES["citus.all_nodes" if is_distributed(connection) else "citus.coordinator_alone"])


def asked_whether_distributed(conninfo: str) -> bool:
    """As is_distributed, on a connection of its own. Raises StartupError when the database cannot be asked, and when a
    table that a migration made is not distributed yet: no statement may ask it together with those that are."""
    try:
        with poolers.connect(conninfo) as connection:
            if not is_distributed(connection):
                return False
            if left := [name for name in DISTRIBUTED if name not in _spread(connection)]:
                raise StartupError(
                    f"Tables of tenants that are new ({', '.join(left)}) are not distributed yet: stop all servers and "
                    "run memory-grpc distribute."
                )
            return True
    except psycopg.Error as error:
        raise StartupError("The database cannot be asked whether it is a Citus cluster.") from error


def _spread(connection: psycopg.Connection[tuple[Any, ...]]) -> set[str]:
    """The tables of tenants that are distributed."""
    rows = connection.execute(QUERIES["citus.tables"], {"names": list(DISTRIBUTED)}).fetchall()
    return {name for name, is_distributed, _ in rows if is_distributed}
