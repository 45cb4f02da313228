"""The two database roles that transactions work as, and the sentence for a database user who cannot take them."""

from __future__ import annotations

import psycopg

from memory_grpc.errors import StartupError
from memory_grpc.store.queries import QUERIES

TENANT = "memory_layer_tenant"
WORKER = "memory_layer_worker"

# What migration 0004 raises when it can neither make the roles nor become a member of them.
MISSING = "MLR01"


def missing() -> StartupError:
    """What an administrator has to do; the same sentence whether the roles or the membership is missing."""
    return StartupError(
        f"The user of MEMORY_DATABASE_URL can neither use nor create the roles {TENANT} and {WORKER}: as an "
        f"administrator, run CREATE ROLE {TENANT} NOLOGIN; CREATE ROLE {WORKER} NOLOGIN; (those that are missing) and "
        f"GRANT {TENANT}, {WORKER} TO that user WITH INHERIT FALSE, SET TRUE; then start again."
    )


def check(connection: psycopg.Connection) -> None:
    """Raises StartupError when the user of this connection cannot take both roles, migrated or not."""
    row = connection.execute(QUERIES["database.roles_within_reach"], {"roles": [TENANT, WORKER]}).fetchone()
    if row != (2,):
        raise missing()
