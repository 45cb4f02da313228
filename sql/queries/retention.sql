-- fragment: retention.too_old
-- What the policy wants out of search for its age.
created_at < %(now)s::timestamptz - make_interval(secs => %(max_age_days)s * 86400)

-- fragment: retention.unimportant
-- What it wants out of search for its importance.
importance < %(importance_threshold)s

-- fragment: retention.past_it
-- Messages that the policy wants out of search.
not pinned
        and ({{retention.too_old}}
            or {{retention.unimportant}})

-- fragment: retention.may_leave
-- Live messages that have not expired.
tenant_id = %(tenant_id)s
        and archived_at is null and (expires_at is null or expires_at > %(now)s::timestamptz)

-- fragment: retention.to_archive
-- Those of them that the policy wants out of search.
{{retention.may_leave}}
        and {{retention.past_it}}

-- fragment: retention.past_archive
-- Messages that were archived more than delete_after_days ago and not pinned since.
archived_at < %(now)s::timestamptz - make_interval(secs => %(delete_after_days)s * 86400) and not pinned

-- fragment: retention.expired
-- Messages that have expired.
expires_at <= %(now)s::timestamptz

-- fragment: retention.to_delete
-- Both.
tenant_id = %(tenant_id)s
        and ({{retention.past_archive}}
            or {{retention.expired}})

-- name: retention.archive_by_age
-- Of retention.archive: what goes for its age.
{{retention.too_old}};

-- name: retention.archive_by_importance
-- Of retention.archive: what goes for its importance.
{{retention.unimportant}};

-- name: retention.delete_by_archival
-- Of retention.delete: what goes for its time in the archive.
{{retention.past_archive}};

-- name: retention.delete_by_expiry
-- Of retention.delete: what has expired.
{{retention.expired}};

-- name: retention.archive
-- Archives up to `batch_size` messages that are `{due}`, in the order of `{place}`, from behind the last of the batch before:
-- they are marked, and so are their vectors and words. Rows that another sweep holds are left to it. A batch reads on in an
-- index of that order: one that looked for all that is due would make a sweep quadratic.
with victims as (
    select id, {place} as place
    from messages
    where {{retention.may_leave}} and not pinned and {due} and ({place}, id) > (%(after_place)s, %(after_id)s::uuid)
    order by {place}, id
    limit %(batch_size)s
    for update skip locked
), vectors as (
    update message_embeddings e
    set archived = true
    from victims v
    where e.tenant_id = %(tenant_id)s and e.message_id = v.id
), words as (
    update message_lexemes l
    set archived = true
    from victims v
    where l.tenant_id = %(tenant_id)s and l.message_id = v.id
), marked as (
    update messages m
    set archived_at = %(now)s
    from victims v
    where m.tenant_id = %(tenant_id)s and m.id = v.id
    returning v.place, v.id
), last_one as (
    select place, id from marked order by place desc, id desc limit 1
)
select count(*) as taken, (select place from last_one) as place, (select id from last_one) as id from marked;

-- name: retention.delete
-- Deletes up to `batch_size` messages that are `{due}`, in the order of `{place}`, and what there is of them elsewhere; their
-- vectors and words go with them. A batch reads on from the place of the last of the one before, where more may stand: a
-- sweep archives many at one moment. Request ids that are not kept outlast a message of the archive, as long as they would
-- have. Of one that has expired nothing is left but the digests that keep a retry from bringing it back.
with victims as (
    select tenant_id, id, coalesce({{retention.expired}}, false) as expired, {place} as place
    from messages
    where tenant_id = %(tenant_id)s and {due} and {place} >= %(after_place)s
    order by {place}
    limit %(batch_size)s
    for update skip locked
), noted as (
    insert into erased_messages (tenant_id, digest, kind)
    select tenant_id, erasure_digest('message', id, tenant_id), 'message' from victims where expired
    union all
    select k.tenant_id, erasure_digest('request', k.request_id, k.tenant_id), 'request'
    from idempotency_keys k
    join victims v on k.message_id = v.id
    where k.tenant_id = %(tenant_id)s and v.expired
    on conflict do nothing
), request_ids as (
    delete from idempotency_keys k
    using victims v
    where k.tenant_id = %(tenant_id)s and k.message_id = v.id and (k.kept or v.expired)
), jobs as (
    delete from embedding_jobs j
    using victims v
    where j.tenant_id = %(tenant_id)s and j.message_id = v.id
), backlog as (
    delete from reembedding_backlog b
    using victims v
    where b.tenant_id = %(tenant_id)s and b.message_id = v.id
), gone as (
    delete from messages m
    using victims v
    where m.tenant_id = %(tenant_id)s and m.id = v.id
    returning v.place
)
select count(*) as taken, max(place) as place, null::uuid as id from gone;

-- name: retention.count_archive
-- How many messages retention.archive would archive, all batches together.
select count(*) as archived
from messages
where {{retention.to_archive}};

-- name: retention.count_delete
-- How many messages retention.delete would delete, all batches together; and how many of them have expired.
select count(*) as deleted, count(*) filter (where expires_at <= %(now)s::timestamptz) as expired
from messages
where {{retention.to_delete}};

-- fragment: retention.simulated
-- Messages that count in a simulation: what was said later than its moment does not.
tenant_id = %(tenant_id)s and created_at <= %(said_by)s::timestamptz

-- name: retention.simulate
-- How many messages a sweep would archive and delete, and how many would stay live, by month and role: each is looked at once.
select to_char(month, 'YYYY-MM') as month, role, archived, deleted, kept
from (
    select month, role, (count(*) filter (where leaves))::integer as archived,
        (count(*) filter (where goes))::integer as deleted,
        (count(*) filter (where archived_at is null and not leaves and not goes))::integer as kept
    from (
        select date_trunc('month', created_at at time zone 'UTC') as month, role, archived_at,
            coalesce({{retention.to_archive}}, false) as leaves, coalesce({{retention.to_delete}}, false) as goes
        from messages
        where {{retention.simulated}}
    ) as looked_at
    group by month, role
) as counted
where archived + deleted + kept > 0
order by counted.month, role;

-- name: retention.sample_of_archive
-- Some messages that it would archive, the newest first.
select {{messages.columns}}
from messages
where {{retention.to_archive}} and {{retention.simulated}} and (expires_at is null or expires_at > now())
order by created_at desc, id desc
limit %(limit)s;

-- name: retention.sample_of_delete
-- Some messages that it would delete, the newest first. What has expired is shown to nobody.
select {{messages.columns}}
from messages
where {{retention.to_delete}} and {{retention.simulated}} and (expires_at is null or expires_at > now())
order by created_at desc, id desc
limit %(limit)s;

-- fragment: retention.to_restore
-- Archived messages `m` that pass a filter and have not expired; what is archived after `now` stays there.
m.tenant_id = %(tenant_id)s
        and archived_at >= %(archived_since)s::timestamptz
        and archived_at <= %(now)s::timestamptz and (expires_at is null or expires_at > %(now)s::timestamptz)
        and {filter}

-- name: retention.restore
-- Takes up to `batch_size` messages out of the archive, with their vectors and words, the oldest first; says how many of them
-- the policy would archive again, and which was the last. A batch goes on behind the last of the one before, so that all
-- together pass once over what the filter leaves out. That is not by `archived_at`, the same for all that a sweep archives.
with chosen as (
    select tenant_id, id, created_at, ({{retention.past_it}}) as is_past_it
    from messages m
    where {{retention.to_restore}} and (created_at, id) > (%(after_at)s::timestamptz, %(after_id)s::uuid)
    order by created_at, id
    limit %(batch_size)s
    for update
), vectors as (
    update message_embeddings e
    set archived = false
    from chosen c
    where e.tenant_id = %(tenant_id)s and e.message_id = c.id
), words as (
    update message_lexemes l
    set archived = false
    from chosen c
    where l.tenant_id = %(tenant_id)s and l.message_id = c.id
), marked as (
    update messages m
    set archived_at = null
    from chosen c
    where m.tenant_id = %(tenant_id)s and m.id = c.id
    returning c.created_at, c.id, c.is_past_it
), last_one as (
    select created_at, id from marked order by created_at desc, id desc limit 1
)
select count(*) as restored, count(*) filter (where is_past_it) as would_archive_again,
    (select created_at from last_one) as last_at, (select id from last_one) as last_id
from marked;

-- name: retention.count_restore
-- How many messages retention.restore would restore, all batches together, and archive again.
select count(*) as restored, count(*) filter (where {{retention.past_it}}) as would_archive_again
from messages m
where {{retention.to_restore}};

-- name: retention.begin_run
-- Notes that a scheduled sweep begins.
insert into retention_runs (status) values ('running') returning id;

-- name: retention.end_run
-- Notes how a scheduled sweep ended.
update retention_runs
set status = %(status)s, finished_at = now(), tenants = %(tenants)s, failed = %(failed)s, archived = %(archived)s,
    deleted = %(deleted)s
where id = %(id)s;

-- name: retention.last_run
-- The newest scheduled sweep. One that is still running without a lease was cut off: it failed.
select started_at,
    case when status = 'running' and not exists (
        select from leases where name = 'retention' and expires_at > now()
    ) then 'failed' else status end as status,
    archived, deleted, failed
from retention_runs
order by id desc
limit 1;

-- name: retention.seconds_since_last_run
-- How long ago the newest scheduled sweep began, by the database's clock; no row when there was none.
select date_part('epoch', clock_timestamp() - started_at) as seconds from retention_runs order by id desc limit 1;

-- name: retention.prune_runs
-- Keeps the last 1,000 notes of sweeps.
delete from retention_runs where id <= (select max(id) from retention_runs) - 1000;
