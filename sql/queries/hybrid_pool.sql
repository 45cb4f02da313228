-- fragment: hybrid_pool.passes
-- Whether a window passes the filters of a search, read where it stands: no list of what passes is made.
created_at <= coalesce(%(as_of)s::timestamptz, 'infinity')
        and created_at >= coalesce(%(created_after)s::timestamptz, '-infinity')
        and created_at < coalesce(%(created_before)s::timestamptz, 'infinity')
        and (%(importance_min)s::double precision is null or importance >= %(importance_min)s)
        and (%(role)s::text is null or role = %(role)s)
        and (%(metadata)s::jsonb is null or exists (
            select
            from messages m
            where m.tenant_id = %(tenant_id)s and m.id = message_id and m.metadata @> %(metadata)s::jsonb
                and not exists (
                    select from jsonb_each(%(metadata_texts)s::jsonb) as wanted (key, texts)
                    where (wanted.texts ? (m.metadata ->> wanted.key)) is not true
                )
        ))

-- fragment: hybrid_pool.speaks
-- Whether a window `w` is of a speaker whom the query names, by name, or by role where it has no name.
coalesce(
                (
                    select case when name is null then role = any (%(speaker_roles)s::text[])
                            else name = any (%(speaker_names)s::text[]) end
                    from message_lexemes l
                    where l.tenant_id = %(tenant_id)s and l.message_id = w.message_id and l.config = %(config)s
                        and l.part = 0
                ),
                role = any (%(speaker_roles)s::text[])
            )

-- fragment: hybrid_pool.rest
-- What a window's score has of importance and decay.
%(importance_weight)s * importance + %(decay_weight)s * {{search.decay}}

-- fragment: hybrid_pool.dated
-- Whether a window lies in the dates that a query names.
(not isempty(%(date_ranges)s::tstzmultirange) and %(date_ranges)s::tstzmultirange @> created_at)

-- fragment: hybrid_pool.best
-- The best of some `windows` by the score as far as it is known: all but words, the speaker, and the lift of a
-- conversation that another turn gives.
select message_id::text as message_id, conversation_id, similarity, rest, dated
from (
    select message_id, conversation_id, similarity, {{hybrid_pool.rest}} as rest,
        {{hybrid_pool.dated}} as dated
    from windows
) as known
order by %(per_relevance)s::double precision * (
        (1 + %(conversation_weight)s::double precision) * similarity + %(date_weight)s * dated::integer
    ) + rest desc, message_id
limit %(kept)s

-- name: hybrid_pool.words
-- The words of a query as the tenant's word index knows them: `frequency` is null for a word that it holds to be rare,
-- `messages` is null where there is no index; a query without words gives one row. Its statements are planned anew every
-- time, because only a plan that knows the tenant can use the tenant's own indexes; and a graph is left soon when hardly
-- anything passes the filters.
select words.word, words.lexeme, quoted, w.frequency::integer as frequency, s.messages::integer as messages,
    (s.length + %(previous)s * s.length1 + %(previous2)s * s.length2)::double precision / s.messages as average
from (
    select set_config('plan_cache_mode', 'force_custom_plan', true),
        set_config('hnsw.ef_search', %(graph_width)s::integer::text, true),
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

-- name: hybrid_pool.graph
-- The windows that the tenant's graph gives for a direction, nearest first; of all, or only those of the dates or the
-- speakers that the query names. Whether a named speaker speaks is told of the first few.
select message_id::text as message_id, conversation_id, similarity, {{hybrid_pool.rest}} as rest,
    {{hybrid_pool.dated}} as dated,
    case when %(speakers)s and number <= %(sample)s then {{hybrid_pool.speaks}} end as speaks
from (
    select *, row_number() over () as number
    from (
        select message_id, conversation_id, created_at, created_epoch, role, importance,
            1 - (embedding <=> %(query)b::halfvec) as similarity
        from message_embeddings w
        where tenant_id = %(tenant_id)s and model_id = %(model_id)s
            and {{hybrid_pool.passes}}
            and (not %(only_dated)s or %(date_ranges)s::tstzmultirange @> created_at)
            and (not %(only_spoken)s or {{hybrid_pool.speaks}})
        order by (
            (l2_normalize(embedding) || array[importance, sqrt(greatest(0, 1 - importance * importance))]::halfvec)
            ::halfvec({dimensions})
        ) <=> %(direction)b::halfvec
        limit %(graph_limit)s
    ) as nearest
) as w;

-- name: hybrid_pool.extents
-- How many windows lie in the dates that a query names, and how many messages its speakers said, each counted to a limit.
select (
        select count(*)
        from unnest(%(date_ranges)s::tstzmultirange) as ranges (range)
        cross join lateral (
            select
            from message_embeddings
            where tenant_id = %(tenant_id)s and model_id = %(model_id)s
                and created_at >= lower(range) and created_at < upper(range)
            limit %(dated_limit)s + 1
        ) as windows
    ) as dated,
    (
        select count(*)
        from (
            select
            from messages
            where tenant_id = %(tenant_id)s and name = any (%(speaker_names)s::text[])
            limit %(spoken_limit)s + 1
        ) as messages
    ) as spoken;

-- name: hybrid_pool.important
-- The most important messages: a graph may have no way to a few that are like no other.
with windows as (
    select windows.*
    from (
        select id
        from messages
        where tenant_id = %(tenant_id)s
        order by importance desc
        limit %(important_limit)s
    ) as weighty
    cross join lateral (
        select message_id, conversation_id, created_at, created_epoch, importance,
            1 - (embedding <=> %(query)b::halfvec) as similarity
        from message_embeddings
        where tenant_id = %(tenant_id)s and model_id = %(model_id)s and message_id = weighty.id
            and {{hybrid_pool.passes}}
        offset 0
    ) as windows
)
{{hybrid_pool.best}};

-- name: hybrid_pool.newest
-- The best of the newest windows, as far as their decay still counts.
with windows as (
    select message_id, conversation_id, created_at, created_epoch, importance,
        1 - (embedding <=> %(query)b::halfvec) as similarity
    from message_embeddings
    where tenant_id = %(tenant_id)s and model_id = %(model_id)s
        and {{hybrid_pool.passes}}
        and created_at > coalesce(%(as_of)s::timestamptz, now()) - make_interval(secs => %(newest_seconds)s)
    order by created_at desc
    limit %(newest_limit)s
)
{{hybrid_pool.best}};

-- name: hybrid_pool.dated
-- The best windows of the dates that a query names.
with windows as (
    select windows.*
    from unnest(%(date_ranges)s::tstzmultirange) as ranges (range)
    cross join lateral (
        select message_id, conversation_id, created_at, created_epoch, importance,
            1 - (embedding <=> %(query)b::halfvec) as similarity
        from message_embeddings
        where tenant_id = %(tenant_id)s and model_id = %(model_id)s
            and created_at >= lower(range) and created_at < upper(range)
            and {{hybrid_pool.passes}}
        offset 0
    ) as windows
)
{{hybrid_pool.best}};

-- name: hybrid_pool.spoken
-- The best windows of the speakers whom a query names.
with windows as (
    select windows.*
    from messages as said
    cross join lateral (
        select message_id, conversation_id, created_at, created_epoch, importance,
            1 - (embedding <=> %(query)b::halfvec) as similarity
        from message_embeddings
        where tenant_id = %(tenant_id)s and model_id = %(model_id)s and message_id = said.id
            and {{hybrid_pool.passes}}
        offset 0
    ) as windows
    where said.tenant_id = %(tenant_id)s and said.name = any (%(speaker_names)s::text[])
)
{{hybrid_pool.best}};

-- name: hybrid_pool.matched
-- The best of the messages that the word index finds, by their words and the score as far as it is known; and, in a row
-- of its own, in how many messages each word of the query stands.
with words as materialized (
    select query::tsquery as query, word, frequency
    from unnest(%(quoted)s::text[], %(frequencies)s::integer[]) with ordinality as words (query, frequency, word)
), matches as materialized (
    select message_id, length, lexemes, length(lexemes) = length as once
    from tenant_matches(%(config)s::text, %(match)s::text, %(as_of)s::timestamptz)
), counts as materialized (
    -- How often each word stands in each message: once, where no word of the message is repeated.
    select message_id, length, word,
        case when once then 1 else ts_rank_cd(array[1, 1, 1, 1]::real[], lexemes, query)::double precision end as tf
    from matches
    join words on lexemes @@ query
), rarity as materialized (
    select array_agg(frequency order by word) as frequencies,
        array_agg(
            ln(1 + (%(messages)s - frequency + 0.5::double precision) / (frequency + 0.5::double precision)) order by word
        ) as idf
    from (
        select word, least(%(messages)s, coalesce(words.frequency, count(message_id)))::integer as frequency
        from words
        left join counts using (word)
        group by word, words.frequency
    ) as frequencies
), texts as materialized (
    select message_id, sum(
        (select idf from rarity)[word] * tf * (%(k1)s + 1)
        / (tf + %(k1)s * (1 - %(b)s + %(b)s * length / %(average)s::double precision))
    ) / ln(%(messages)s + 1::double precision) as lexical
    from counts
    group by message_id
)
select null::text as message_id, null::text as conversation_id, null::double precision as similarity,
    null::double precision as rest, null::boolean as dated, null::double precision as lexical, frequencies
from rarity
union all
(
    select message_id::text, conversation_id, similarity, {{hybrid_pool.rest}} as rest,
        {{hybrid_pool.dated}}, lexical, null
    from texts
    cross join lateral (
        select conversation_id, created_at, created_epoch, importance,
            1 - (embedding <=> %(query)b::halfvec) as similarity
        from message_embeddings
        where tenant_id = %(tenant_id)s and model_id = %(model_id)s and message_id = texts.message_id
            and {{hybrid_pool.passes}}
        offset 0
    ) as windows
    order by %(per_relevance)s::double precision * (1 + %(conversation_weight)s::double precision)
            * (similarity + %(lexical_weight)s * lexical)
        + {{hybrid_pool.rest}} desc, message_id
    limit %(kept)s
);

-- name: hybrid_pool.rank
-- The hybrid score of a pool of messages, best first: ranking.fusion, term by term and rounded as it rounds, but that the
-- best of a conversation and the best of all are looked for among the pool, and that words are as rare as they are given.
-- The pool is the best of what was `found`, and the turns around the best of those: a turn lifts its conversation, and
-- hands a share of its words on to the two that follow.
with words as materialized (
    select query::tsquery as query, word,
        ln(1 + (%(messages)s - frequency + 0.5::double precision) / (frequency + 0.5::double precision)) as idf
    from unnest(%(quoted)s::text[], %(frequencies)s::integer[]) with ordinality as words (query, frequency, word)
), known as materialized (
    -- What was found, with its words and its speaker; `lexical` was known of what the word index gave.
    select found.message_id, texts.conversation_id, texts.created_at, promise,
        coalesce(name = any (%(speaker_names)s::text[]), false) as speaker,
        greatest(found.lexical, case when lexemes @@ %(any_word)s::tsquery then (
            select sum(idf * tf * (%(k1)s + 1)
                / (tf + %(k1)s * (1 - %(b)s + %(b)s * length / %(average)s::double precision)))
            from (
                select idf, case when length(lexemes) = length then 1 else
                    ts_rank_cd(array[1, 1, 1, 1]::real[], lexemes, query)::double precision end as tf
                from words
                where lexemes @@ query
            ) as counts
        ) / ln(%(messages)s + 1::double precision) end) as lexical
    from unnest(%(found)s::uuid[], %(promises)s::double precision[], %(lexicals)s::double precision[])
        as found (message_id, promise, lexical)
    cross join lateral (
        select conversation_id, created_at, name, length, lexemes
        from message_lexemes l
        where l.tenant_id = %(tenant_id)s and l.message_id = found.message_id and l.config = %(config)s and l.part = 0
        offset 0
    ) as texts
), places as materialized (
    select *, row_number() over (
            order by promise + %(per_relevance)s::double precision * (
                %(speaker_weight)s * speaker::integer
                + (1 + %(conversation_weight)s::double precision) * %(lexical_weight)s * lexical
            ) desc, message_id
        ) as place,
        row_number() over (order by lexical desc, message_id) as place_by_words
    from known
), turns as materialized (
    -- Stretches of conversations around the best: all turns that are ranked, and the two before the first of them.
    select place, turn, ranked, message_id, conversation_id, name, parts, length,
        length + %(previous)s * coalesce(lag(length, 1) over stretch, 0)
            + %(previous2)s * coalesce(lag(length, 2) over stretch, 0) as length_with_previous,
        lexemes
    from (
        select place, places.conversation_id, stretch.*,
            row_number() over (partition by place order by stretch.created_at, stretch.message_id) as turn
        from places
        cross join lateral (
            select case when place <= %(lifted)s then %(mates)s::bigint else 0 end as before,
                case when place <= %(lifted)s then %(mates)s
                    when place_by_words <= %(followed)s then 2 else 0 end as after
        ) as reach
        cross join lateral (
            (
                select message_id, created_at, name, parts, length,
                    case when lexemes @@ %(any_word)s::tsquery then lexemes end as lexemes,
                    row_number() over (order by created_at desc, message_id desc) <= before + 1 as ranked
                from message_lexemes
                where tenant_id = %(tenant_id)s and config = %(config)s and part = 0
                    and conversation_id = places.conversation_id
                    and (created_at, message_id) <= (places.created_at, places.message_id)
                order by created_at desc, message_id desc
                limit before + 3
            )
            union all
            (
                select message_id, created_at, name, parts, length,
                    case when lexemes @@ %(any_word)s::tsquery then lexemes end as lexemes, true
                from message_lexemes
                where tenant_id = %(tenant_id)s and config = %(config)s and part = 0
                    and conversation_id = places.conversation_id
                    and (created_at, message_id) > (places.created_at, places.message_id)
                    and created_at <= coalesce(%(as_of)s::timestamptz, 'infinity')
                order by created_at, message_id
                limit after
            )
        ) as stretch
        where place <= %(pool_limit)s or place_by_words <= %(followed)s
    ) as stretches
    window stretch as (partition by place order by turn)
), counts as materialized (
    -- How often each word stands in each turn: once, where no word of the turn is repeated.
    select place, turn, word, idf,
        case when once then 1 else ts_rank_cd(array[1, 1, 1, 1]::real[], lexemes, query)::double precision end as tf
    from (
        select place, turn, lexemes, length(lexemes) = length as once from turns where lexemes is not null
        union all
        select place, turn, rest.lexemes, false
        from turns
        cross join lateral (
            select lexemes
            from message_lexemes l
            where l.tenant_id = %(tenant_id)s and l.message_id = turns.message_id and l.config = %(config)s
                and l.part > 0
            offset 0
        ) as rest
        where parts > 1
    ) as texts
    join words on lexemes @@ query
), smoothed as (
    -- Each turn's count of each word, and shares of those in the two turns before.
    select place, turn, word, idf, sum(tf) as tf
    from (
        select place, turn, word, idf, tf from counts
        union all
        select place, turn + 1, word, idf, %(previous)s * tf from counts
        union all
        select place, turn + 2, word, idf, %(previous2)s * tf from counts
    ) as shares
    group by place, turn, word, idf
), lexical as materialized (
    select place, turn,
        sum(round(
            idf * tf * (%(k1)s + 1)
            / (tf + %(k1)s * (1 - %(b)s + %(b)s * length_with_previous / %(average)s::double precision))
            * 16777216
        ) / 16777216) / ln(%(messages)s + 1::double precision) as lexical
    from smoothed
    join turns using (place, turn)
    where ranked
    group by place, turn
), pool as materialized (
    select distinct on (message_id) message_id, name, coalesce(lexical, 0) as lexical
    from turns
    left join lexical using (place, turn)
    where ranked
    order by message_id
), vectors as materialized (
    select message_id, name, lexical, windows.*
    from pool
    cross join lateral (
        select any_value(created_at) as created_at, any_value(created_epoch) as created_epoch,
            any_value(conversation_id) as conversation_id,
            any_value(role) as role, any_value(importance) as importance,
            1 - min(embedding <=> %(query)b::halfvec) as similarity
        from message_embeddings e
        where e.tenant_id = %(tenant_id)s and e.message_id = pool.message_id and e.model_id = %(model_id)s
            and coalesce(created_at <= %(as_of)s::timestamptz, true)
    ) as windows
    where similarity is not null
), terms as materialized (
    select *, similarity + %(lexical_weight)s * lexical as own from vectors
), passing as materialized (
    select *,
        own + %(conversation_weight)s * conversation + %(date_weight)s * date::integer
            + %(speaker_weight)s * speaker::integer as relevance
    from (
        select *, max(own) over (partition by conversation_id) as conversation,
            %(date_ranges)s::tstzmultirange @> created_at as date,
            -- Not coalesce: nothing is equal to any of none, null neither.
            case when name is null then role = any (%(speaker_roles)s::text[])
                else name = any (%(speaker_names)s::text[]) end as speaker
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
