"""A primary and streaming replicas of it, made by pg_basebackup as an operator would."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from memory_grpc.local.cluster import SUPERUSER, binaries
from memory_grpc.local.postgres import EmbeddedPostgres


class Node:
    """One Postgres."""

    def __init__(self, directory: Path, options: dict[str, str] | None = None) -> None:
        self.directory = directory
        self._postgres = EmbeddedPostgres(directory, options)
        self.dsn = ""

    def start(self) -> Node:
        """Starts it, or starts it again."""
        self.dsn = self._postgres.start()
        return self

    def stop(self) -> None:
        """Ends it in order."""
        self._postgres.stop()

    def kill(self) -> None:
        """Ends it as a machine does that is switched off."""
        pid = self._postgres.pid
        assert pid is not None
        children = [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
        for process in (pid, *children):
            os.kill(process, signal.SIGKILL)
        self._postgres.stop()

    def run(self, query: str) -> list[tuple[Any, ...]]:
        """Runs SQL as an operator."""
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            cursor = connection.execute(query.encode())
            return cursor.fetchall() if cursor.description else []

    def pause(self) -> None:
        """Has a replica replay no more, from when this returns."""
        self.run("select pg_wal_replay_pause()")
        while self.run("select pg_get_wal_replay_pause_state()") != [("paused",)]:
            pass

    def replica(self, directory: Path, name: str) -> Node:
        """A new replica that follows this one, not started."""
        parts = conninfo_to_dict(self.dsn)
        source = make_conninfo(host=parts["host"], port=parts["port"], user=SUPERUSER, application_name=name)
        directory.mkdir()
        subprocess.run(
            [
                binaries() / "pg_basebackup",
                f"--dbname={source}",
                f"--pgdata={directory / 'postgres'}",
                "--write-recovery-conf",
                "--checkpoint=fast",
                "--wal-method=stream",
                "--no-sync",
            ],
            check=True,
            capture_output=True,
        )
        (directory / "postgres.log").touch()
        owner = (self.directory / "postgres").stat()
        for path in [directory / "postgres", *(directory / "postgres").rglob("*")]:
            os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)
        return Node(directory)


def either(*nodes: Node) -> str:
    """A DSN that leads to whichever of them takes writes."""
    parts = [conninfo_to_dict(node.dsn) for node in nodes]
    return make_conninfo(
        nodes[0].dsn,
        host=",".join(str(part["host"]) for part in parts),
        port=",".join(str(part["port"]) for part in parts),
        target_session_attrs="read-write",
        connect_timeout=2,
    )
