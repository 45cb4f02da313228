-- name: messages.insert_many
-- Stores messages and returns when, in no order. The arrays run in step; created_at null means now.
insert into messages (
    tenant_id, id, conversation_id, role, name, content, metadata, importance, embedding_status, created_at, updated_at
)
select %(tenant_id)s, id, conversation_id, role, name, content, metadata, importance, embedding_status,
    -- A microsecond apart, so that the turns of a batch keep their order.
    coalesce(created_at, now() + (place - 1) * interval '1 microsecond'), now() + (place - 1) * interval '1 microsecond'
from unnest(
    %(ids)s::uuid[], %(conversation_ids)s::text[], %(roles)s::text[], %(names)s::text[], %(contents)s::text[],
    %(metadatas)s::jsonb[], %(importances)s::double precision[], %(embedding_statuses)s::text[],
    %(created_ats)s::timestamptz[]
) with ordinality
    as new (id, conversation_id, role, name, content, metadata, importance, embedding_status, created_at, place)
returning id, created_at, updated_at;

-- name: messages.get
-- One message by its id, live or archived, in one of some tenants; null means any tenant.
select tenant_id, id, conversation_id, role, name, content, metadata, importance, embedding_status,
    created_at, updated_at, null::timestamptz as archived_at
from messages
where id = %(id)s and (%(tenant_ids)s::text[] is null or tenant_id = any(%(tenant_ids)s))
union all
select tenant_id, id, conversation_id, role, name, content, metadata, importance, embedding_status,
    created_at, updated_at, archived_at
from archived_messages
where id = %(id)s and (%(tenant_ids)s::text[] is null or tenant_id = any(%(tenant_ids)s))
limit 1;

-- name: messages.get_many
-- Messages of one tenant by their ids, live or archived, in no order. Each is looked up by itself, which `limit` sees to:
-- a plan that is kept is made for the average tenant, and where that has a handful of messages, all of a tenant's would be
-- read to find these.
select found.*
from unnest(%(ids)s::uuid[]) as wanted (id)
cross join lateral (
    (
        select tenant_id, id, conversation_id, role, name, content, metadata, importance, embedding_status,
            created_at, updated_at, null::timestamptz as archived_at
        from messages m
        where m.tenant_id = %(tenant_id)s and m.id = wanted.id
        limit 1
    )
    union all
    (
        select tenant_id, id, conversation_id, role, name, content, metadata, importance, embedding_status,
            created_at, updated_at, archived_at
        from archived_messages a
        where a.tenant_id = %(tenant_id)s and a.id = wanted.id
        limit 1
    )
) as found;

-- name: messages.neighbours
-- Up to `turns` live messages before and after each of some messages, live or archived, in its conversation, oldest first.
select given.id as neighbour_of, turns.created_at < given.created_at
        or turns.created_at = given.created_at and turns.id < given.id as is_before,
    turns.*
from unnest(%(ids)s::uuid[]) as wanted (id)
cross join lateral (  -- each by itself, as in messages.get_many
    (
        select id, conversation_id, created_at
        from messages m
        where m.tenant_id = %(tenant_id)s and m.id = wanted.id
        limit 1
    )
    union all
    (
        select id, conversation_id, created_at
        from archived_messages a
        where a.tenant_id = %(tenant_id)s and a.id = wanted.id
        limit 1
    )
) as given
cross join lateral (
    (
        select tenant_id, id, conversation_id, role, name, content, metadata, importance, embedding_status,
            created_at, updated_at, null::timestamptz as archived_at
        from messages
        where tenant_id = %(tenant_id)s and conversation_id = given.conversation_id
            and (created_at, id) < (given.created_at, given.id)
        order by created_at desc, id desc
        limit %(turns)s
    )
    union all
    (
        select tenant_id, id, conversation_id, role, name, content, metadata, importance, embedding_status,
            created_at, updated_at, null::timestamptz as archived_at
        from messages
        where tenant_id = %(tenant_id)s and conversation_id = given.conversation_id
            and (created_at, id) > (given.created_at, given.id)
        order by created_at, id
        limit %(turns)s
    )
) as turns
where %(as_of)s::timestamptz is null or turns.created_at <= %(as_of)s
order by given.id, turns.created_at, turns.id;

-- name: messages.tenants
-- Every tenant that has messages, live or archived, by jumping from one to the next in the indexes.
with recursive live as (
    (select tenant_id from messages order by tenant_id limit 1)
    union all
    select (select m.tenant_id from messages m where m.tenant_id > live.tenant_id order by m.tenant_id limit 1)
    from live where live.tenant_id is not null
), archived as (
    (select tenant_id from archived_messages order by tenant_id limit 1)
    union all
    select (select m.tenant_id from archived_messages m where m.tenant_id > archived.tenant_id
            order by m.tenant_id limit 1)
    from archived where archived.tenant_id is not null
)
select tenant_id from live where tenant_id is not null
union
select tenant_id from archived where tenant_id is not null
order by tenant_id;
