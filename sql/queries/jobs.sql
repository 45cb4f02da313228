-- name: jobs.enqueue_many
-- Puts messages into the queue of those that wait for an embedding.
insert into embedding_jobs (tenant_id, message_id)
select %(tenant_id)s, message_id from unnest(%(message_ids)s::uuid[]) as new (message_id)
on conflict do nothing;

-- name: jobs.lease
-- Takes up to `limit` jobs that are due, the oldest first, for `seconds`; a worker that dies leaves them to the next.
update embedding_jobs
set attempts = attempts + 1, run_at = now() + make_interval(secs => %(seconds)s)
where (tenant_id, message_id) in (
    select tenant_id, message_id from embedding_jobs
    where run_at <= now()
    order by run_at
    limit %(limit)s
    for update skip locked
)
returning tenant_id, message_id, attempts;

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
