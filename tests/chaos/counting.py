"""Counts what servers that share a database do, by triggers of the test's: who took which work, and how often.

Each server says its name in its connections (``memory.server``). What is rolled back is not counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg.conninfo import make_conninfo

from tests.chaos.harness import ServerProcess, fetch, until

TRIGGERS = """
create table work (
    at bigint generated always as identity, server text, kind text, tenant_id text, item text, holder uuid
);
create function work() returns trigger language plpgsql security definer as $$
declare
    row jsonb := to_jsonb(coalesce(new, old));
begin
    insert into work (server, kind, tenant_id, item, holder)
    values (
        coalesce(current_setting('memory.server', true), ''), tg_argv[0], row ->> 'tenant_id',
        coalesce(row ->> 'message_id', row ->> 'id', row ->> 'name', '') || coalesce(' ' || (row ->> 'model_id'), ''),
        (row ->> 'holder')::uuid
    );
    return coalesce(new, old);
end
$$;
create trigger taken before update on embedding_jobs for each row when (new.attempts > old.attempts)
execute function work('taken');
create trigger embedded before insert on message_embeddings for each row execute function work('embedded');
create trigger archived before update on messages for each row
when (new.archived_at is not null and old.archived_at is null) execute function work('archived');
create trigger erased before delete on messages for each row execute function work('erased');
create trigger built before update on tenant_graphs for each row
when (new.state = 'ready' and old.state <> 'ready') execute function work('built');
create trigger led before insert on leases for each row execute function work('led');
create trigger led_on before update on leases for each row when (new.holder <> old.holder) execute function work('led');
"""
# A lease runs out at last, and so does the hold on a pending message: here at once, where who has it is dead.
OVER = """
update leases set expires_at = now()
where expires_at > now() and holder in (select holder from work where server = any(%s));
"""
DUE = """
update embedding_jobs j set run_at = now()
where run_at > now() and %s::text[] @> array[(
    select server from work w where kind = 'taken' and w.tenant_id = j.tenant_id and item = j.message_id::text
    order by at desc limit 1
)];
"""
WAITING = """
select count(*) from pg_locks l join pg_stat_activity a using (pid)
where not l.granted and a.application_name like 'memory-grpc%' and a.datname = current_database()
"""


class Fleet:
    """Servers with one database, each of which may be killed."""

    def __init__(self, dsn: str, directory: Path, **variables: object) -> None:
        self.dsn = dsn
        self.alive: dict[str, ServerProcess] = {}
        self._dead: list[str] = []
        self._directory = directory
        self._variables = variables
        fetch(dsn, TRIGGERS)

    def begin(self) -> ServerProcess:
        """One more server, which does not serve yet."""
        name = str(len(self.alive) + len(self._dead))
        dsn = make_conninfo(self.dsn, options=f"-c memory.server={name}")
        server = self.alive[name] = ServerProcess(dsn, self._directory, **self._variables)
        server.spawn()
        return server

    async def kill(self, name: str) -> None:
        """SIGKILL for a server; another is started in its place."""
        server = self.alive.pop(name)
        self._dead.append(name)
        await server.kill()
        self.begin()

    def over(self) -> None:
        """What the dead have held is anybody's. AssertionError where one is dead that nobody killed."""
        for server in self.alive.values():
            server.assert_runs()
        for query in (OVER, DUE):
            fetch(self.dsn, query, self._dead)

    async def until(self, query: str, wanted: object, what: str) -> None:
        """Polls until the one value that a query gives is as wanted; what the dead hold is given back meanwhile."""

        def holds() -> bool:
            self.over()
            return bool(fetch(self.dsn, query)[0][0] == wanted)

        await until(holds, 60, what)

    async def at_work(self, lease: str) -> str:
        """Who holds a lease, once it waits for what the test keeps locked."""
        leader = ""

        def waits() -> bool:
            nonlocal leader
            leader = self.leader(lease)
            return bool(leader and fetch(self.dsn, WAITING)[0][0])

        await until(waits, 60, f"{lease} waits for the test")
        return leader

    def leader(self, lease: str) -> str:
        """Who among the living holds a lease; empty for nobody."""
        found = fetch(
            self.dsn,
            "select server from work w join leases l on l.name = item and l.holder = w.holder "
            "where kind = 'led' and item = %s and expires_at > now() order by at desc limit 1",
            lease,
        )
        return str(found[0][0]) if found and found[0][0] in self.alive else ""

    def counts(self, kind: str, tenant_like: str, *, by: set[str] | None = None) -> Counter[str]:
        """How often each item was done, by some of the servers or all."""
        found = fetch(
            self.dsn, "select item, server from work where kind = %s and tenant_id like %s", kind, tenant_like
        )
        return Counter(item for item, server in found if by is None or server in by)

    def close(self) -> None:
        """Leaves nothing running."""
        for server in self.alive.values():
            server.close()


@contextmanager
def locked(dsn: str, statement: str) -> Iterator[None]:
    """What a statement locks stays locked for as long as the block runs."""
    with psycopg.connect(dsn) as connection:
        connection.execute(statement.encode())
        yield
        connection.rollback()
