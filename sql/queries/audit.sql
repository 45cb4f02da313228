-- fragment: audit.columns
-- What is told of an event.
id, happened_at, actor, action, outcome, tenant_id, request_id

-- fragment: audit.conditions
-- Which events are asked for, from a place on.
coalesce(actor = %(actor)s, true) and coalesce(action = %(action)s, true)
    and coalesce(happened_at >= %(happened_after)s::timestamptz, true)
    and coalesce(happened_at < %(happened_before)s::timestamptz, true)
    and coalesce((happened_at, id) < (%(after_at)s::timestamptz, %(after_id)s::uuid), true)

-- name: audit.append
-- Stores events; each happened so many seconds ago. A key's use is stored when none of the last hour is.
insert into audit_events (id, happened_at, actor, action, outcome, tenant_id, request_id)
select id, now() - make_interval(secs => age), actor, action, outcome, tenant_id, request_id
from unnest(
    %(ids)s::uuid[], %(ages)s::double precision[], %(actors)s::text[], %(actions)s::text[], %(outcomes)s::text[],
    %(event_tenants)s::text[], %(event_requests)s::text[]
) as new (id, age, actor, action, outcome, tenant_id, request_id)
where action <> 'key.use' or not exists (
    select from audit_events e
    where e.actor = new.actor and e.action = 'key.use' and e.happened_at > now() - interval '1 hour'
)
on conflict (id) do nothing;

-- name: audit.of_tenant
-- Up to `limit` events of a tenant, the newest first, from a place on.
select {{audit.columns}} from audit_events
where tenant_id = %(tenant_id)s and {{audit.conditions}}
order by happened_at desc, id desc
limit %(limit)s;

-- name: audit.of_all
-- The same over the events of all tenants, and of none.
select {{audit.columns}} from audit_events
where {{audit.conditions}}
order by happened_at desc, id desc
limit %(limit)s;

-- name: audit.expire
-- Forgets up to `batch_size` events that are older than `days`, and says how many.
select expire_audit_events(%(days)s::double precision, %(batch_size)s) as forgotten;
