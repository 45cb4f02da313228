"""Postgres: where it is, and how many connections are opened."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, Field, SecretStr
from pydantic_settings import NoDecode

from memory_grpc.setting_types import COMMAS, Folder

DataLoss = Literal["fsync=off", "full_page_writes=off", "synchronous_commit=off"]


class Database(BaseModel):
    """Database."""

    database_url: SecretStr | None = Field(
        None,
        description="Postgres with pgvector, postgresql://user:password@host/db (the postgresql+asyncpg:// spelling is "
        "accepted). Unset: `memory-grpc up` runs an embedded Postgres.",
    )
    database_direct_url: SecretStr | None = Field(
        None,
        description="The same database without a pooler, for migrations, LISTEN and index builds. "
        "Needed if MEMORY_DATABASE_URL leads to PgBouncer in transaction mode.",
    )
    database_read_urls: Annotated[list[SecretStr], NoDecode, COMMAS] = Field(
        [],
        description="Comma-separated DSNs of streaming replicas. Searches and other reads go to "
        "replicas that are up to date.",
    )
    database_read_wait_ms: float = Field(
        50.0,
        ge=0,
        le=10_000,
        description="How long a read waits for a replica to catch up before it goes to the primary.",
    )
    database_read_max_lag_seconds: float = Field(
        10.0, gt=0, description="How far a replica may be behind the primary; beyond that it gets no reads."
    )
    data_dir: Folder = Field(Path(".data"), description="Where the embedded Postgres keeps its data.")
    database_pool_min_size: int = Field(2, ge=0, description="Connections kept open.")
    database_pool_max_size: int = Field(10, ge=1, description="Most connections opened for calls.")
    database_background_pool_size: int = Field(
        8,
        ge=3,
        description="Most connections opened for background work and administration, in addition to those for calls.",
    )
    database_pool_max_waiting: int = Field(
        256,
        ge=1,
        description="Calls that may wait for a connection; further ones are refused at once with UNAVAILABLE.",
    )
    database_pool_timeout_seconds: float = Field(5.0, gt=0, description="Longest wait for a connection.")
    accept_data_loss_with: Annotated[list[DataLoss], NoDecode, COMMAS] = Field(
        [],
        description="Comma-separated Postgres settings to accept although they can lose acknowledged "
        "messages: fsync=off, full_page_writes=off, synchronous_commit=off. Otherwise the "
        "service refuses to start with them.",
    )

    @property
    def conninfo(self) -> str | None:
        """The DSN psycopg understands, or None for the embedded Postgres."""
        return _dsn(self.database_url)

    @property
    def direct_conninfo(self) -> str | None:
        """The DSN that leads to Postgres itself, or None where MEMORY_DATABASE_URL does."""
        return _dsn(self.database_direct_url) if self.conninfo else None

    @property
    def read_conninfos(self) -> list[str]:
        """The DSNs of the replicas."""
        return [conninfo for url in self.database_read_urls if (conninfo := _dsn(url))]


def _dsn(url: SecretStr | None) -> str | None:
    text = url.get_secret_value().strip() if url else ""
    return re.sub(r"^(\w+)\+\w+://", r"\1://", text) or None
