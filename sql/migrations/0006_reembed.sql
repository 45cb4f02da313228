-- A model of a tenant's own, and re-embeddings: how a tenant, or all of them, come from one model to another.

-- The model of a tenant that does not read the deployment's (the active one of embedding_models).
create table tenant_models (
    tenant_id text collate "C" primary key,
    model_id smallint not null references embedding_models (id)
);

-- The changes of model, newest last. only_tenant null means every tenant; model_id is the model they come to. They are
-- the deployment's, and no tenant's own.
create table reembeddings (
    id integer generated always as identity primary key,
    only_tenant text collate "C",
    previous_model_id smallint not null references embedding_models (id),
    model_id smallint not null references embedding_models (id),
    -- running: vectors are being made; ready: all are there, the cut-over may come; cut_over: searches read the new
    -- ones, the old ones are being removed; done; cancelled.
    state text collate "C" not null check (state in ('running', 'ready', 'cut_over', 'done', 'cancelled')),
    keep_old boolean not null,
    total integer not null default 0,
    embedded integer not null default 0,
    last_error text,
    started_at timestamptz not null default now(),
    ready_at timestamptz,
    cut_over_at timestamptz,
    finished_at timestamptz
);

-- One at a time.
create unique index reembeddings_one_open on reembeddings ((true)) where state in ('running', 'ready', 'cut_over');

-- Messages that were embedded with the model in use while a re-embedding was open: they still need the new model's
-- vectors. A queue over all tenants, small, and never distributed.
create table reembedding_backlog (
    tenant_id text collate "C" not null,
    message_id uuid not null,
    attempts integer not null default 0,
    primary key (tenant_id, message_id)
);

-- As migration 0004 explains. Which model a tenant uses is the worker's to say.
grant delete on archived_embeddings to memory_layer_tenant;
grant update on embedding_models to memory_layer_worker;

grant select on tenant_models to memory_layer_tenant;
grant select, insert, update, delete on tenant_models to memory_layer_worker;
alter table tenant_models enable row level security, force row level security;
create policy one_tenant on tenant_models to memory_layer_tenant
using (tenant_id = nullif(current_setting('memory.tenant_id', true), ''));
create policy every_tenant on tenant_models to memory_layer_worker using (true);

grant select (only_tenant, model_id, state) on reembeddings to memory_layer_tenant;
grant select, insert, update on reembeddings to memory_layer_worker;
grant select on sequence reembeddings_id_seq to memory_layer_worker;

grant select, insert, update, delete on reembedding_backlog to memory_layer_tenant;
grant select, delete on reembedding_backlog to memory_layer_worker;
alter table reembedding_backlog enable row level security, force row level security;
create policy one_tenant on reembedding_backlog to memory_layer_tenant
using (tenant_id = nullif(current_setting('memory.tenant_id', true), ''));
create policy every_tenant on reembedding_backlog to memory_layer_worker using (true);
