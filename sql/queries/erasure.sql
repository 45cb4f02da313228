-- name: erasure.lock
-- Keeps messages as they are until the transaction ends, in the order of their ids: whoever adds something to one waits,
-- and then finds it gone.
select id from messages where tenant_id = %(tenant_id)s and id = any(%(ids)s) order by id for update;

-- name: erasure.note_messages
-- Notes that these ids are erased.
insert into erased_messages (tenant_id, digest, kind, erasure_id)
select %(tenant_id)s, erasure_digest('message', id, %(tenant_id)s), 'message', %(erasure_id)s::uuid
from unnest(%(ids)s::uuid[]) as erased (id)
on conflict do nothing;

-- name: erasure.note_requests
-- Notes that the request ids of messages are erased.
insert into erased_messages (tenant_id, digest, kind, erasure_id)
select tenant_id, erasure_digest('request', request_id, tenant_id), 'request', %(erasure_id)s::uuid
from idempotency_keys
where tenant_id = %(tenant_id)s and message_id = any(%(ids)s)
on conflict do nothing;

-- name: erasure.count_rows
-- How many rows of one table belong to messages.
select count(*) as rows from {table} where tenant_id = %(tenant_id)s and {column} = any(%(ids)s);

-- name: erasure.delete_rows
-- Deletes the rows of one table that belong to messages, and counts them.
with gone as (
    delete from {table} where tenant_id = %(tenant_id)s and {column} = any(%(ids)s) returning tenant_id
)
select count(*) as rows from gone;

-- name: erasure.among
-- Which of some ids are erased.
select id
from unnest(%(ids)s::uuid[]) as wanted (id)
where exists (
    select from erased_messages
    where tenant_id = %(tenant_id)s and digest = erasure_digest(%(kind)s, wanted.id, %(tenant_id)s)
);

-- name: erasure.notify
-- Tells every server, once this transaction is committed, to forget what it remembers.
select pg_notify('erasures', '');

-- name: erasure.vacuum
-- Takes deleted rows out of a table and its indexes, graphs too, and samples its values anew for the planner.
vacuum (analyze, index_cleanup on) {table};
