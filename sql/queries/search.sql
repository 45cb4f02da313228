-- fragment: search.filters
-- Which windows a search ranks; a filter that is null lets everything pass.
tenant_id = %(tenant_id)s
            and model_id = %(model_id)s
            and (%(as_of)s::timestamptz is null or created_at <= %(as_of)s)
            and (%(created_after)s::timestamptz is null or created_at >= %(created_after)s)
            and (%(created_before)s::timestamptz is null or created_at < %(created_before)s)
            and (%(importance_min)s::double precision is null or importance >= %(importance_min)s)
            and (%(conversation_id)s::text is null or conversation_id = %(conversation_id)s)
            and (%(role)s::text is null or role = %(role)s)
            and (%(metadata)s::jsonb is null or message_id in ({{search.metadata_matches}}))

-- fragment: search.metadata_matches
-- The messages whose metadata holds an object, and under each of some keys a value that reads as a given text.
select id
                from (
                    select id, metadata from messages where tenant_id = %(tenant_id)s
                    union all
                    select id, metadata from archived_messages
                    where tenant_id = %(tenant_id)s and %(include_archived)s
                ) as m
                where m.metadata @> %(metadata)s::jsonb and not exists (
                    select from unnest(%(metadata_keys)s::text[], %(metadata_texts)s::text[]) as wanted (key, value)
                    where m.metadata ->> wanted.key is distinct from wanted.value
                )

-- fragment: search.windows
-- The windows that pass the filters, archived ones only where they are asked for.
select message_id, chunk, created_at, importance, embedding
        from message_embeddings
        where {{search.filters}}
        union all
        select message_id, chunk, created_at, importance, embedding
        from archived_embeddings
        where %(include_archived)s
            and {{search.filters}}

-- fragment: search.terms
-- What the documented score is made of.
message_id, created_at, importance,
            1 - (embedding <=> %(query)s::halfvec) as similarity,
            -- Postgres refuses to underflow: past 13 years decay is 1e-304 instead of less.
            exp(-least(700, greatest(
                0, date_part('epoch', coalesce(%(as_of)s::timestamptz, now()) - created_at)
            ) / 86400 / 7)) as decay

-- name: search.semantic
-- The documented score over the whole memory that passes the filters. An index-only scan of message_embeddings_scan
-- scores every window; the best `scan_limit` windows are kept and their messages' best windows returned, best first.
-- `windows` says how many windows were kept: fewer than scan_limit means that there are no more.
with best as (
    select message_id, created_at, importance, similarity, decay,
        %(similarity_weight)s * similarity + %(importance_weight)s * importance + %(decay_weight)s * decay as score
    from (select {{search.terms}} from ({{search.windows}}) as windows) as candidates
    order by score desc, created_at desc, message_id
    limit %(scan_limit)s
), messages_best as (
    select distinct on (message_id) message_id, created_at, importance, similarity, decay, score
    from best
    order by message_id, score desc
)
select message_id, score, similarity, importance, decay, (select count(*) from best) as windows
from messages_best
order by score desc, created_at desc, message_id
limit %(top_k)s;

-- name: search.semantic_newest
-- The documented flow: as search.semantic, over the newest `candidate_limit` messages that pass the filters.
with windows as (
    {{search.windows}}
), newest as (
    select message_id
    from windows
    where chunk = 0
    order by created_at desc, message_id
    limit %(candidate_limit)s
), messages_best as (
    select distinct on (message_id) message_id, created_at, importance, similarity, decay,
        %(similarity_weight)s * similarity + %(importance_weight)s * importance + %(decay_weight)s * decay as score
    from (select {{search.terms}} from windows join newest using (message_id)) as candidates
    order by message_id, similarity desc
)
select message_id, score, similarity, importance, decay
from messages_best
order by score desc, created_at desc, message_id
limit %(top_k)s;

-- name: search.count
-- How many messages a search with these filters ranks.
select count(*) as candidates
from ({{search.windows}}) as windows
where chunk = 0;
