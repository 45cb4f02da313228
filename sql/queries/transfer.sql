-- name: transfer.page
-- Of the next `limit` messages of a tenant after `after`, by their ids, those that pass and are not expired; and in each
-- row, `last_id` of the last that was looked at. No row: there are no more. So a page is as much work whatever passes.
-- Fewer are looked at where the texts of those before are `most_bytes` long: one at least.
with looked as materialized (
    select *
    from (
        select *, sum(octet_length(content)) over (order by id rows unbounded preceding) - octet_length(content)
            as bytes_before
        from (
            select {{messages.columns}}
            from messages
            where tenant_id = %(tenant_id)s and id > %(after)s
            order by id
            limit %(limit)s
        ) as next
    ) as page
    where bytes_before < %(most_bytes)s
)
select last.id as last_id, m.*
from (select id from looked order by id desc limit 1) as last
left join looked m on (m.expires_at is null or m.expires_at > now()) and {filter}
order by m.id;

-- name: transfer.vectors
-- The vectors that a model made of some messages, in the order of their windows.
select message_id, embedding
from message_embeddings
where tenant_id = %(tenant_id)s and model_id = %(model_id)s and message_id = any(%(message_ids)s)
order by message_id, chunk;

-- name: transfer.insert_many
-- Stores messages as they were, but for those whose ids are taken; returns the ids of those that were stored, in no order.
-- The arrays run in step. In the order of the ids, so that two calls never wait for each other.
insert into messages (
    tenant_id, id, conversation_id, user_id, role, name, content, metadata, importance, embedding_status, created_at,
    updated_at, archived_at, pinned, expires_at, revision, language
)
select %(tenant_id)s, id, conversation_id, user_id, role, name, content, metadata, importance, embedding_status, created_at,
    now(), archived_at, pinned, expires_at, revision, language
from unnest(
    %(ids)s::uuid[], %(conversation_ids)s::text[], %(user_ids)s::text[], %(roles)s::text[], %(names)s::text[],
    %(contents)b::text[], %(metadatas)s::jsonb[], %(importances)s::double precision[], %(embedding_statuses)s::text[],
    %(created_ats)s::timestamptz[], %(archived_ats)s::timestamptz[], %(pinneds)s::boolean[],
    %(expires_ats)s::timestamptz[], %(revisions)s::integer[], %(languages)s::text[]
) as new (
    id, conversation_id, user_id, role, name, content, metadata, importance, embedding_status, created_at, archived_at,
    pinned, expires_at, revision, language
)
order by id
on conflict (tenant_id, id) do nothing
returning id;

-- name: transfer.archive_words
-- Marks the words of messages that were stored as archived ones, in the transaction that stores them.
update message_lexemes
set archived = true
where tenant_id = %(tenant_id)s and message_id = any(%(message_ids)s);

-- name: transfer.there
-- What a tenant has under some ids, expired or not; each looked up by itself, as in messages.get_many.
select found.*
from unnest(%(ids)s::uuid[]) as wanted (id)
cross join lateral (
    select {{messages.columns}}
    from messages m
    where m.tenant_id = %(tenant_id)s and m.id = wanted.id
    limit 1
) as found;

-- name: transfer.lock
-- The same, in the order of their ids: from here on nobody updates or deletes them until the transaction ends.
select {{messages.columns}}
from messages m
where m.tenant_id = %(tenant_id)s and m.id = any(%(ids)s)
order by m.id
for no key update;

-- name: transfer.revisions
-- What some messages were, after the revisions `afters` and before `befores`, the first first. The arrays run in step. No more
-- than `limit` of them, and fewer where the texts of those before are `most_bytes` long: one at least.
select *
from (
    select *, (sum(octet_length(content)) over (order by message_id, revision rows unbounded preceding)
        - octet_length(content))::bigint as bytes_before
    from (
        select r.*
        from unnest(%(message_ids)s::uuid[], %(afters)s::integer[], %(befores)s::integer[]) as wanted (id, after, before)
        cross join lateral (
            select message_id, revision, valid_from, valid_to, user_id, name, content, metadata, importance, pinned,
                expires_at
            from message_revisions
            where tenant_id = %(tenant_id)s and message_id = wanted.id
                and revision > wanted.after and revision < wanted.before
            order by revision
            limit %(limit)s
        ) as r
        order by r.message_id, r.revision
        limit %(limit)s
    ) as next
) as portion
where bytes_before < %(most_bytes)s
order by message_id, revision;

-- name: transfer.revision_vectors
-- The vectors that a model made of some revisions, in the order of their windows. The arrays run in step.
select found.*
from unnest(%(message_ids)s::uuid[], %(revisions)s::integer[]) as wanted (id, number)
cross join lateral (
    select message_id, revision, chunk, embedding
    from revision_embeddings
    where tenant_id = %(tenant_id)s and message_id = wanted.id and revision = wanted.number and model_id = %(model_id)s
) as found
order by found.message_id, found.revision, found.chunk;

-- name: transfer.fitting
-- Of further revisions of a message, given as arrays in step: whether each is there already (`known`), or fits between what
-- is there. Each is looked up by itself.
select new.revision, coalesce(own.valid_from = new.valid_from and own.valid_to = new.valid_to, false) as known,
    own.valid_from is null and coalesce(earlier.valid_to <= new.valid_from, true)
        and coalesce(later.valid_from >= new.valid_to, true) as fits
from unnest(%(revisions)s::integer[], %(valid_froms)s::timestamptz[], %(valid_tos)s::timestamptz[])
    as new (revision, valid_from, valid_to)
left join lateral (
    select valid_from, valid_to
    from message_revisions
    where tenant_id = %(tenant_id)s and message_id = %(id)s and revision = new.revision
) as own on true
left join lateral (
    select valid_to
    from message_revisions
    where tenant_id = %(tenant_id)s and message_id = %(id)s and revision < new.revision
    order by revision desc
    limit 1
) as earlier on true
left join lateral (
    select valid_from
    from message_revisions
    where tenant_id = %(tenant_id)s and message_id = %(id)s and revision > new.revision
    order by revision
    limit 1
) as later on true
order by new.revision;

-- name: transfer.insert_revisions
-- Stores what messages were, as they were. The arrays run in step.
insert into message_revisions (
    tenant_id, message_id, revision, valid_from, valid_to, user_id, name, content, metadata, importance,
    embedding_status, updated_at, pinned, expires_at
)
select %(tenant_id)s, message_id, revision, valid_from, valid_to, user_id, name, content, metadata, importance,
    embedding_status, valid_from, pinned, expires_at
from unnest(
    %(message_ids)s::uuid[], %(revisions)s::integer[], %(valid_froms)s::timestamptz[], %(valid_tos)s::timestamptz[],
    %(user_ids)s::text[], %(names)s::text[], %(contents)b::text[], %(metadatas)s::jsonb[],
    %(importances)s::double precision[], %(embedding_statuses)s::text[], %(pinneds)s::boolean[],
    %(expires_ats)s::timestamptz[]
) as new (
    message_id, revision, valid_from, valid_to, user_id, name, content, metadata, importance, embedding_status, pinned,
    expires_at
);

-- name: transfer.insert_revision_vectors
-- Stores their vectors, one element a window.
insert into revision_embeddings (tenant_id, message_id, revision, chunk, model_id, embedding)
select %(tenant_id)s, message_id, revision, chunk, %(model_id)s, embedding
from unnest(%(message_ids)s::uuid[], %(revisions)s::integer[], %(chunks)s::integer[], %(embeddings)b::halfvec[])
    as new (message_id, revision, chunk, embedding);
