-- fragment: hybrid_pool.passes
-- Whether a window passes the filters of a search, read where it stands: no list of what passes is made.
(%(as_of)s::timestamptz is null or created_at <= %(as_of)s)
        and (%(created_after)s::timestamptz is null or created_at >= %(created_after)s)
        and (%(created_before)s::timestamptz is null or created_at < %(created_before)s)
        and (%(importance_min)s::double precision is null or importance >= %(importance_min)s)
        and (%(role)s::text is null or role = %(role)s)
        and (%(metadata)s::jsonb is null or exists (
            select
            from messages m
            where m.tenant_id = %(tenant_id)s and m.id = message_id and m.metadata @> %(metadata)s::jsonb
                and not exists (
                    select from unnest(%(metadata_keys)s::text[], %(metadata_texts)s::text[]) as wanted (key, value)
                    where m.metadata ->> wanted.key is distinct from wanted.value
                )
        ))

-- fragment: hybrid_pool.window
-- A window, as the sources of the pool give it.
message_id, conversation_id, created_at, created_epoch, importance, 1 - (embedding <=> %(query)s::halfvec) as similarity

-- fragment: hybrid_pool.point
-- A window as a point of the tenant's graph: the expression that the graph is an index of.
(l2_normalize(embedding) || array[importance, sqrt(greatest(0, 1 - importance * importance))]::halfvec)
        ::halfvec({dimensions})

-- fragment: hybrid_pool.speaks
-- Whether a window is of a speaker whom the query names, by name, or by role where it has no name.
coalesce(
            (
                select name
                from message_lexemes l
                where l.tenant_id = %(tenant_id)s and l.message_id = w.message_id and l.config = %(config)s
                    and l.part = 0
            ) = any (%(speaker_names)s::text[]),
            role = any (%(speaker_roles)s::text[])
        )

-- fragment: hybrid_pool.promise
-- What a window's score comes to, as far as it is known: without words, a date and a speaker, and with `lift`, the best
-- of its conversation that is known.
(similarity + %(conversation_weight)s * greatest(similarity, lift)) * (select per_relevance from scale)
            + %(importance_weight)s * importance + %(decay_weight)s * {{search.decay}}

-- name: hybrid_pool.words
-- The words of a query as the tenant's word index knows them: `frequency` is null for a word that it holds to be rare,
-- `messages` is null where there is no index; a query without words gives one row. Its statements are planned anew every
-- time, because only a plan that knows the tenant can use the tenant's own indexes; and a graph is left soon when hardly
-- anything passes the filters.
select words.word, words.lexeme, quoted, w.frequency::integer as frequency, s.messages::integer as messages,
    (s.length + %(previous)s * s.length1 + %(previous2)s * s.length2)::double precision / s.messages as average
from (
    select set_config('plan_cache_mode', 'force_custom_plan', true),
        set_config('hnsw.ef_search', %(graph_limit)s::integer::text, true),
        set_config('hnsw.max_scan_tuples', %(most_tuples)s::integer::text, true)
) as settings
left join tenant_word_statistics s on s.tenant_id = %(tenant_id)s and s.config = %(config)s
left join (
    select word, lexeme, '''' || replace(replace(lexeme, '\', '\\'), '''', '''''') || '''' as quoted
    from unnest(to_tsvector(%(config)s::text::regconfig, %(lexical_text)s::text))
        with ordinality as words (lexeme, positions, weights, word)
) as words on true
left join tenant_words w on w.tenant_id = %(tenant_id)s and w.config = %(config)s and w.word = words.lexeme
order by words.word;

-- name: hybrid_pool.candidates
-- Who may be among the best: the pool, and how rare the query's words are. Every term has a source of its own, so that
-- none is blind: `nearest` and `important` come from the tenant's graph, `most_important` from an index of importance, `matched` from its word index, `newest`, `dated`
-- and `spoken` from the covering indexes and, where a date or a speaker covers too much to be read, from the graph again.
-- What they give is cut to the best by `promise`, the score as far as it is known here; conversations of the best are
-- then taken whole, or as far as they reach around the best turn, because it lifts all of them; and the turns after the
-- messages that hold the words, because they inherit a share of those.
with nearest as materialized (
    select {{hybrid_pool.window}}
    from message_embeddings
    where tenant_id = %(tenant_id)s and model_id = %(model_id)s
        and {{hybrid_pool.passes}}
    order by {{hybrid_pool.point}} <=> %(graph_query)s::halfvec
    limit %(graph_limit)s
), scale as materialized (
    -- What a point of relevance comes to in the score, if the nearest is about the best.
    select %(similarity_weight)s::double precision / greatest(
        0.1, (1 + %(conversation_weight)s) * max(similarity)
            + %(date_weight)s * (not isempty(%(date_ranges)s::tstzmultirange))::integer
            + %(speaker_weight)s * (cardinality(%(speaker_names)s::text[] || %(speaker_roles)s::text[]) > 0)::integer
    ) as per_relevance
    from nearest
), direction as materialized (
    -- Where the graph's best by similarity and importance together lie.
    select l2_normalize(%(query)s::halfvec) || array[
        least(1000, coalesce(
            %(importance_weight)s / nullif(per_relevance * (1 + %(conversation_weight)s), 0), 1000
        )), 0
    ]::halfvec as direction
    from scale
), important as materialized (
    select {{hybrid_pool.window}}
    from message_embeddings
    where tenant_id = %(tenant_id)s and model_id = %(model_id)s
        and {{hybrid_pool.passes}}
    order by {{hybrid_pool.point}} <=> (select direction from direction)
    limit %(graph_limit)s
), most_important as materialized (
    -- The graph may have no way to a few that are like no other.
    select {{hybrid_pool.window}}
    from (
        select id as message_id
        from messages
        where tenant_id = %(tenant_id)s
        order by importance desc
        limit %(important_limit)s
    ) as weighty
    join lateral (
        select *
        from message_embeddings w
        where w.tenant_id = %(tenant_id)s and w.model_id = %(model_id)s and w.message_id = weighty.message_id
    ) as windows using (message_id)
    where {{hybrid_pool.passes}}
), lifts as materialized (
    select conversation_id, max(similarity) as lift from nearest group by conversation_id
), newest as materialized (
    select message_id, conversation_id, created_at, created_epoch, importance, similarity
    from (
        select {{hybrid_pool.window}}
        from message_embeddings
        where tenant_id = %(tenant_id)s and model_id = %(model_id)s
            and {{hybrid_pool.passes}}
        order by created_at desc
        limit %(newest_limit)s
    ) as windows
    left join lifts using (conversation_id)
    order by {{hybrid_pool.promise}} desc, message_id
    limit %(kept)s
), dated_windows as materialized (
    select windows.*
    from unnest(%(date_ranges)s::tstzmultirange) as ranges (range)
    cross join lateral (
        select {{hybrid_pool.window}}
        from message_embeddings
        where tenant_id = %(tenant_id)s and model_id = %(model_id)s
            and created_at >= lower(range) and created_at < upper(range)
            and {{hybrid_pool.passes}}
        order by created_at desc
        limit %(dated_limit)s
    ) as windows
), dated as materialized (
    select message_id, conversation_id, created_at, created_epoch, importance, similarity
    from dated_windows
    left join lifts using (conversation_id)
    order by {{hybrid_pool.promise}} desc, message_id
    limit %(dated_kept)s
), dated_graph as materialized (
    select {{hybrid_pool.window}}
    from message_embeddings
    where tenant_id = %(tenant_id)s and model_id = %(model_id)s
        and %(date_ranges)s::tstzmultirange @> created_at
        and (select count(*) from dated_windows) >= %(dated_limit)s
        and {{hybrid_pool.passes}}
    order by {{hybrid_pool.point}} <=> (select direction from direction)
    limit %(kept)s
), spoken_graph as materialized (
    select {{hybrid_pool.window}}
    from message_embeddings w
    where tenant_id = %(tenant_id)s and model_id = %(model_id)s
        and cardinality(%(speaker_names)s::text[] || %(speaker_roles)s::text[]) > 0
        and {{hybrid_pool.speaks}}
        and {{hybrid_pool.passes}}
    order by {{hybrid_pool.point}} <=> (select direction from direction)
    limit %(kept)s
), spoken_few as materialized (
    select {{hybrid_pool.window}}
    from (
        select id, count(*) over () as said
        from (
            select id
            from messages
            where tenant_id = %(tenant_id)s and name = any (%(speaker_names)s::text[])
            limit %(spoken_limit)s + 1
        ) as first
        offset 0
    ) as said
    cross join lateral (
        select *
        from message_embeddings
        where tenant_id = %(tenant_id)s and model_id = %(model_id)s and message_id = said.id
    ) as windows
    where said <= %(spoken_limit)s
        and {{hybrid_pool.passes}}
), spoken as materialized (
    select message_id, conversation_id, created_at, created_epoch, importance, similarity
    from spoken_few
    left join lifts using (conversation_id)
    order by {{hybrid_pool.promise}} desc, message_id
    limit %(kept)s
), words as materialized (
    select query::tsquery as query, word, frequency
    from unnest(%(quoted)s::text[], %(frequencies)s::integer[]) with ordinality as words (query, frequency, word)
), matches as materialized (
    select message_id, conversation_id, created_at, length, lexemes
    from tenant_matches(%(config)s::text, %(match)s::text, %(as_of)s::timestamptz)
), counts as materialized (
    select message_id, length, word, ts_rank_cd(array[1, 1, 1, 1]::real[], lexemes, query)::double precision as tf
    from matches
    join words on lexemes @@ query
), rarity as materialized (
    -- Each word's inverse document frequency, by its number, as hybrid.search has it.
    select array_agg(
        ln(1 + (%(messages)s - frequency + 0.5::double precision) / (frequency + 0.5::double precision)) order by word
    ) as idf
    from (
        select word, least(%(messages)s, coalesce(words.frequency, count(message_id))) as frequency
        from words
        left join counts using (word)
        group by word, words.frequency
    ) as frequencies
), matched as materialized (
    select windows.*, lift
    from (
        select message_id, sum(
            (select idf from rarity)[word] * tf * (%(k1)s + 1)
            / (tf + %(k1)s * (1 - %(b)s + %(b)s * length / %(average)s::double precision))
        ) / ln(%(messages)s + 1::double precision) as lexical
        from counts
        group by message_id
    ) as texts
    cross join lateral (
        select {{hybrid_pool.window}}, texts.lexical
        from message_embeddings
        where tenant_id = %(tenant_id)s and model_id = %(model_id)s and message_id = texts.message_id
            and {{hybrid_pool.passes}}
    ) as windows
    left join lifts using (conversation_id)
    order by windows.lexical * (select per_relevance from scale) * %(lexical_weight)s * (1 + %(conversation_weight)s)
        + {{hybrid_pool.promise}} desc, message_id
    limit %(kept)s
), found as (
    select distinct on (message_id) *
    from (
        select * from nearest
        union all
        select * from important
        union all
        select * from most_important
        union all
        select * from newest
        union all
        select * from dated
        union all
        select * from dated_graph
        union all
        select * from spoken
        union all
        select * from spoken_graph
        union all
        select message_id, conversation_id, created_at, created_epoch, importance, similarity from matched
    ) as windows
    order by message_id, similarity desc
), known as materialized (
    select found.*, coalesce(name = any (%(speaker_names)s::text[]), false) as speaker,
        -- What was looked up knows the words of a long message that are not in its first part.
        greatest(coalesce(looked_up.lexical, 0), case when lexemes @@ %(any_word)s::tsquery then coalesce((
            select sum(
                (select idf from rarity)[word] * tf * (%(k1)s + 1)
                / (tf + %(k1)s * (1 - %(b)s + %(b)s * length / %(average)s::double precision))
            ) / ln(%(messages)s + 1::double precision)
            from (
                select word, ts_rank_cd(array[1, 1, 1, 1]::real[], lexemes, query)::double precision as tf
                from words
                where lexemes @@ query
            ) as counts
        ), 0) else 0 end) as lexical
    from found
    left join (
        select message_id, max(lexical) as lexical from matched group by message_id
    ) as looked_up using (message_id)
    left join lateral (
        select name, length, lexemes
        from message_lexemes l
        where l.tenant_id = %(tenant_id)s and l.message_id = found.message_id and l.config = %(config)s and l.part = 0
        offset 0
    ) as texts on true
), promising as materialized (
    select *, row_number() over (order by promise desc, message_id) <= %(pool_limit)s as kept,
        row_number() over (partition by conversation_id order by own desc, message_id) as place
    from (
        select *, {{hybrid_pool.promise}} + (select per_relevance from scale) * (
            %(lexical_weight)s * lexical
            + %(date_weight)s * (%(date_ranges)s::tstzmultirange @> created_at)::integer
            + %(speaker_weight)s * speaker::integer
        ) as promise
        from (
            select *, similarity + %(lexical_weight)s * lexical as own,
                max(similarity + %(lexical_weight)s * lexical) over (partition by conversation_id) as lift
            from known
        ) as lifted
    ) as promising
), heads as materialized (
    -- The best turn of each conversation that it lifts most, and how many turns to each side are taken of that.
    select conversation_id, created_at, message_id,
        case when row_number() over (order by own desc, message_id) <= %(conversations)s / 3 then %(mates)s
            else %(mates)s / 8 end as mates
    from promising
    where place = 1
    order by own desc, message_id
    limit %(conversations)s
)
select null::uuid as message_id, idf from rarity
union all
(
    select message_id, null::double precision[]
    from promising
    where kept or (place = 1 and conversation_id in (select conversation_id from promising where kept))
    union
    select mates.message_id, null
    from heads
    cross join lateral (
        (
            select message_id
            from message_lexemes
            where tenant_id = %(tenant_id)s and config = %(config)s and part = 0
                and conversation_id = heads.conversation_id
                and (created_at, message_id) < (heads.created_at, heads.message_id)
                and coalesce(created_at <= %(as_of)s::timestamptz, true)
            order by created_at desc, message_id desc
            limit heads.mates
        )
        union all
        (
            select message_id
            from message_lexemes
            where tenant_id = %(tenant_id)s and config = %(config)s and part = 0
                and conversation_id = heads.conversation_id
                and (created_at, message_id) > (heads.created_at, heads.message_id)
                and coalesce(created_at <= %(as_of)s::timestamptz, true)
            order by created_at, message_id
            limit heads.mates
        )
    ) as mates
    union
    select after.message_id, null
    from matched
    cross join lateral (
        select message_id
        from message_lexemes
        where tenant_id = %(tenant_id)s and config = %(config)s and part = 0
            and conversation_id = matched.conversation_id
            and (created_at, message_id) > (matched.created_at, matched.message_id)
            and coalesce(created_at <= %(as_of)s::timestamptz, true)
        order by created_at, message_id
        limit 2
    ) as after
);

-- name: hybrid_pool.rank
-- The hybrid score of a pool of messages, best first: hybrid.search, term by term and rounded as it rounds, but that the
-- best of a conversation and the best of all are looked for among the pool, and that words are as rare as they are given.
with words as materialized (
    select query::tsquery as query, idf, word
    from unnest(%(quoted)s::text[], %(idf)s::double precision[]) with ordinality as words (query, idf, word)
), pool as materialized (
    select message_id, first.conversation_id, first.created_at, first.name, first.parts, first.length, first.lexemes
    from unnest(%(pool)s::uuid[]) as pool (message_id)
    cross join lateral (
        select conversation_id, created_at, name, parts, length,
            case when lexemes @@ %(any_word)s::tsquery then lexemes end as lexemes
        from message_lexemes l
        where l.tenant_id = %(tenant_id)s and l.message_id = pool.message_id and l.config = %(config)s and l.part = 0
            and coalesce(created_at <= %(as_of)s::timestamptz, true)
        offset 0
    ) as first
), turns as materialized (
    -- Each message and the two before it in its conversation, with the share that each has in its words.
    select message_id, message_id as turn_id, 1::double precision as share, parts, length, lexemes from pool
    union all
    select pool.message_id, before.message_id, before.share, before.parts, before.length, before.lexemes
    from pool
    cross join lateral (
        select message_id, parts, length,
            case when lexemes @@ %(any_word)s::tsquery then lexemes end as lexemes,
            case row_number() over (order by created_at desc, message_id desc)
                when 1 then %(previous)s::double precision
                else %(previous2)s::double precision
            end as share
        from (
            select message_id, created_at, parts, length, lexemes
            from message_lexemes
            where tenant_id = %(tenant_id)s and config = %(config)s and part = 0
                and conversation_id = pool.conversation_id
                and (created_at, message_id) < (pool.created_at, pool.message_id)
            order by created_at desc, message_id desc
            limit 2
        ) as two
    ) as before
), lengths as (
    select message_id, sum(share * length) as length from turns group by message_id
), counts as materialized (
    select message_id, share, word, idf, ts_rank_cd(array[1, 1, 1, 1]::real[], lexemes, query)::double precision as tf
    from (
        select message_id, share, lexemes from turns where lexemes is not null
        union all
        select turns.message_id, share, rest.lexemes
        from turns
        cross join lateral (
            select lexemes
            from message_lexemes l
            where l.tenant_id = %(tenant_id)s and l.message_id = turns.turn_id and l.config = %(config)s
                and l.part > 0
            offset 0
        ) as rest
        where parts > 1
    ) as texts
    join words on lexemes @@ query
), smoothed as (
    select message_id, word, idf, sum(share * tf) as tf from counts group by message_id, word, idf
), lexical as materialized (
    select message_id,
        sum(round(
            idf * tf * (%(k1)s + 1)
            / (tf + %(k1)s * (1 - %(b)s + %(b)s * length / %(average)s::double precision))
            * 16777216
        ) / 16777216) / ln(%(messages)s + 1::double precision) as lexical
    from smoothed
    join lengths using (message_id)
    group by message_id
), vectors as materialized (
    select message_id, windows.*
    from unnest(%(pool)s::uuid[]) as pool (message_id)
    cross join lateral (
        select any_value(created_at) as created_at, any_value(created_epoch) as created_epoch,
            any_value(conversation_id) as conversation_id,
            any_value(role) as role, any_value(importance) as importance,
            1 - min(embedding <=> %(query)s::halfvec) as similarity
        from message_embeddings e
        where e.tenant_id = %(tenant_id)s and e.message_id = pool.message_id and e.model_id = %(model_id)s
            and coalesce(created_at <= %(as_of)s::timestamptz, true)
    ) as windows
    where similarity is not null
), terms as materialized (
    select message_id, vectors.created_at, created_epoch, vectors.conversation_id, role, importance, similarity, name,
        coalesce(lexical, 0) as lexical,
        similarity + %(lexical_weight)s * coalesce(lexical, 0) as own
    from vectors
    left join lexical using (message_id)
    left join pool using (message_id)
), passing as materialized (
    select *,
        own + %(conversation_weight)s * conversation + %(date_weight)s * date::integer
            + %(speaker_weight)s * speaker::integer as relevance
    from (
        select *, max(own) over (partition by conversation_id) as conversation,
            %(date_ranges)s::tstzmultirange @> created_at as date,
            coalesce(name = any (%(speaker_names)s::text[]), role = any (%(speaker_roles)s::text[])) as speaker
        from terms
    ) as whole
    where {{hybrid_pool.passes}}
), best as materialized (
    select max(relevance) as best_relevance, count(*) as candidates from passing
), scored as (
    select message_id, similarity, lexical, conversation, date, speaker, relevance as raw_relevance,
        case when best_relevance > 0 then greatest(relevance, 0) / best_relevance else 0 end as relevance,
        importance,
        {{search.decay}} as decay,
        created_at, best_relevance, candidates
    from passing
    cross join best
), hits as (
    select *, %(similarity_weight)s * relevance + %(importance_weight)s * importance + %(decay_weight)s * decay as score
    from scored
    order by score desc, created_at desc, message_id
    limit %(top_k)s
)
select message_id, score, relevance, raw_relevance, best_relevance, similarity, lexical, conversation, date, speaker,
    importance, decay, candidates
from hits
order by score desc, created_at desc, message_id;
