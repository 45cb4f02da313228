-- Who did what: a table that the service can only append to.

create table audit_events (
    id uuid primary key,
    happened_at timestamptz not null default now(),
    actor text collate "C" not null check (length(actor) between 1 and 300),
    action text collate "C" not null check (length(action) between 1 and 100),
    outcome text collate "C" not null check (length(outcome) between 1 and 50),
    -- Null: the deployment as a whole.
    tenant_id text collate "C",
    request_id text collate "C" not null default ''
);

create index audit_events_by_age on audit_events (happened_at, id);

create index audit_events_of_tenant on audit_events (tenant_id, happened_at, id);

-- Whether a key was used within the last hour.
create index audit_events_of_use on audit_events (actor, happened_at) where action = 'key.use';

-- Nobody has the right to change an event or to take one away. What is old goes by expire_audit_events.
grant select on audit_events to memory_layer_tenant;
grant select, insert on audit_events to memory_layer_worker;

alter table audit_events enable row level security, force row level security;
create policy one_tenant on audit_events to memory_layer_tenant
using (tenant_id = nullif(current_setting('memory.tenant_id', true), ''));
create policy every_tenant on audit_events to memory_layer_worker using (true);
-- The owner, as whom the function below works, reaches what is old and nothing else.
create policy expired on audit_events to current_user using (happened_at < now() - interval '30 days');

-- An event stands as it was written, whoever would change it.
create function refuse_change() returns trigger
language plpgsql
as $$
begin
    raise exception 'audit_events is only appended to' using errcode = 'insufficient_privilege';
end
$$;

create trigger append_only before update or truncate on audit_events
for each statement execute function refuse_change();

-- Forgets up to `most` events that are older than so many days, 30 at least, and returns how many there were.
create function expire_audit_events(days double precision, most integer) returns integer
language plpgsql security definer
as $$
declare
    forgotten integer;
begin
    delete from audit_events
    where id in (
        select id
        from audit_events
        where happened_at < now() - make_interval(secs => greatest(days, 30) * 86400)
        order by happened_at, id
        limit most
        for update skip locked
    );
    get diagnostics forgotten = row_count;
    return forgotten;
end
$$;

revoke all on function refuse_change, expire_audit_events from public;
grant execute on function expire_audit_events to memory_layer_worker;

do $$
begin
    execute format('alter function expire_audit_events set search_path = pg_catalog, %I, pg_temp', current_schema());
end
$$;
