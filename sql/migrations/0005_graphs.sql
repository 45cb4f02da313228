-- Large tenants: a graph of their own, and what makes the exact scan cheaper.

-- Seconds since 1970 beside the timestamp: the decay of a row becomes one subtraction and one exponential, where taking
-- an interval apart costs as much as the distance. The covering index holds it.
alter table message_embeddings add column created_epoch double precision not null
    generated always as (date_part('epoch', created_at at time zone 'UTC')) stored;

alter table archived_embeddings add column created_epoch double precision not null
    generated always as (date_part('epoch', created_at at time zone 'UTC')) stored;

drop index message_embeddings_scan;

create index message_embeddings_scan on message_embeddings (tenant_id, model_id, created_at, message_id)
include (chunk, importance, created_epoch, conversation_id, role, embedding);

-- The tenants that outgrew the scan: each has an HNSW graph of its own, the partial index `index_name` on
-- message_embeddings.
create table tenant_graphs (
    tenant_id text collate "C" not null,
    model_id smallint not null references embedding_models (id),
    index_name text collate "C" not null unique,
    state text collate "C" not null check (state in ('building', 'ready', 'failed', 'dropping')),
    -- Of the tenant, when the build began.
    messages bigint not null,
    started_at timestamptz not null default now(),
    finished_at timestamptz,
    primary key (tenant_id, model_id)
);

-- As migration 0004 explains.
grant select, insert, update, delete on tenant_graphs to memory_layer_tenant;
grant select on tenant_graphs to memory_layer_worker;
alter table tenant_graphs enable row level security, force row level security;
create policy one_tenant on tenant_graphs to memory_layer_tenant
using (tenant_id = nullif(current_setting('memory.tenant_id', true), ''));
create policy every_tenant on tenant_graphs to memory_layer_worker using (true);
