-- name: database.ping
-- Says that the database answers.
select true as ok;

-- name: database.process
-- The process of Postgres that the session of this statement has.
select pg_backend_pid() as process;

-- name: database.writable
-- Says that the database answers, and whether it takes writes: a standby does not, nor one whose operator forbids them.
select current_setting('transaction_read_only') = 'off' as writable;

-- name: database.wrote
-- Whether the transaction has written anything so far.
select pg_current_xact_id_if_assigned() is not null as wrote;

-- name: database.written
-- Where the log ends now, as a number: what was committed before lies before it. What is not on disk yet is sent to no
-- replica, so that where commits wait for the disk no more is asked for.
select pg_wal_lsn_diff(
    case current_setting('synchronous_commit')
        when 'off' then pg_current_wal_insert_lsn()
        else pg_current_wal_flush_lsn()
    end,
    '0/0'
) as position;

-- name: database.replayed
-- Up to where a node has what was written, as a number, and what node it is: which cluster it is a copy of, whether it
-- takes writes itself, since when it runs, and which timeline it is on. A promotion begins a timeline, in which numbers
-- go on from where the old one was left. A standby tells its timeline as of its last restartpoint or write of a page; the one
-- that it streams is newer, and told to members of pg_read_all_stats.
select
    pg_wal_lsn_diff(
        case when is_standby then coalesce(pg_last_wal_replay_lsn(), '0/0') else pg_current_wal_flush_lsn() end, '0/0'
    )::bigint as position,
    (select system_identifier from pg_control_system()) as cluster,
    not is_standby as is_primary,
    pg_postmaster_start_time() as started_at,
    case
        when is_standby then greatest(
            (select min_recovery_end_timeline from pg_control_recovery()), (select received_tli from pg_stat_wal_receiver)
        )
        else ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::integer
    end as timeline
from (select pg_is_in_recovery() as is_standby) as node;

-- name: database.now
-- The database's clock, which rules over every server's.
select now() as now;

-- name: database.be_patient
-- For what takes minutes and waits for nobody's call: migrations, and building indexes. What bounds calls is not for it.
select set_config('statement_timeout', '0', false), set_config('lock_timeout', '0', false);

-- name: database.advisory_lock_holders
-- The processes of Postgres that hold a lock of one number.
select coalesce(array_agg(pid), '{}') as held_by
from pg_locks
where locktype = 'advisory' and granted and database = (select oid from pg_database where datname = current_database())
    and ((classid::bigint << 32) | objid::bigint) = %(key)s and objsubid = 1;

-- name: database.durability
-- What decides whether a commit that was acknowledged outlives a crash, as this role and database have it set.
select
    current_setting('fsync') as fsync,
    current_setting('full_page_writes') as full_page_writes,
    current_setting('synchronous_commit') as synchronous_commit;

-- name: database.roles_within_reach
-- How many of some roles the user of this connection can take.
select count(*) as reached from pg_roles where rolname = any(%(roles)s) and pg_has_role(oid, 'set');

-- name: database.surroundings
-- What the service needs of a database before it is migrated: Postgres' version, the encoding, a schema to make tables
-- in, and pgvector's version, installed or to be had.
select
    current_setting('server_version_num')::integer as version,
    current_setting('server_encoding') as encoding,
    current_schema() as schema,
    coalesce(
        (select extversion from pg_extension where extname = 'vector'),
        (select default_version from pg_available_extensions where name = 'vector')
    ) as pgvector;

-- name: database.vector_schema
-- The schema that pgvector is in, and how many of some roles may not use it.
select nspname as schema, (
    select count(*) from pg_roles where rolname = any(%(roles)s) and not has_schema_privilege(oid, n.oid, 'usage')
) as kept_out
from pg_extension e
join pg_namespace n on n.oid = e.extnamespace
where e.extname = 'vector';

-- name: database.let_in
-- Lets the roles that transactions work as use a schema.
grant usage on schema {schema} to memory_layer_tenant, memory_layer_worker;

-- name: database.search_path
-- Where a connection finds tables and types: where its role and database say, as it is before any other role is taken,
-- and where pgvector is.
(
    select array_to_string(array_agg(quote_ident(name) order by place), ', ')
    from (
        select name, min(place) as place
        from (
            select name, place from unnest(current_schemas(false)) with ordinality as given (name, place)
            union all
            select extnamespace::regnamespace::name::text, 1000 from pg_extension where extname = 'vector'
            union all
            select 'pg_temp', 1001
        ) as places
        group by name
    ) as schemas
);

-- name: database.path
-- Where the session finds tables and types now.
select current_setting('search_path') as path;

-- name: database.pin
-- What every connection is set to, whatever the role, the database or the environment says: how values are written and
-- read, that row-level security holds, and where names are looked up; and that no session ends because it is idle (as
-- the listener's is) or has a long transaction (as a build of a graph is, and Postgres 16 cannot bound): what bounds
-- calls are their statements' timeouts.
select set_config('client_encoding', 'UTF8', {local}), set_config('datestyle', 'ISO, MDY', {local}),
    set_config('intervalstyle', 'postgres', {local}), set_config('timezone', 'UTC', {local}),
    set_config('standard_conforming_strings', 'on', {local}), set_config('bytea_output', 'hex', {local}),
    set_config('extra_float_digits', '1', {local}), set_config('row_security', 'on', {local}),
    set_config('default_transaction_isolation', 'read committed', {local}),
    set_config('idle_session_timeout', '0', {local}),
    case when current_setting('transaction_timeout', true) is not null then
        set_config('transaction_timeout', '0', {local})
    end,
    set_config('search_path', {search_path}, {local});

-- name: database.configure
-- What every connection is set to. Every statement has the index it needs, so that the planner is not to weigh a walk
-- through the rows of all tenants against it; compiling takes longer than a search does; and a graph is searched as wide
-- as the smallest pool, and on past what filters take away. Citus hands on what a transaction sets, the tenant above all.
select set_config('enable_seqscan', 'off', {local}), set_config('jit', 'off', {local}),
    set_config('hnsw.ef_search', '300', {local}), set_config('hnsw.iterative_scan', 'relaxed_order', {local}),
    (
        select set_config('citus.propagate_set_commands', 'local', {local}) from pg_extension where extname = 'citus'
    );

-- name: database.watch_client
-- A statement whose client has gone is given up within this time, not at its timeout: a cancellation that arrives before
-- the statement does is lost, and a server that was killed cancels nothing. Postgres has this where its kernel tells it.
select set_config('client_connection_check_interval', '1s', false);
