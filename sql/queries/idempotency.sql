-- name: idempotency.claim_many
-- Takes the request ids that nobody has taken, and returns those. Waits for a concurrent call that holds one of them;
-- in the order of the ids, so that two batches never wait for each other.
insert into idempotency_keys (tenant_id, request_id, body_digest, message_id, kept)
select %(tenant_id)s, request_id, body_digest, message_id, kept
from unnest(%(request_ids)s::uuid[], %(body_digests)s::bytea[], %(message_ids)s::uuid[], %(kept)s::boolean[])
    as new (request_id, body_digest, message_id, kept)
order by request_id
on conflict (tenant_id, request_id) do nothing
returning request_id;

-- name: idempotency.get_many
-- What is known of request ids.
select request_id, body_digest, message_id, kept
from idempotency_keys
where tenant_id = %(tenant_id)s and request_id = any(%(request_ids)s);

-- name: idempotency.keep_many
-- Has request ids kept as long as their messages, and takes those again that were forgotten meanwhile.
insert into idempotency_keys as known (tenant_id, request_id, body_digest, message_id, kept)
select %(tenant_id)s, request_id, body_digest, message_id, true
from unnest(%(request_ids)s::uuid[], %(body_digests)s::bytea[], %(message_ids)s::uuid[])
    as new (request_id, body_digest, message_id)
order by request_id
on conflict (tenant_id, request_id) do update set kept = true where not known.kept;

-- name: idempotency.expire
-- Forgets up to `batch_size` request ids that are older than the documented time, but for those that are kept.
delete from idempotency_keys
where (tenant_id, request_id) in (
    select tenant_id, request_id from idempotency_keys
    where created_at < now() - make_interval(secs => %(hours)s * 3600) and not kept
    limit %(batch_size)s
);
