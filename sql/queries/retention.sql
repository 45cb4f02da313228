-- name: retention.archive
-- Moves up to `batch_size` messages, with their embeddings, to the archive in one statement: older than max_age_days,
-- or less important than the threshold. Rows that another sweep holds are left to it.
with victims as (
    select tenant_id, id
    from messages
    where tenant_id = %(tenant_id)s
        and (created_at < %(now)s::timestamptz - make_interval(secs => %(max_age_days)s * 86400)
            or importance < %(importance_threshold)s)
    limit %(batch_size)s
    for update skip locked
), moved_embeddings as (
    delete from message_embeddings e
    using victims v
    where e.tenant_id = v.tenant_id and e.message_id = v.id
    returning e.tenant_id, e.message_id, e.chunk, e.model_id, e.created_at, e.importance, e.conversation_id, e.role,
        e.embedding
), moved as (
    delete from messages m
    using victims v
    where m.tenant_id = v.tenant_id and m.id = v.id
    returning m.tenant_id, m.id, m.conversation_id, m.role, m.name, m.content, m.metadata, m.importance,
        m.embedding_status, m.created_at, m.updated_at
), kept as (
    insert into archived_messages (
        tenant_id, id, conversation_id, role, name, content, metadata, importance, embedding_status, created_at,
        updated_at, archived_at
    )
    select moved.*, %(now)s from moved
    returning id
), kept_embeddings as (
    insert into archived_embeddings (
        tenant_id, message_id, chunk, model_id, created_at, importance, conversation_id, role, embedding
    )
    select * from moved_embeddings
)
select count(*) as archived from kept;

-- name: retention.delete
-- Deletes up to `batch_size` messages that were archived more than delete_after_days ago; their embeddings go with them.
with victims as (
    select tenant_id, id
    from archived_messages
    where tenant_id = %(tenant_id)s
        and archived_at < %(now)s::timestamptz - make_interval(secs => %(delete_after_days)s * 86400)
    limit %(batch_size)s
    for update skip locked
), gone as (
    delete from archived_messages a
    using victims v
    where a.tenant_id = v.tenant_id and a.id = v.id
    returning a.id
)
select count(*) as deleted from gone;

-- name: retention.count_archive
-- How many messages retention.archive would move, all batches together.
select count(*) as archived
from messages
where tenant_id = %(tenant_id)s
    and (created_at < %(now)s::timestamptz - make_interval(secs => %(max_age_days)s * 86400)
        or importance < %(importance_threshold)s);

-- name: retention.count_delete
-- How many messages retention.delete would delete, all batches together.
select count(*) as deleted
from archived_messages
where tenant_id = %(tenant_id)s
    and archived_at < %(now)s::timestamptz - make_interval(secs => %(delete_after_days)s * 86400);

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
