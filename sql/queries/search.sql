-- fragment: search.scope
-- The windows of a tenant. A bound that is null becomes an endless one, because the index can stop at that, where a
-- condition with `or` would be asked of every row.
tenant_id = %(tenant_id)s
            and model_id = %(model_id)s
            and created_at <= coalesce(%(as_of)s::timestamptz, 'infinity')

-- fragment: search.filters
-- Which windows a search ranks; a filter that is null lets everything pass.
{{search.scope}}
            and created_at >= coalesce(%(created_after)s::timestamptz, '-infinity')
            and created_at < coalesce(%(created_before)s::timestamptz, 'infinity')
            and (%(importance_min)s::double precision is null or importance >= %(importance_min)s)
            and (%(conversation_id)s::text is null or conversation_id = %(conversation_id)s)
            and (%(role)s::text is null or role = %(role)s)
            and (%(metadata)s::jsonb is null or message_id in ({{search.metadata_matches}}))

-- fragment: search.newest
-- The same, of windows whose decay still counts.
{{search.filters}}
            and created_at > coalesce(%(as_of)s::timestamptz, now()) - make_interval(secs => %(newest_seconds)s)

-- fragment: search.metadata_matches
-- The messages whose metadata holds an object, and under each of some keys a value that reads as one of given texts.
select id
                from (
                    select id, metadata from messages where tenant_id = %(tenant_id)s
                    union all
                    select id, metadata from archived_messages
                    where tenant_id = %(tenant_id)s and %(include_archived)s
                ) as m
                where m.metadata @> %(metadata)s::jsonb and not exists (
                    select from jsonb_each(%(metadata_texts)s::jsonb) as wanted (key, texts)
                    where (wanted.texts ? (m.metadata ->> wanted.key)) is not true
                )

-- fragment: search.similarity
-- Cosine of the query and a window.
(1 - (embedding <=> %(query)b::halfvec))

-- fragment: search.decay
-- exp(-age in days / 7), of an age of 0 at least. Postgres refuses to underflow: past 13 years it is 1e-304 instead of
-- less. The sub-select is worked out once, not once a row.
exp(greatest(-700, least(0, created_epoch - (
            select date_part('epoch', coalesce(%(as_of)s::timestamptz, now()))
        )) / 604800))

-- fragment: search.score
-- The documented score of a window.
%(similarity_weight)s * {{search.similarity}} + %(importance_weight)s * importance
            + %(decay_weight)s * {{search.decay}}

-- fragment: search.messages
-- The best messages among the windows that were kept (`best`), each by its best window, with the parts of its score:
-- they are worked out again for these few, because carrying them through the sort of all costs more.
select message_id, score, similarity, importance, decay, (select count(*) from best) as windows
from (
    select distinct on (message_id) best.message_id, best.created_at, score, similarity, importance, decay
    from best
    cross join lateral (
        select {{search.similarity}} as similarity, importance, {{search.decay}} as decay
        from message_embeddings w
        where w.tenant_id = %(tenant_id)s and w.model_id = %(model_id)s
            and w.message_id = best.message_id and w.chunk = best.chunk
        union all
        select {{search.similarity}}, importance, {{search.decay}}
        from archived_embeddings w
        where %(include_archived)s and w.tenant_id = %(tenant_id)s and w.model_id = %(model_id)s
            and w.message_id = best.message_id and w.chunk = best.chunk
    ) as parts
    order by message_id, score desc, chunk
) as messages_best
order by score desc, created_at desc, message_id
limit %(top_k)s

-- name: search.semantic
-- The documented score over the whole memory. An index-only scan of message_embeddings_scan scores every window; the best
-- `scan_limit` windows are kept and their messages' best windows returned, best first. `windows` says how many windows
-- were kept: fewer than scan_limit means that there are no more. The scan_limit-th best of the newest few is a floor that
-- the best of all do not go below. Most windows would stay below it were they new: they are neither scored nor sorted.
with floor as materialized (
    select score
    from (
        select {{search.score}} as score
        from message_embeddings
        where {{search.scope}}
        order by created_at desc, message_id desc
        limit %(newest)s
    ) as newest
    order by score desc
    offset %(scan_limit)s - 1
    limit 1
), best as materialized (
    select message_id, chunk, created_at, {{search.score}} as score, importance, created_epoch, embedding
    from message_embeddings
    where {{search.scope}}
        and %(similarity_weight)s * {{search.similarity}} + %(importance_weight)s * importance + %(decay_weight)s
            >= coalesce((select score from floor), '-infinity')
    order by score desc, created_at desc, message_id, chunk
    limit %(scan_limit)s
)
select message_id, score, {{search.similarity}} as similarity, importance, {{search.decay}} as decay,
    (select count(*) from best) as windows
from (select distinct on (message_id) * from best order by message_id, score desc, chunk) as messages_best
order by score desc, created_at desc, message_id
limit %(top_k)s;

-- name: search.semantic_filtered
-- The same over what passes the filters, archived messages too if asked for.
with best as materialized (
    select message_id, chunk, created_at, score
    from (
        select message_id, chunk, created_at, {{search.score}} as score
        from message_embeddings
        where {{search.filters}}
        union all
        select message_id, chunk, created_at, {{search.score}} as score
        from archived_embeddings
        where %(include_archived)s
            and {{search.filters}}
    ) as candidates
    order by score desc, created_at desc, message_id, chunk
    limit %(scan_limit)s
)
{{search.messages}};

-- name: search.pooled
-- The documented score over a pool of a large tenant's windows that pass the filters: from its graph, the `pool` best by
-- similarity and importance together; and the newest, which the graph cannot know, as far as their decay still counts and
-- not more than `newest`: of those, what is as good as the best of the graph. `windows` says how many the graph gave: fewer
-- than `pool` means that the filters leave so few that a scan is due. `candidates` is counted where `is_counted` asks for it.
with graph as materialized (
    select message_id, created_at, {{search.similarity}} as similarity, importance, {{search.decay}} as decay
    from message_embeddings
    where {{search.filters}}
    order by (
        (l2_normalize(embedding) || array[importance, sqrt(greatest(0, 1 - importance * importance))]::halfvec)
        ::halfvec({dimensions})
    ) <=> %(graph_query)b::halfvec
    limit %(pool)s
), graph_best as materialized (
    select *, %(similarity_weight)s * similarity + %(importance_weight)s * importance + %(decay_weight)s * decay as score
    from graph
), floor as materialized (
    select coalesce((
        select max(score) as score from graph_best group by message_id order by score desc offset %(top_k)s - 1 limit 1
    ), '-infinity') as score
), newest_best as materialized (
    -- Most would stay below the floor were they new: their decay is not worked out.
    select message_id, created_at, {{search.similarity}} as similarity, importance, {{search.decay}} as decay,
        {{search.score}} as score
    from (
        select message_id, created_at, created_epoch, importance, embedding
        from message_embeddings
        where {{search.newest}}
        order by created_at desc, message_id desc
        limit %(newest)s
    ) as newest
    where %(similarity_weight)s * {{search.similarity}} + %(importance_weight)s * importance + %(decay_weight)s
            >= (select score from floor)
        and {{search.score}} >= (select score from floor)
)
select message_id, score, similarity, importance, decay, (select count(*) from graph) as windows,
    case when %(is_counted)s then (
        select count(*)
        from (
            select message_id from graph
            union
            (
                select message_id
                from message_embeddings
                where {{search.newest}}
                order by created_at desc, message_id desc
                limit %(newest)s
            )
        ) as messages
    ) end as candidates
from (
    select distinct on (message_id) *
    from (select * from graph_best union all select * from newest_best) as windows
    order by message_id, score desc
) as messages_best
order by score desc, created_at desc, message_id
limit %(top_k)s;

-- name: search.semantic_newest
-- The documented flow: as search.semantic, over the newest `candidate_limit` messages that pass the filters.
with windows as (
    select message_id, chunk, created_at, importance, created_epoch, embedding
    from message_embeddings
    where {{search.filters}}
    union all
    select message_id, chunk, created_at, importance, created_epoch, embedding
    from archived_embeddings
    where %(include_archived)s
        and {{search.filters}}
), newest as (
    select message_id
    from windows
    where chunk = 0
    order by created_at desc, message_id
    limit %(candidate_limit)s
), best as materialized (
    select message_id, chunk, created_at, {{search.score}} as score from windows join newest using (message_id)
)
{{search.messages}};

-- name: search.count
-- How many messages a search with these filters ranks.
select count(*) as candidates
from (
    select chunk from message_embeddings where {{search.filters}}
    union all
    select chunk from archived_embeddings where %(include_archived)s and {{search.filters}}
) as windows
where chunk = 0;
