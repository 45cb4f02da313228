-- name: measures.tables
-- How large some tables are with their indexes, and how many rows they have, by Postgres' own statistics: nothing is
-- counted. The rows are those of the last vacuum or analyze, or of the running count where that is more.
select relname::text as name, pg_total_relation_size(oid) as bytes,
    greatest(reltuples::bigint, pg_stat_get_live_tuples(oid), 0) as rows
from pg_class
where relnamespace = current_schema()::regnamespace and relkind in ('r', 'p') and relname = any(%(names)s);

-- name: measures.last_sweep
-- When the newest scheduled sweep that went well ended, in seconds since 1970; no row when there was none.
select date_part('epoch', finished_at) as ended_at
from retention_runs
where status = 'ok' and finished_at is not null
order by id desc
limit 1;
