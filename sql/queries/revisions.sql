-- name: revisions.lock
-- A message that is to be updated, live or archived and not expired, kept as it is until the transaction ends; and the time,
-- by which it was as it is until now: later than any before.
select {{messages.columns}},
    greatest(clock_timestamp(), (
        select max(valid_to) + interval '1 microsecond'
        from message_revisions r
        where r.tenant_id = %(tenant_id)s and r.message_id = m.id
    )) as now
from messages m
where m.tenant_id = %(tenant_id)s and m.id = %(id)s and (m.expires_at is null or m.expires_at > now())
for update;

-- name: revisions.keep
-- Keeps a message as it is as a revision that ends now.
insert into message_revisions (
    tenant_id, message_id, revision, valid_from, valid_to, user_id, name, content, metadata, importance,
    embedding_status, updated_at, pinned, expires_at
)
select tenant_id, id, revision, coalesce(
        (select max(r.valid_to) from message_revisions r where r.tenant_id = %(tenant_id)s and r.message_id = m.id),
        least(m.created_at, %(now)s::timestamptz)
    ), %(now)s::timestamptz, user_id, name, content, metadata, importance, embedding_status, updated_at, pinned, expires_at
from messages m
where m.tenant_id = %(tenant_id)s and m.id = %(id)s;

-- name: revisions.keep_vectors
-- Keeps its vectors.
insert into revision_embeddings (tenant_id, message_id, revision, chunk, model_id, embedding)
select tenant_id, message_id, %(revision)s, chunk, model_id, embedding
from message_embeddings
where tenant_id = %(tenant_id)s and message_id = %(id)s;

-- name: revisions.keep_words
-- Keeps its words.
insert into revision_lexemes (tenant_id, message_id, revision, config, part, parts, length, lexemes, cues)
select tenant_id, message_id, %(revision)s, config, part, parts, length, lexemes, cues
from message_lexemes
where tenant_id = %(tenant_id)s and message_id = %(id)s;

-- name: revisions.update
-- Makes a message what it is from now on.
update messages
set content = %(content)s, metadata = %(metadata)s, name = %(name)s, user_id = %(user_id)s, importance = %(importance)s,
    pinned = %(pinned)s, expires_at = %(expires_at)s, embedding_status = %(embedding_status)s, updated_at = %(now)s,
    revision = revision + 1
where tenant_id = %(tenant_id)s and id = %(id)s
returning {{messages.columns}};

-- name: revisions.remove_vectors
-- Removes the vectors of what a message said, and what waits to make some of it.
with jobs as (
    delete from embedding_jobs where tenant_id = %(tenant_id)s and message_id = %(id)s
), backlog as (
    delete from reembedding_backlog where tenant_id = %(tenant_id)s and message_id = %(id)s
)
delete from message_embeddings where tenant_id = %(tenant_id)s and message_id = %(id)s;

-- name: revisions.repeat
-- Has the vectors of a message repeat what it is now.
update message_embeddings e
set importance = m.importance, user_key = coalesce(text_key(m.user_id), 0), expires_at = coalesce(m.expires_at, 'infinity')
from messages m
where m.tenant_id = %(tenant_id)s and m.id = %(id)s and e.tenant_id = m.tenant_id and e.message_id = m.id;

-- name: revisions.remove_words
-- Removes the words of a message.
delete from message_lexemes where tenant_id = %(tenant_id)s and message_id = %(id)s;

-- name: revisions.archive_words
-- Has the words of an archived message, which were just stored, in the archive.
update message_lexemes set archived = true where tenant_id = %(tenant_id)s and message_id = %(id)s;

-- name: revisions.page
-- The revisions of a message before a place, the last first. `bytes_before` and `most_bytes` are as in listing.messages.
select r.tenant_id, m.id, m.conversation_id, r.user_id, m.role, r.name, r.content, r.metadata, r.importance,
    r.embedding_status, m.created_at, r.updated_at, m.archived_at, r.pinned, r.expires_at, r.revision, m.language,
    r.valid_from, r.valid_to, r.bytes_before
from (
    select *, (sum(octet_length(content)) over (order by revision desc rows unbounded preceding)
        - octet_length(content))::bigint as bytes_before
    from (
        select *
        from message_revisions
        where tenant_id = %(tenant_id)s and message_id = %(id)s and revision < %(before)s
        order by revision desc
        limit %(limit)s
    ) as page
) as r
join messages m on m.tenant_id = r.tenant_id and m.id = r.message_id
where m.tenant_id = %(tenant_id)s and m.id = %(id)s and r.bytes_before < %(most_bytes)s
order by r.revision desc;

-- name: revisions.any_since
-- Whether a message of a tenant was updated or archived after a moment.
select exists(
    select from message_revisions where tenant_id = %(tenant_id)s and valid_to > %(moment)s::timestamptz
) or exists(
    select from messages where tenant_id = %(tenant_id)s and archived_at > %(moment)s::timestamptz
) as found;

-- name: revisions.looked_back
-- A part that stands before a whole statement, `{statement}` here, and hides the tables behind what they were at a moment:
-- a message that was updated since is what its revision of that moment was, with the vectors and words of that revision, and
-- one that was archived since is live. Each kind is a branch of its own, so that conditions reach the indexes of the tables:
-- what is live is not asked whether it was archived since, and what was is read from the archive alone.
-- The two projections come first, so that `messages` is the table in them.
with earlier as materialized (
    select distinct on (message_id) *
    from message_revisions
    where tenant_id = %(tenant_id)s and valid_to > %(looked_back_to)s::timestamptz
    order by message_id, revision
), archived_since as materialized (
    select m.id
    from messages m
    where m.tenant_id = %(tenant_id)s and m.archived_at > %(looked_back_to)s::timestamptz
        and not exists (select from earlier r where r.message_id = m.id)
), message_embeddings as not materialized (
    select tenant_id, message_id, created_at, importance, conversation_key, user_key, expires_at, chunk, model_id, archived,
        role, embedding
    from message_embeddings e
    where tenant_id = %(tenant_id)s and not archived
        and not exists (select from earlier r where r.message_id = e.message_id)
    union all
    select tenant_id, message_id, created_at, importance, conversation_key, user_key, expires_at, chunk, model_id, true,
        role, embedding
    from message_embeddings e
    where tenant_id = %(tenant_id)s and archived
        and not exists (select from earlier r where r.message_id = e.message_id)
        and not exists (select from archived_since a where a.id = e.message_id)
    union all
    select e.tenant_id, e.message_id, e.created_at, e.importance, e.conversation_key, e.user_key, e.expires_at, e.chunk,
        e.model_id, false, e.role, e.embedding
    from archived_since a
    join message_embeddings e on e.tenant_id = %(tenant_id)s and e.archived and e.message_id = a.id
    union all
    select v.tenant_id, v.message_id, m.created_at, r.importance, text_key(m.conversation_id),
        coalesce(text_key(r.user_id), 0), coalesce(r.expires_at, 'infinity'), v.chunk, v.model_id,
        coalesce(m.archived_at <= %(looked_back_to)s::timestamptz, false), m.role::"char", v.embedding
    from earlier r
    join revision_embeddings v
        on v.tenant_id = %(tenant_id)s and v.message_id = r.message_id and v.revision = r.revision
    join messages m on m.tenant_id = %(tenant_id)s and m.id = r.message_id
), message_lexemes as not materialized (
    select tenant_id, message_id, config, part, conversation_id, created_at, name, parts, length, lexemes, archived,
        cues
    from message_lexemes l
    where tenant_id = %(tenant_id)s and not archived
        and not exists (select from earlier r where r.message_id = l.message_id)
    union all
    select tenant_id, message_id, config, part, conversation_id, created_at, name, parts, length, lexemes, true, cues
    from message_lexemes l
    where tenant_id = %(tenant_id)s and archived
        and not exists (select from earlier r where r.message_id = l.message_id)
        and not exists (select from archived_since a where a.id = l.message_id)
    union all
    select l.tenant_id, l.message_id, l.config, l.part, l.conversation_id, l.created_at, l.name, l.parts, l.length,
        l.lexemes, false, l.cues
    from archived_since a
    join message_lexemes l on l.tenant_id = %(tenant_id)s and l.archived and l.message_id = a.id
    union all
    select w.tenant_id, w.message_id, w.config, w.part, m.conversation_id, m.created_at, r.name, w.parts, w.length,
        w.lexemes, coalesce(m.archived_at <= %(looked_back_to)s::timestamptz, false), w.cues
    from earlier r
    join revision_lexemes w
        on w.tenant_id = %(tenant_id)s and w.message_id = r.message_id and w.revision = r.revision
    join messages m on m.tenant_id = %(tenant_id)s and m.id = r.message_id
), messages as not materialized (
    select {{messages.columns}}
    from messages m
    where tenant_id = %(tenant_id)s and not exists (select from earlier r where r.message_id = m.id)
        and (m.archived_at is null or m.archived_at <= %(looked_back_to)s::timestamptz)
    union all
    select m.tenant_id, m.id, m.conversation_id, m.user_id, m.role, m.name, m.content, m.metadata, m.importance,
        m.embedding_status, m.created_at, m.updated_at, null::timestamptz, m.pinned, m.expires_at, m.revision, m.language
    from messages m
    where m.tenant_id = %(tenant_id)s and not exists (select from earlier r where r.message_id = m.id)
        and m.archived_at > %(looked_back_to)s::timestamptz
    union all
    select m.tenant_id, m.id, m.conversation_id, r.user_id, m.role, r.name, r.content, r.metadata, r.importance,
        r.embedding_status, m.created_at, r.updated_at,
        case when m.archived_at <= %(looked_back_to)s::timestamptz then m.archived_at end, r.pinned, r.expires_at,
        r.revision, m.language
    from earlier r
    join messages m on m.tenant_id = %(tenant_id)s and m.id = r.message_id
)
select * from ({statement}) as statement;
