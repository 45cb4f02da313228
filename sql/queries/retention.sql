-- fragment: retention.to_archive
-- Live messages that the policy takes out of search: older than max_age_days, or less important than the threshold.
tenant_id = %(tenant_id)s
        and archived_at is null and not pinned and (expires_at is null or expires_at > %(now)s::timestamptz)
        and (created_at < %(now)s::timestamptz - make_interval(secs => %(max_age_days)s * 86400)
            or importance < %(importance_threshold)s)

-- fragment: retention.to_delete
-- Messages that were archived more than delete_after_days ago and not pinned since, and those that have expired.
tenant_id = %(tenant_id)s
        and (archived_at < %(now)s::timestamptz - make_interval(secs => %(delete_after_days)s * 86400) and not pinned
            or expires_at <= %(now)s::timestamptz)

-- name: retention.archive
-- Archives up to `batch_size` messages: they are marked, and so are their vectors and words. Rows that another sweep holds
-- are left to it.
with victims as (
    select tenant_id, id
    from messages
    where {{retention.to_archive}}
    limit %(batch_size)s
    for update skip locked
), vectors as (
    update message_embeddings e
    set archived = true
    from victims v
    where e.tenant_id = v.tenant_id and e.message_id = v.id
), words as (
    update message_lexemes l
    set archived = true
    from victims v
    where l.tenant_id = v.tenant_id and l.message_id = v.id
), marked as (
    update messages m
    set archived_at = %(now)s
    from victims v
    where m.tenant_id = v.tenant_id and m.id = v.id
    returning m.id
)
select count(*) as archived from marked;

-- name: retention.delete
-- Deletes up to `batch_size` messages, and what there is of them elsewhere; their vectors and words go with them. Request
-- ids that are not kept outlast a message of the archive, as long as they would have. Of one that has expired nothing is
-- left but the digests that keep a retry from bringing it back.
with victims as (
    select tenant_id, id, coalesce(expires_at <= %(now)s::timestamptz, false) as expired
    from messages
    where {{retention.to_delete}}
    limit %(batch_size)s
    for update skip locked
), noted as (
    insert into erased_messages (tenant_id, digest, kind)
    select tenant_id, erasure_digest('message', id, tenant_id), 'message' from victims where expired
    union all
    select k.tenant_id, erasure_digest('request', k.request_id, k.tenant_id), 'request'
    from idempotency_keys k
    join victims v on k.tenant_id = v.tenant_id and k.message_id = v.id
    where v.expired
    on conflict do nothing
), request_ids as (
    delete from idempotency_keys k
    using victims v
    where k.tenant_id = v.tenant_id and k.message_id = v.id and (k.kept or v.expired)
), jobs as (
    delete from embedding_jobs j
    using victims v
    where j.tenant_id = v.tenant_id and j.message_id = v.id
), backlog as (
    delete from reembedding_backlog b
    using victims v
    where b.tenant_id = v.tenant_id and b.message_id = v.id
), gone as (
    delete from messages m
    using victims v
    where m.tenant_id = v.tenant_id and m.id = v.id
    returning m.id
)
select count(*) as deleted from gone;

-- name: retention.count_archive
-- How many messages retention.archive would archive, all batches together.
select count(*) as archived
from messages
where {{retention.to_archive}};

-- name: retention.count_delete
-- How many messages retention.delete would delete, all batches together.
select count(*) as deleted
from messages
where {{retention.to_delete}};

-- name: retention.begin_run
-- Notes that a scheduled sweep begins.
insert into retention_runs (status) values ('running') returning id;

-- name: retention.end_run
-- Notes how a scheduled sweep ended.
update retention_runs
set status = %(status)s, finished_at = now(), tenants = %(tenants)s, archived = %(archived)s, deleted = %(deleted)s
where id = %(id)s;

-- name: retention.last_run
-- The newest scheduled sweep. One that is still running without a lease was cut off: it failed.
select started_at,
    case when status = 'running' and not exists (
        select from leases where name = 'retention' and expires_at > now()
    ) then 'failed' else status end as status,
    archived, deleted
from retention_runs
order by id desc
limit 1;

-- name: retention.seconds_since_last_run
-- How long ago the newest scheduled sweep began, by the database's clock; no row when there was none.
select date_part('epoch', clock_timestamp() - started_at) as seconds from retention_runs order by id desc limit 1;

-- name: retention.prune_runs
-- Keeps the last 1,000 notes of sweeps.
delete from retention_runs where id <= (select max(id) from retention_runs) - 1000;
