-- fragment: erasures.columns
-- An erasure as the service shows it.
tenant_id, id, scope, state, planned, erased, planned_rows, erased_rows, ids_digest, planned_by, applied_by, planned_at,
    expires_at, applied_at, erased_at, finished_at, last_error

-- name: erasures.begin
-- Notes a plan that has no messages yet.
insert into erasures (tenant_id, id, scope, state, planned_by, expires_at)
values (
    %(tenant_id)s, %(erasure_id)s, %(scope)s, 'planned', %(by)s,
    now() + make_interval(secs => %(seconds)s::double precision)
);

-- name: erasures.choose
-- Puts the messages that pass a filter into a plan, live and archived ones.
insert into erasure_items (tenant_id, erasure_id, message_id)
select m.tenant_id, %(erasure_id)s, m.id
from messages m
where m.tenant_id = %(tenant_id)s and {filter};

-- name: erasures.count_rows
-- How many rows of one table belong to the messages of a plan. The table may be elsewhere than the plan, where Citus has
-- them: so the ids are read first.
with chosen as materialized (
    select message_id from erasure_items where tenant_id = %(tenant_id)s and erasure_id = %(erasure_id)s
)
select count(*) as rows
from {table} t
where t.tenant_id = %(tenant_id)s and t.{column} in (select message_id from chosen);

-- name: erasures.measure
-- Notes how much a plan would erase, and which messages it means.
update erasures
set planned = chosen.messages, ids_digest = chosen.ids_digest, planned_rows = %(rows)s
from (
    select count(*) as messages,
        sha256(coalesce(string_agg(uuid_send(message_id), ''::bytea order by message_id), ''::bytea)) as ids_digest
    from erasure_items
    where tenant_id = %(tenant_id)s and erasure_id = %(erasure_id)s
) as chosen
where tenant_id = %(tenant_id)s and id = %(erasure_id)s;

-- name: erasures.crowd_out
-- Has a tenant's oldest plans expire, never the newest, where its plans hold more than so many ids together; one without any
-- counts as one.
update erasures
set expires_at = now()
where tenant_id = %(tenant_id)s and state = 'planned' and id in (
    select id
    from (
        select id, sum(planned + 1) over (order by planned_at desc, id desc) as together,
            row_number() over (order by planned_at desc, id desc) as place
        from erasures
        where tenant_id = %(tenant_id)s and state = 'planned' and expires_at > now()
    ) as held
    where together > %(most)s and place > 1
);

-- name: erasures.sample
-- Some messages of a plan, the newest first.
select chosen.*
from (
    select {{messages.columns}}
    from messages m
    where tenant_id = %(tenant_id)s and exists (
        select from erasure_items i
        where i.tenant_id = %(tenant_id)s and i.erasure_id = %(erasure_id)s and i.message_id = m.id
    )
) as chosen
order by created_at desc, id desc
limit %(limit)s;

-- name: erasures.get
-- One erasure.
select {{erasures.columns}} from erasures where tenant_id = %(tenant_id)s and id = %(erasure_id)s;

-- name: erasures.apply
-- Begins a plan that still holds; no row when it is begun already, or too old.
update erasures
set state = 'erasing', applied_by = %(by)s, applied_at = now()
where tenant_id = %(tenant_id)s and id = %(erasure_id)s and state = 'planned' and expires_at > now()
returning id;

-- name: erasures.open
-- The erasures that have something left to do, the first applied first.
select {{erasures.columns}} from erasures where state in ('erasing', 'cleaning') order by applied_at, tenant_id, id;

-- name: erasures.expire
-- Forgets plans that were not applied in time, with their messages' ids.
delete from erasures where state = 'planned' and expires_at <= now();

-- name: erasures.hold
-- Keeps an erasure in its state until the transaction ends; no row when it is in another.
select {{erasures.columns}} from erasures
where tenant_id = %(tenant_id)s and id = %(erasure_id)s and state = %(state)s
for update;

-- name: erasures.next_messages
-- The next messages that an erasure has to erase, in the order of their ids.
select message_id from erasure_items
where tenant_id = %(tenant_id)s and erasure_id = %(erasure_id)s
order by message_id
limit %(limit)s;

-- name: erasures.note_progress
-- Notes how much is erased by now.
update erasures
set erased = %(erased)s, erased_rows = %(rows)s, last_error = null
where tenant_id = %(tenant_id)s and id = %(erasure_id)s;

-- name: erasures.note_error
-- Notes the class of what holds an erasure up.
update erasures set last_error = %(error)s where tenant_id = %(tenant_id)s and id = %(erasure_id)s;

-- name: erasures.advance
-- Brings an erasure to its next state, and notes when, as `{when}`.
update erasures
set state = %(state)s, last_error = null, {when} = now()
where tenant_id = %(tenant_id)s and id = %(erasure_id)s;

-- name: erasures.look
-- How many rows of one table belong to messages that an erasure erased: none, or it did not. Read as in
-- erasures.count_rows.
with gone as materialized (
    select digest from erased_messages where tenant_id = %(tenant_id)s and erasure_id = %(erasure_id)s
)
select count(*) as found
from {table} t
where t.tenant_id = %(tenant_id)s
    and erasure_digest('message', t.{column}, %(tenant_id)s) in (select digest from gone);

-- name: erasures.look_at_requests
-- How many request ids that stored its messages are still known.
select count(*) as found
from idempotency_keys k
where k.tenant_id = %(tenant_id)s and exists (
    select from erased_messages e
    where e.tenant_id = %(tenant_id)s and e.erasure_id = %(erasure_id)s
        and e.digest = erasure_digest('request', k.request_id, %(tenant_id)s)
);

-- name: erasures.look_at_words
-- How many counts of the tenant's words are of before the last message was gone.
select count(*) as found
from tenant_word_statistics
where tenant_id = %(tenant_id)s and counted_at < (
    select erased_at from erasures where tenant_id = %(tenant_id)s and id = %(erasure_id)s
);

-- name: erasures.count_words
-- How many rows of words a tenant has left.
select count(*) as found from message_lexemes where tenant_id = %(tenant_id)s;

-- name: erasures.forget_vocabulary
-- Forgets how a tenant's words were stored.
delete from tenant_vocabularies where tenant_id = %(tenant_id)s;

-- name: erasures.revoke_keys
-- Revokes the keys that are for one tenant alone, but for one, which gets a day.
update api_keys
set revoked_at = case when id::text = %(by)s then revoked_at else coalesce(revoked_at, now()) end,
    expires_at = case when id::text = %(by)s then least(expires_at, now() + interval '1 day') else expires_at end
where tenant_ids = array[%(tenant_id)s];
