-- Erasure: what is forgotten stays forgotten.

-- What is kept of an erased message, and of the request ids that stored or changed it: that there was something of this
-- id, so that no retry and no import brings it back. The id itself is in none of them.
create table erased_messages (
    tenant_id text collate "C" not null,
    -- Of the id: erasure_digest().
    digest bytea not null check (octet_length(digest) = 32),
    kind text collate "C" not null check (kind in ('message', 'request')),
    erased_at timestamptz not null default now(),
    -- The planned erasure that it was a part of; null where one message was deleted by itself.
    erasure_id uuid,
    primary key (tenant_id, digest)
);

-- What stands for an id of a tenant after its erasure. An id is 36 characters, so that no two kinds, ids and tenants read
-- the same.
create function erasure_digest(kind text, id uuid, tenant_id text) returns bytea
language sql immutable strict parallel safe
return sha256(convert_to(kind || ' ' || id || ' ' || tenant_id, 'UTF8'));

revoke all on function erasure_digest from public;
grant execute on function erasure_digest to memory_layer_tenant, memory_layer_worker;

grant select, insert on erased_messages to memory_layer_tenant;
grant select on erased_messages to memory_layer_worker;
alter table erased_messages enable row level security, force row level security;
create policy one_tenant on erased_messages to memory_layer_tenant
using (tenant_id = nullif(current_setting('memory.tenant_id', true), ''));
create policy every_tenant on erased_messages to memory_layer_worker using (true);

-- Planned erasures, and what became of them. What was asked for is not here, it may be somebody's name: only what kind of
-- thing it was.
create table erasures (
    tenant_id text collate "C" not null,
    id uuid not null,
    scope text collate "C" not null check (scope in ('filter', 'user', 'conversation', 'whole_tenant')),
    -- planned; erasing: messages go; cleaning: all are gone, and what was counted and indexed of them goes; done.
    state text collate "C" not null check (state in ('planned', 'erasing', 'cleaning', 'done')),
    planned integer not null default 0,
    erased integer not null default 0,
    -- Rows of each table, by its name.
    planned_rows jsonb not null default '{}',
    erased_rows jsonb not null default '{}',
    -- SHA-256 over the planned ids, in order.
    ids_digest bytea,
    -- The id of a key, or what there was instead of one.
    planned_by text not null,
    applied_by text,
    planned_at timestamptz not null default now(),
    expires_at timestamptz not null,
    applied_at timestamptz,
    erased_at timestamptz,
    finished_at timestamptz,
    last_error text,
    primary key (tenant_id, id)
);

create index erasures_open on erasures (applied_at) where state in ('erasing', 'cleaning');

create index erasures_planned on erasures (expires_at) where state = 'planned';

-- The messages that an erasure has yet to erase.
create table erasure_items (
    tenant_id text collate "C" not null,
    erasure_id uuid not null,
    message_id uuid not null,
    primary key (tenant_id, erasure_id, message_id),
    foreign key (tenant_id, erasure_id) references erasures (tenant_id, id) on delete cascade
);

create index erasure_items_by_message on erasure_items (tenant_id, message_id);

grant select, insert, update on erasures to memory_layer_tenant;
grant select, delete on erasures to memory_layer_worker;
alter table erasures enable row level security, force row level security;
create policy one_tenant on erasures to memory_layer_tenant
using (tenant_id = nullif(current_setting('memory.tenant_id', true), ''));
create policy every_tenant on erasures to memory_layer_worker using (true);

grant select, insert, delete on erasure_items to memory_layer_tenant;
grant select on erasure_items to memory_layer_worker;
alter table erasure_items enable row level security, force row level security;
create policy one_tenant on erasure_items to memory_layer_tenant
using (tenant_id = nullif(current_setting('memory.tenant_id', true), ''));
create policy every_tenant on erasure_items to memory_layer_worker using (true);

-- Of every message now, not only of those that are kept: a message is erased with its request ids.
drop index idempotency_keys_by_message;
create index idempotency_keys_by_message on idempotency_keys (tenant_id, message_id);
