-- name: search.semantic
-- The documented score over the whole memory that passes the filters. An index-only scan of message_embeddings_scan
-- scores every window; the best `scan_limit` windows are kept and their messages' best windows returned, best first.
-- `windows` says how many windows were kept: fewer than scan_limit means that there are no more.
with best as (
    select message_id, created_at, importance, similarity, decay,
        %(similarity_weight)s * similarity + %(importance_weight)s * importance + %(decay_weight)s * decay as score
    from (
        select message_id, created_at, importance,
            1 - (embedding <=> %(query)s::halfvec) as similarity,
            exp(-greatest(0, date_part('epoch', coalesce(%(as_of)s::timestamptz, now()) - created_at)) / 86400 / 7) as decay
        from message_embeddings
        where tenant_id = %(tenant_id)s
            and model_id = %(model_id)s
            and (%(as_of)s::timestamptz is null or created_at <= %(as_of)s)
            and (%(importance_min)s::double precision is null or importance >= %(importance_min)s)
            and (%(conversation_id)s::text is null or conversation_id = %(conversation_id)s)
    ) as candidates
    order by score desc, created_at desc, message_id
    limit %(scan_limit)s
), messages_best as (
    select distinct on (message_id) message_id, similarity, decay, score
    from best
    order by message_id, score desc
)
select m.id as message_id, b.score, b.similarity, b.decay, m.importance, m.conversation_id, m.role, m.name, m.content,
    m.metadata, m.created_at, (select count(*) from best) as windows
from messages_best b
join messages m on m.tenant_id = %(tenant_id)s and m.id = b.message_id
order by b.score desc, m.created_at desc, m.id
limit %(top_k)s;

-- name: search.semantic_newest
-- The documented flow: as search.semantic, over the newest `candidate_limit` messages that pass the filters.
with newest as (
    select message_id
    from message_embeddings
    where tenant_id = %(tenant_id)s
        and model_id = %(model_id)s
        and chunk = 0
        and (%(as_of)s::timestamptz is null or created_at <= %(as_of)s)
        and (%(importance_min)s::double precision is null or importance >= %(importance_min)s)
        and (%(conversation_id)s::text is null or conversation_id = %(conversation_id)s)
    order by created_at desc, message_id
    limit %(candidate_limit)s
), messages_best as (
    select distinct on (message_id) message_id, created_at, similarity, decay,
        %(similarity_weight)s * similarity + %(importance_weight)s * importance + %(decay_weight)s * decay as score
    from (
        select message_id, e.created_at, e.importance,
            1 - (e.embedding <=> %(query)s::halfvec) as similarity,
            exp(-greatest(0, date_part('epoch', coalesce(%(as_of)s::timestamptz, now()) - e.created_at)) / 86400 / 7) as decay
        from newest
        join message_embeddings e using (message_id)
        where e.tenant_id = %(tenant_id)s and e.model_id = %(model_id)s
    ) as candidates
    order by message_id, similarity desc
)
select m.id as message_id, b.score, b.similarity, b.decay, m.importance, m.conversation_id, m.role, m.name, m.content,
    m.metadata, m.created_at
from messages_best b
join messages m on m.tenant_id = %(tenant_id)s and m.id = b.message_id
order by b.score desc, m.created_at desc, m.id
limit %(top_k)s;

-- name: search.count
-- How many messages a search with these filters ranks.
select count(*) as candidates
from message_embeddings
where tenant_id = %(tenant_id)s
    and model_id = %(model_id)s
    and chunk = 0
    and (%(as_of)s::timestamptz is null or created_at <= %(as_of)s)
    and (%(importance_min)s::double precision is null or importance >= %(importance_min)s)
    and (%(conversation_id)s::text is null or conversation_id = %(conversation_id)s);
