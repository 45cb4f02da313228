-- name: jobs.enqueue_many
-- Puts messages into the queue of those that wait for an embedding.
insert into embedding_jobs (tenant_id, message_id)
select %(tenant_id)s, message_id from unnest(%(message_ids)s::uuid[]) as new (message_id)
on conflict do nothing;

-- name: jobs.notify
-- Tells every server's workers, once this transaction is committed, that there are jobs.
select pg_notify('embedding_jobs', '');

-- name: jobs.retry_failed
-- Queues a tenant's failed messages again and counts them.
with again as (
    update messages
    set embedding_status = 'pending', updated_at = now()
    where tenant_id = %(tenant_id)s and embedding_status = 'failed'
    returning tenant_id, id
), queued as (
    insert into embedding_jobs (tenant_id, message_id)
    select tenant_id, id from again
    on conflict do nothing
)
select count(*) as queued from again;

-- name: jobs.depth
-- How many jobs wait, and how long the oldest has.
select count(*) as depth, coalesce(date_part('epoch', now() - min(enqueued_at)), 0) as oldest_seconds
from embedding_jobs;

-- name: jobs.lease
-- Takes up to `limit` jobs that are due, the oldest first, for `seconds`; a worker that dies leaves them to the next.
-- Only of tenants whose model the worker has.
update embedding_jobs
set attempts = attempts + 1, run_at = now() + make_interval(secs => %(seconds)s)
where (tenant_id, message_id) in (
    select tenant_id, message_id from embedding_jobs j
    where run_at <= now() and coalesce(
        (select model_id from tenant_models t where t.tenant_id = j.tenant_id),
        (select id from embedding_models where active)
    ) = any(%(model_ids)s)
    order by run_at
    limit %(limit)s
    for update skip locked
)
returning tenant_id, message_id, attempts, enqueued_at;

-- name: jobs.hold
-- Gives jobs that a worker has taken `seconds` more, and locks them until the transaction ends, so that what it does with
-- them is done while they are its own. Not those that another has taken since, which counts an attempt more, nor those
-- that were finished and queued again, at another time. The arrays run in step.
update embedding_jobs j
set run_at = now() + make_interval(secs => %(seconds)s)
from unnest(
    %(tenant_ids)s::text[], %(message_ids)s::uuid[], %(attempts)s::integer[], %(enqueued_ats)s::timestamptz[]
) as held (tenant_id, message_id, attempts, enqueued_at)
where j.tenant_id = held.tenant_id and j.message_id = held.message_id
    and j.attempts = held.attempts and j.enqueued_at = held.enqueued_at
returning j.tenant_id, j.message_id;

-- name: jobs.postpone
-- Puts jobs back, due again after `seconds`.
update embedding_jobs
set run_at = now() + make_interval(secs => %(seconds)s)
where tenant_id = %(tenant_id)s and message_id = any(%(message_ids)s);

-- name: jobs.finish
-- Ends jobs and marks their messages as embedded or failed; those that retention has taken away keep their mark.
with done as (
    delete from embedding_jobs
    where tenant_id = %(tenant_id)s and message_id = any(%(message_ids)s)
)
update messages
set embedding_status = %(status)s, updated_at = now()
where tenant_id = %(tenant_id)s and id = any(%(message_ids)s) and embedding_status = 'pending';

-- name: jobs.contents
-- The texts of messages that wait for an embedding.
select id, content from messages
where tenant_id = %(tenant_id)s and id = any(%(message_ids)s) and embedding_status = 'pending';

-- name: jobs.again
-- Marks embedded messages as pending and queues them; those in the archive keep their mark.
with again as (
    update messages
    set embedding_status = 'pending', updated_at = now()
    where tenant_id = %(tenant_id)s and id = any(%(message_ids)s) and embedding_status = 'completed'
    returning tenant_id, id
)
insert into embedding_jobs (tenant_id, message_id)
select tenant_id, id from again
on conflict do nothing;
