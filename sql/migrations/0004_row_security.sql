-- Row-level security: the server works as a role that sees one tenant, or as one that sees all, and never as the owner.

-- Roles belong to the whole cluster: another database may have made them already, or be making them right now. MLR01
-- becomes a sentence in store/migrations.py that says what an administrator has to do.
do $$
declare
    wanted text;
begin
    foreach wanted in array array['memory_layer_tenant', 'memory_layer_worker'] loop
        if not exists (select from pg_roles where rolname = wanted) then
            begin
                execute format('create role %I nologin', wanted);
            exception
                when duplicate_object or unique_violation then null;
                when insufficient_privilege then raise exception 'no right to create roles' using errcode = 'MLR01';
            end;
        end if;
        if not pg_has_role(wanted, 'set') then
            begin
                -- Not inherited: what the user sees without having taken a role is nothing, not everything.
                execute format('grant %I to current_user with inherit false, set true', wanted);
            exception
                when unique_violation or internal_error then null;  -- the same grant, at the same time
                when insufficient_privilege then raise exception 'no right to grant roles' using errcode = 'MLR01';
            end;
        end if;
        if not pg_has_role(wanted, 'set') then
            raise exception 'not a member' using errcode = 'MLR01';
        end if;
    end loop;
    execute format('grant usage on schema %I to memory_layer_tenant, memory_layer_worker', current_schema());
end
$$;

-- What the statements in sql/queries need, and no more. Every new table needs its own grants and policies: a test
-- counts them. `for update` takes the right to update. Rows that go with their message go by a foreign key's cascade,
-- which works with the owner's rights.
grant select, insert, update, delete on messages, embedding_jobs, tenant_policies to memory_layer_tenant;
grant select, insert, delete on message_embeddings to memory_layer_tenant;
grant select, insert, update, delete on archived_messages to memory_layer_tenant;
grant select, insert on message_lexemes, archived_embeddings, idempotency_keys to memory_layer_tenant;
grant select on embedding_models to memory_layer_tenant;
-- A sweep renews its lease in the transaction that archives.
grant select, update on leases to memory_layer_tenant;

-- The worker finds work, and reads everything so that it can make a backup; it changes nothing that was said.
grant select on messages, message_embeddings, message_lexemes, archived_messages, archived_embeddings, tenant_policies
to memory_layer_worker;
grant select, insert on embedding_models to memory_layer_worker;
grant select, delete on idempotency_keys to memory_layer_worker;
grant select, update on embedding_jobs to memory_layer_worker;
grant select, insert, update, delete on leases, retention_runs to memory_layer_worker;
grant select on sequence embedding_models_id_seq, retention_runs_id_seq to memory_layer_worker;
grant select on schema_migrations to memory_layer_worker;

-- Without the setting, or with an empty one, as it is after a transaction that set it, no row is visible. What is
-- written must be visible too.
alter table messages enable row level security, force row level security;
create policy one_tenant on messages to memory_layer_tenant
using (tenant_id = nullif(current_setting('memory.tenant_id', true), ''));
create policy every_tenant on messages to memory_layer_worker using (true);

alter table message_embeddings enable row level security, force row level security;
create policy one_tenant on message_embeddings to memory_layer_tenant
using (tenant_id = nullif(current_setting('memory.tenant_id', true), ''));
create policy every_tenant on message_embeddings to memory_layer_worker using (true);

alter table message_lexemes enable row level security, force row level security;
create policy one_tenant on message_lexemes to memory_layer_tenant
using (tenant_id = nullif(current_setting('memory.tenant_id', true), ''));
create policy every_tenant on message_lexemes to memory_layer_worker using (true);

alter table archived_messages enable row level security, force row level security;
create policy one_tenant on archived_messages to memory_layer_tenant
using (tenant_id = nullif(current_setting('memory.tenant_id', true), ''));
create policy every_tenant on archived_messages to memory_layer_worker using (true);

alter table archived_embeddings enable row level security, force row level security;
create policy one_tenant on archived_embeddings to memory_layer_tenant
using (tenant_id = nullif(current_setting('memory.tenant_id', true), ''));
create policy every_tenant on archived_embeddings to memory_layer_worker using (true);

alter table idempotency_keys enable row level security, force row level security;
create policy one_tenant on idempotency_keys to memory_layer_tenant
using (tenant_id = nullif(current_setting('memory.tenant_id', true), ''));
create policy every_tenant on idempotency_keys to memory_layer_worker using (true);

alter table embedding_jobs enable row level security, force row level security;
create policy one_tenant on embedding_jobs to memory_layer_tenant
using (tenant_id = nullif(current_setting('memory.tenant_id', true), ''));
create policy every_tenant on embedding_jobs to memory_layer_worker using (true);

alter table tenant_policies enable row level security, force row level security;
create policy one_tenant on tenant_policies to memory_layer_tenant
using (tenant_id = nullif(current_setting('memory.tenant_id', true), ''));
create policy every_tenant on tenant_policies to memory_layer_worker using (true);
