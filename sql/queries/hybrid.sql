-- name: lexical.insert_many
-- Stores the words of messages, given as arrays of equal length; words already stored stay. Call it in the transaction
-- that inserts the messages. Words longer than 255 bytes are left out: nobody asks for one.
with given as materialized (
    select message_id, conversation_id, created_at, name,
        to_tsvector(%(config)s::text::regconfig, content)
            || to_tsvector(%(config)s::text::regconfig, coalesce(name, '')) as lexemes
    from unnest(
        %(message_ids)s::uuid[], %(conversation_ids)s::text[], %(created_ats)s::timestamptz[], %(names)s::text[],
        %(contents)s::text[]
    ) as messages (message_id, conversation_id, created_at, name, content)
), words as (
    select message_id, lexeme, cardinality(positions) as occurrences, octet_length(lexeme) <= 255 as kept,
        -- By the size of their entries in a tsvector: 900 bytes leave room in the index for the longest identifiers.
        sum(12 + octet_length(lexeme) + 2 * cardinality(positions))
            filter (where octet_length(lexeme) <= 255) over (partition by message_id order by lexeme) / 900 as part
    from given, unnest(lexemes)
), sizes as (
    select message_id, sum(occurrences) as length, max(part) as last_part, bool_and(kept) as kept
    from words
    group by message_id
), split as (
    select given.*, part, coalesce(last_part, 0) + 1 as parts, coalesce(length, 0) as length,
        last_part > 0 or not kept as shared
    from given
    left join sizes using (message_id)
    cross join lateral generate_series(0, coalesce(last_part, 0)) as numbers (part)
)
insert into message_lexemes (
    tenant_id, message_id, config, part, conversation_id, created_at, name, parts, length, lexemes
)
select %(tenant_id)s, message_id, %(config)s, part, conversation_id, created_at, name, parts, length,
    case
        when shared then ts_delete(lexemes, array(
            select lexeme from words w where w.message_id = s.message_id and (w.part is distinct from s.part or not kept)
        ))
        else lexemes
    end
from split s
on conflict do nothing;

-- name: lexical.participants
-- Who speaks in a tenant: every name once, and the roles of messages that have none; and the database's time.
with recursive names as (
    (select name from messages where tenant_id = %(tenant_id)s and name is not null order by name limit 1)
    union all
    select (
        select m.name
        from messages m
        where m.tenant_id = %(tenant_id)s and m.name > names.name
        order by m.name
        limit 1
    )
    from names
    where names.name is not null
)
select now() as now,
    array(select name from names where name is not null limit %(limit)s::integer) as names,
    array(
        select role
        from (values ('assistant'), ('system'), ('user')) as roles (role)
        where exists (
            select from messages m where m.tenant_id = %(tenant_id)s and m.name is null and m.role = roles.role
        )
    ) as roles;

-- name: hybrid.search
-- The hybrid score over the whole memory, best first. Filters choose what may be found: word statistics, turns before
-- and the best of a conversation stay the tenant's, so that a filter changes no message's relevance before it is divided
-- by the best one that passes. as_of is the exception: what came later does not exist. Sums of fractions are of numbers
-- rounded to 2^-24 (previous and previous2 come rounded to 2^-16), which add up to the same in any order: every plan
-- gives the same bytes. Full joins stand where left ones would do, on sides that match: only a hash or a merge can do a
-- full join, so that no wrong guess of a tenant's size makes it a loop over ten thousand rows ten thousand times.
with words as materialized (
    select word, ('''' || replace(replace(lexeme, '\', '\\'), '''', '''''') || '''')::tsquery as query
    from unnest(to_tsvector(%(config)s::text::regconfig, %(lexical_text)s::text))
        with ordinality as words (lexeme, positions, weights, word)
), turns as materialized (
    -- The tenant's messages, each with the two turns that follow it in its conversation. `length` holds shares of the
    -- turns before, as the counts of words will. Lexemes are kept only where one of the query's is among them.
    select message_id, name, parts, next1, next2, lexemes,
        length + %(previous)s * length1 + %(previous2)s * length2 as length
    from (
        select message_id, name, parts, length,
            lead(message_id, 1) over conversation as next1,
            lead(message_id, 2) over conversation as next2,
            lag(length, 1, 0) over conversation as length1,
            lag(length, 2, 0) over conversation as length2,
            case when lexemes @@ (select string_agg(query::text, ' | ')::tsquery from words) then lexemes end as lexemes
        from (
            select message_id, conversation_id, created_at, name, parts, length, lexemes
            from message_lexemes
            where tenant_id = %(tenant_id)s
                and config = %(config)s
                and part = 0
                and coalesce(created_at <= %(as_of)s::timestamptz, true)
            union all
            select id, conversation_id, created_at, name, 1,
                (select coalesce(sum(cardinality(positions)), 0)::integer from unnest(lexemes)), lexemes
            from archived_messages
            cross join lateral (
                select to_tsvector(%(config)s::text::regconfig, content)
                    || to_tsvector(%(config)s::text::regconfig, coalesce(name, '')) as lexemes
            ) as words
            where %(include_archived)s
                and tenant_id = %(tenant_id)s
                and coalesce(created_at <= %(as_of)s::timestamptz, true)
        ) as messages
        window conversation as (partition by conversation_id order by created_at, message_id)
    ) as neighbours
), corpus as materialized (
    -- No length, and no division by it, where no message has a word.
    select count(*) as messages, nullif(sum(length) / count(*), 0) as length from turns
), counts as materialized (
    -- How often each word stands in each message: the cover density of a single word is its number.
    select message_id, next1, next2, word, ts_rank_cd('{1,1,1,1}', lexemes, query)::double precision as occurrences
    from (
        select message_id, next1, next2, lexemes from turns where lexemes is not null
        union all
        select message_id, next1, next2, rest.lexemes
        from turns
        cross join lateral (
            select lexemes
            from message_lexemes
            where tenant_id = %(tenant_id)s and message_id = turns.message_id and config = %(config)s and part > 0
        ) as rest
        where parts > 1
    ) as matching
    join words on lexemes @@ query
), rarity as materialized (
    -- Each word's inverse document frequency, by its number.
    select array_agg(
        ln(1 + (messages - frequency + 0.5::double precision) / (frequency + 0.5::double precision)) order by word
    ) as idf
    from (
        select word, count(message_id) as frequency from words left join counts using (word) group by word
    ) as frequencies
    cross join corpus
), smoothed as (
    -- Each message's count of each word, and shares of those in the two turns before.
    select message_id, word, sum(occurrences) as tf
    from (
        select message_id, word, occurrences from counts
        union all
        select next1, word, %(previous)s * occurrences from counts where next1 is not null
        union all
        select next2, word, %(previous2)s * occurrences from counts where next2 is not null
    ) as shares
    group by message_id, word
), lexical as (
    -- BM25F, divided by the logarithm of the corpus that a rare word's weight grows with.
    select message_id, any_value(name) as name,
        sum(round(
            (select idf from rarity)[word] * tf * (%(k1)s + 1)
            / (tf + %(k1)s * (1 - %(b)s + %(b)s * length / (select length from corpus)))
            * 16777216
        ) / 16777216) / (select ln(messages + 1::double precision) from corpus) as lexical
    from turns
    full join smoothed using (message_id)
    group by message_id
), vectors as (
    -- A message is as similar as its most similar window. A conversation's best lies in it, so one is enough if one is
    -- asked for.
    select created_at, message_id, any_value(conversation_id) as conversation_id, any_value(role) as role,
        any_value(importance) as importance, 1 - min(embedding <=> %(query)s::halfvec) as similarity
    from (
        select created_at, message_id, conversation_id, role, importance, embedding
        from message_embeddings
        where tenant_id = %(tenant_id)s
            and model_id = %(model_id)s
            and coalesce(created_at <= %(as_of)s::timestamptz, true)
            and (%(conversation_id)s::text is null or conversation_id = %(conversation_id)s)
        union all
        select created_at, message_id, conversation_id, role, importance, embedding
        from archived_embeddings
        where %(include_archived)s
            and tenant_id = %(tenant_id)s
            and model_id = %(model_id)s
            and coalesce(created_at <= %(as_of)s::timestamptz, true)
            and (%(conversation_id)s::text is null or conversation_id = %(conversation_id)s)
    ) as windows
    group by created_at, message_id
    order by created_at desc, message_id
), terms as materialized (
    select message_id, created_at, conversation_id, role, importance, similarity, name,
        coalesce(lexical, 0) as lexical,
        similarity + %(lexical_weight)s * coalesce(lexical, 0) as own
    from vectors
    full join lexical using (message_id)
), conversations as (
    select conversation_id, max(own) as conversation from terms group by conversation_id
), passing as materialized (
    select *,
        own + %(conversation_weight)s * conversation + %(date_weight)s * date::integer
            + %(speaker_weight)s * speaker::integer as relevance
    from (
        select terms.*, conversation,
            %(date_ranges)s::tstzmultirange @> created_at as date,
            coalesce(name = any (%(speaker_names)s::text[]), role = any (%(speaker_roles)s::text[])) as speaker
        from terms
        full join conversations using (conversation_id)
        offset 0
    ) as whole
    where similarity is not null
        and (%(importance_min)s::double precision is null or importance >= %(importance_min)s)
        and (%(role)s::text is null or role = %(role)s)
        and (%(created_after)s::timestamptz is null or created_at >= %(created_after)s)
        and (%(created_before)s::timestamptz is null or created_at < %(created_before)s)
        and (%(metadata)s::jsonb is null or message_id in ({{search.metadata_matches}}))
), ranked as (
    select *
    from passing
    where %(candidate_limit)s::bigint is null or message_id in (
        select message_id from passing order by created_at desc, message_id limit %(candidate_limit)s
    )
), best as materialized (
    select max(relevance) as best_relevance, count(*) as candidates from ranked
), scored as (
    select message_id, similarity, lexical, conversation, date, speaker, relevance as raw_relevance,
        case when best_relevance > 0 then greatest(relevance, 0) / best_relevance else 0 end as relevance,
        importance,
        -- Postgres refuses to underflow: past 13 years decay is 1e-304 instead of less.
        exp(-least(700, greatest(
            0, date_part('epoch', coalesce(%(as_of)s::timestamptz, now()) - created_at)
        ) / 86400 / 7)) as decay,
        created_at, best_relevance, candidates
    from ranked
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
