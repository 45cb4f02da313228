-- fragment: messages.columns
-- A message as the service holds it.
tenant_id, id, conversation_id, user_id, role, name, content, metadata, importance, embedding_status, created_at, updated_at,
    archived_at, pinned, expires_at, revision, language

-- name: messages.insert_many
-- Stores messages and returns their times, in no order. The arrays run in step; created_at null means now, and what is
-- given a time to live expires so long after now.
insert into messages (
    tenant_id, id, conversation_id, user_id, role, name, content, metadata, importance, embedding_status, created_at,
    updated_at, pinned, expires_at, language
)
select %(tenant_id)s, id, conversation_id, user_id, role, name, content, metadata, importance, embedding_status,
    coalesce(created_at, now()), now(), pinned, coalesce(expires_at, now() + make_interval(secs => ttl_seconds)), language
from unnest(
    %(ids)s::uuid[], %(conversation_ids)s::text[], %(user_ids)s::text[], %(roles)s::text[], %(names)s::text[],
    %(contents)b::text[], %(metadatas)s::jsonb[], %(importances)s::double precision[], %(embedding_statuses)s::text[],
    %(created_ats)s::timestamptz[], %(pins)s::boolean[], %(expires_ats)s::timestamptz[], %(ttls_seconds)s::integer[],
    %(languages)s::text[]
) as new (
    id, conversation_id, user_id, role, name, content, metadata, importance, embedding_status, created_at, pinned,
    expires_at, ttl_seconds, language
)
returning id, created_at, updated_at, expires_at;

-- name: messages.get
-- One message by its id, live or archived, in one of some tenants; null means any tenant. Said by as_of, and not expired then.
select {{messages.columns}}
from messages
where id = %(id)s and (%(tenant_ids)s::text[] is null or tenant_id = any(%(tenant_ids)s))
    and created_at <= coalesce(%(as_of)s::timestamptz, 'infinity')
    and (expires_at is null or expires_at > coalesce(%(as_of)s::timestamptz, now()))
limit 1;

-- name: messages.get_many
-- Messages of one tenant by their ids, live or archived and not expired, in no order. Each is looked up by itself, which `limit` sees to:
-- a plan that is kept is made for the average tenant, and where that has a handful of messages, all of a tenant's would be
-- read to find these.
select found.*
from unnest(%(ids)s::uuid[]) as wanted (id)
cross join lateral (
    select {{messages.columns}}
    from messages m
    where m.tenant_id = %(tenant_id)s and m.id = wanted.id and (m.expires_at is null or m.expires_at > now())
    limit 1
) as found;

-- name: messages.neighbours
-- Up to `turns` live messages before and after each of some messages, live or archived, in its conversation, oldest first: each
-- once, with the messages that it stands before and after.
select around.followed, around.preceded, found.*
from (
    select id, array_agg(given_id) filter (where is_before) as followed,
        array_agg(given_id) filter (where not is_before) as preceded
    from ({{messages.turns_around}}) as turns
    group by id
) as around
cross join lateral (  -- each by itself, as in messages.get_many
    select {{messages.columns}}
    from messages m
    where m.tenant_id = %(tenant_id)s and m.id = around.id
    limit 1
) as found
order by found.created_at, found.id;

-- name: messages.bytes_of_hits
-- What some messages take in an answer that repeats their neighbours at each: texts, metadata, and what every message has. A
-- text's length is known without reading it; metadata that is packed has to be unpacked.
select coalesce(sum(
        200 + octet_length(found.content) + case when pg_column_compression(found.metadata) is null
            then pg_column_size(found.metadata) else pg_column_size(found.metadata || '{}') end
    ), 0)::bigint as bytes
from (
    select id from unnest(%(ids)s::uuid[]) as wanted (id)
    union all
    select id from ({{messages.turns_around}}) as turns
) as wanted
cross join lateral (
    select content, metadata
    from messages m
    where m.tenant_id = %(tenant_id)s and m.id = wanted.id
    limit 1
) as found;

-- fragment: messages.turns_around
-- The ids of up to `turns` live messages before and after each of some messages, with that message's own.
select given.id as given_id, turns.id, (turns.created_at, turns.id) < (given.created_at, given.id) as is_before
    from unnest(%(ids)s::uuid[]) as wanted (id)
    cross join lateral (
        select id, conversation_id, created_at
        from messages m
        where m.tenant_id = %(tenant_id)s and m.id = wanted.id
        limit 1
    ) as given
    cross join lateral (
        (
            select id, created_at
            from messages
            where tenant_id = %(tenant_id)s and conversation_id = given.conversation_id
                and (created_at, id) < (given.created_at, given.id)
                and archived_at is null
                and (expires_at is null or expires_at > coalesce(%(as_of)s::timestamptz, now()))
            order by created_at desc, id desc
            limit %(turns)s
        )
        union all
        (
            select id, created_at
            from messages
            where tenant_id = %(tenant_id)s and conversation_id = given.conversation_id
                and (created_at, id) > (given.created_at, given.id)
                and archived_at is null
                and created_at <= coalesce(%(as_of)s::timestamptz, 'infinity')
                and (expires_at is null or expires_at > coalesce(%(as_of)s::timestamptz, now()))
            order by created_at, id
            limit %(turns)s
        )
    ) as turns
    where turns.created_at <= coalesce(%(as_of)s::timestamptz, 'infinity')

-- name: messages.tenants
-- Every tenant that has messages: whoever ever stored one has a vocabulary.
select v.tenant_id
from tenant_vocabularies v
where exists (select from messages m where m.tenant_id = v.tenant_id)
order by v.tenant_id;
