-- Erasure: what is forgotten stays forgotten.

-- What is kept of an erased message, and of the request ids that stored or changed it: that there was something of this
-- id, so that no retry and no import brings it back. The id itself is in none of them.
create table erased_messages (
    tenant_id text collate "C" not null,
    -- Of the id: erasure_digest().
    digest bytea not null check (octet_length(digest) = 32),
    kind text collate "C" not null check (kind in ('message', 'request')),
    erased_at timestamptz not null default now(),
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

-- Of every message now, not only of those that are kept: a message is erased with its request ids.
drop index idempotency_keys_by_message;
create index idempotency_keys_by_message on idempotency_keys (tenant_id, message_id);
