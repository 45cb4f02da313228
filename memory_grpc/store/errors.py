"""Turns driver errors into the service's own, in one place; what the driver says never reaches a client."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import psycopg_pool
from psycopg import errors as pg

from memory_grpc import deadline
from memory_grpc.errors import DeadlineExceeded, InvalidInput, StoreReadOnly, StoreUnavailable

# What Postgres says when it is starting, stopping, out of connections or out of room: the call may be tried again.
_TRY_AGAIN = (
    psycopg.OperationalError,
    psycopg.InterfaceError,
    psycopg_pool.PoolTimeout,
    psycopg_pool.TooManyRequests,
    psycopg_pool.PoolClosed,
    pg.InsufficientResources,
)
# What Citus says, as internal errors, when a node is lost in the middle of a transaction: its own words, and libpq's.
_NODE_LOST = (
    "failure on connection marked as essential",
    "server closed the connection unexpectedly",
    "SSL connection has been closed unexpectedly",
    "could not receive data from server",
    "could not send data to server",
    "no connection to the server",
    "connection not open",
)


@contextmanager
def translated() -> Iterator[None]:
    """Runs a block of store calls; driver errors leave it as errors of ``memory_grpc.errors``.

    Programming errors (bad SQL, broken constraints) leave it as they are: they are faults of ours, answered with
    INTERNAL and logged by their class alone.
    """
    try:
        yield
    except pg.QueryCanceled as error:
        raise DeadlineExceeded from error
    except (pg.UntranslatableCharacter, pg.CharacterNotInRepertoire, pg.DatetimeFieldOverflow) as error:
        raise InvalidInput([], "The request holds a value that cannot be stored.") from error
    except pg.ReadOnlySqlTransaction as error:  # a disk that is full, or a server that stands by
        raise StoreReadOnly from error
    except _TRY_AGAIN as error:
        if isinstance(error, psycopg_pool.PoolTimeout):
            deadline.remaining()  # raises where it was the call that had too little time
        raise StoreUnavailable from error
    except pg.InternalError_ as error:
        if (error.diag.message_primary or "").startswith(_NODE_LOST):
            raise StoreUnavailable from error
        raise
