-- name: database.ping
-- Says that the database answers.
select true as ok;

-- name: database.now
-- The database's clock, which rules over every server's.
select now() as now;

-- name: database.durability
-- What decides whether a commit that was acknowledged outlives a crash, as this role and database have it set.
select
    current_setting('fsync') as fsync,
    current_setting('full_page_writes') as full_page_writes,
    current_setting('synchronous_commit') as synchronous_commit;

-- name: database.roles_within_reach
-- How many of some roles the user of this connection can take.
select count(*) as reached from pg_roles where rolname = any(%(roles)s) and pg_has_role(oid, 'set');

-- name: database.configure
-- What every connection is set to. Every statement has the index it needs, so that the planner is not to weigh a walk
-- through the rows of all tenants against it; compiling takes longer than a search does; and a graph is searched as wide
-- as the smallest pool, and on past what filters take away.
select set_config('enable_seqscan', 'off', false), set_config('jit', 'off', false),
    set_config('hnsw.ef_search', '300', false), set_config('hnsw.iterative_scan', 'relaxed_order', false);

-- name: database.watch_client
-- A statement whose client has gone is given up within this time, not at its timeout: a cancellation that arrives before
-- the statement does is lost, and a server that was killed cancels nothing. Postgres has this where its kernel tells it.
select set_config('client_connection_check_interval', '1s', false);
