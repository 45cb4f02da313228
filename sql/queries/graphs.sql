-- name: graphs.all
-- Every graph, with the size of its index and whether Postgres holds it valid; `index_valid` is null where there is no
-- index.
select g.tenant_id, g.model_id, g.index_name, g.state, g.messages, g.started_at, g.finished_at, m.dimensions,
    i.indisvalid as index_valid, coalesce(pg_relation_size(i.indexrelid), 0)::bigint as bytes
from tenant_graphs g
join embedding_models m on m.id = g.model_id
left join pg_index i on i.indexrelid = to_regclass(quote_ident(g.index_name))
order by g.tenant_id, g.model_id;

-- name: graphs.sizes
-- How many live messages each tenant has, counted to `most` at most, so that asking costs no more than the answer is worth.
-- Skips from tenant to tenant.
with recursive tenants as (
    (select tenant_id from messages order by tenant_id limit 1)
    union all
    select (select m.tenant_id from messages m where m.tenant_id > t.tenant_id order by m.tenant_id limit 1)
    from tenants t
    where t.tenant_id is not null
)
select tenant_id, messages
from tenants
cross join lateral (
    select count(*) as messages
    from (
        select from messages m where m.tenant_id = tenants.tenant_id and m.archived_at is null limit %(most)s::bigint
    ) as counted
) as counts
where tenant_id is not null and messages >= %(least)s::bigint;

-- name: graphs.count
-- How many live messages a tenant has.
select count(*) as messages from messages where tenant_id = %(tenant_id)s and archived_at is null;

-- name: graphs.begin
-- Notes that a graph is being built; a note of the same graph is written anew.
insert into tenant_graphs (tenant_id, model_id, index_name, state, messages)
values (%(tenant_id)s, %(model_id)s, %(index_name)s, 'building', %(messages)s)
on conflict (tenant_id, model_id) do update
set state = 'building', messages = excluded.messages, started_at = now(), finished_at = null
where tenant_graphs.tenant_id = %(tenant_id)s;

-- name: graphs.set_state
-- Notes how far a graph is.
update tenant_graphs
set state = %(state)s, finished_at = case when %(state)s in ('ready', 'failed') then now() end
where tenant_id = %(tenant_id)s and model_id = %(model_id)s;

-- name: graphs.forget
-- Removes the note of a graph that was dropped.
delete from tenant_graphs where tenant_id = %(tenant_id)s and model_id = %(model_id)s;

-- name: graphs.claim
-- Takes the right to build or drop one graph for as long as the connection lives; false while another connection has it,
-- that of a dead server whose build still runs among them.
select pg_try_advisory_lock(hashtextextended(%(index_name)s, 0)) as claimed;

-- name: graphs.state
-- Whether an index is there and valid; null when it is not there.
select indisvalid as valid from pg_index where indexrelid = to_regclass(quote_ident(%(index_name)s));

-- name: graphs.memory
-- Memory for building a graph, in this session.
select set_config('maintenance_work_mem', %(memory)s, false) as memory;

-- name: graphs.alone
-- Builds in this session are done by one process, in memory of its own: several share theirs in /dev/shm.
select set_config('max_parallel_maintenance_workers', '0', false) as workers;

-- name: graphs.create
-- Builds the graph of a tenant's live messages while it is read and written. Each window is a point of the unit sphere, its normalised
-- vector with two dimensions more: importance i and sqrt(1 - i^2). All points have the same length, so that the nearest
-- to (a·query, b, 0) are the best by a·cosine + b·importance, for any weights a and b.
create index concurrently {index} on message_embeddings
using hnsw ((
    (l2_normalize(embedding) || array[importance, sqrt(greatest(0, 1 - importance * importance))]::halfvec)
    ::halfvec({dimensions})
) halfvec_cosine_ops)
where tenant_id = {tenant} and model_id = {model} and not archived;

-- name: graphs.drop
-- Drops a graph while the tenant is read and written.
drop index concurrently if exists {index};

-- name: graphs.search_as_wide_as
-- How many points the next searches of a graph look for at once, and how many they look at for want of any that pass.
select set_config('hnsw.ef_search', %(width)s::integer::text, true),
    set_config('hnsw.max_scan_tuples', %(most_tuples)s::integer::text, true);
