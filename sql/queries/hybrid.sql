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
-- The hybrid score over the live memory, best first; what it is made of stands at hybrid.ranking.
with lexemes as (
    {{hybrid.lexemes}}
), vectors as (
    {{hybrid.vectors}}
), {{hybrid.ranking}};

-- name: hybrid.search_with_archive
-- The hybrid score over the live memory and the archive, best first; what it is made of stands at hybrid.ranking.
with lexemes as (
    {{hybrid.lexemes}}
    union all
    {{hybrid.archived_lexemes}}
), vectors as (
    {{hybrid.vectors}}
    union all
    {{hybrid.archived_vectors}}
), {{hybrid.ranking}};

-- fragment: hybrid.lexemes
-- The words of the live messages. message_lexemes_scan alone answers this, conversation by conversation.
select conversation_id, created_at, message_id, name, parts, length, lexemes
    from message_lexemes
    where tenant_id = %(tenant_id)s
        and config = %(config)s
        and part = 0
        and (%(as_of)s::timestamptz is null or created_at <= %(as_of)s)

-- fragment: hybrid.archived_lexemes
-- The words of the archived messages, which are not stored but made when they are asked for.
select conversation_id, created_at, id, name, 1,
        (select coalesce(sum(cardinality(positions)), 0)::integer from unnest(lexemes)), lexemes
    from archived_messages
    cross join lateral (
        select to_tsvector(%(config)s::text::regconfig, content)
            || to_tsvector(%(config)s::text::regconfig, coalesce(name, '')) as lexemes
    ) as words
    where tenant_id = %(tenant_id)s
        and (%(as_of)s::timestamptz is null or created_at <= %(as_of)s)

-- fragment: hybrid.vectors
-- The windows of the live messages. message_embeddings_scan alone answers this. A conversation's best lies in it, so one
-- is enough if one is asked for.
select message_id, chunk, created_at, created_epoch, conversation_id, role, importance, embedding
    from message_embeddings
    where tenant_id = %(tenant_id)s
        and model_id = %(model_id)s
        and (%(as_of)s::timestamptz is null or created_at <= %(as_of)s)
        and (%(conversation_id)s::text is null or conversation_id = %(conversation_id)s)

-- fragment: hybrid.archived_vectors
-- The windows of the archived messages.
select message_id, chunk, created_at, created_epoch, conversation_id, role, importance, embedding
    from archived_embeddings
    where tenant_id = %(tenant_id)s
        and model_id = %(model_id)s
        and (%(as_of)s::timestamptz is null or created_at <= %(as_of)s)
        and (%(conversation_id)s::text is null or conversation_id = %(conversation_id)s)

-- fragment: hybrid.newest
-- The newest `candidate_limit` messages that pass the filters.
select message_id
                from (
                    select message_id, created_at from message_embeddings where chunk = 0 and {{search.filters}}
                    union all
                    select message_id, created_at
                    from archived_embeddings
                    where %(include_archived)s and chunk = 0 and {{search.filters}}
                ) as messages
                order by created_at desc, message_id
                limit %(candidate_limit)s

-- fragment: hybrid.ranking
-- From `lexemes` and `vectors` to hits. Filters choose what may be found: word statistics, turns before and the best of a
-- conversation stay the tenant's, so that a filter changes no message's relevance before it is divided by the best one
-- that passes. as_of is the exception: what came later does not exist. The best `scan_limit` windows are kept and their
-- messages returned; `windows` says how many were kept: fewer than scan_limit means that there are no more.
--
-- Sums of fractions are of numbers rounded to 2^-24 (previous and previous2 come rounded to 2^-16), which add up to the
-- same in any order: every plan gives the same bytes. Full joins, fenced by `offset 0` or a materialized step, stand where
-- left or inner ones would do: only a hash or a merge can do a full join, so that no wrong guess of a tenant's size makes
-- it a loop over ten thousand rows ten thousand times. Each step over every message costs about a tenth of the scan:
-- words are handled where they occur, and only `threads` and `terms` are as large as the tenant.
words as materialized (
    select word, ('''' || replace(replace(lexeme, '\', '\\'), '''', '''''') || '''')::tsquery as query
    from unnest(to_tsvector(%(config)s::text::regconfig, %(lexical_text)s::text))
        with ordinality as words (lexeme, positions, weights, word)
), threads as materialized (
    -- The conversations, each with its turns as arrays in step: a turn is a place in them, and the turn before it is the
    -- place before. Lexemes are kept only where one of the query's is among them.
    select row_number() over () as thread, ids, lengths, parts, longest, lexemes, speaks, length, cardinality(ids) as turns
    from (
        select array_agg(message_id order by created_at, message_id) as ids,
            array_agg(length order by created_at, message_id) as lengths,
            array_agg(parts order by created_at, message_id) as parts,
            array_agg(
                case when lexemes @@ (select string_agg(query::text, ' | ')::tsquery from words) then lexemes end
                order by created_at, message_id
            ) as lexemes,
            -- Whether one who is asked for speaks; null where nobody says who does.
            array_agg(name = any (%(speaker_names)s::text[]) order by created_at, message_id) filter (
                where cardinality(%(speaker_names)s::text[]) > 0 or cardinality(%(speaker_roles)s::text[]) > 0
            ) as speaks,
            max(parts) as longest, sum(length) as length
        from lexemes
        group by conversation_id
    ) as conversations
), corpus as materialized (
    -- How many messages there are, and how long they are with the shares of the turns before. No length, and no division
    -- by it, where no message has a word.
    select messages, nullif(length / messages, 0) as length
    from (
        select sum(turns) as messages,
            sum(
                length
                + %(previous)s * (length - lengths[turns])
                + %(previous2)s * (length - lengths[turns] - coalesce(lengths[turns - 1], 0))
            ) as length
        from threads
    ) as sums
), counts as materialized (
    -- How often each word stands in each message: once, where no word of the message is repeated; else the cover density
    -- of a single word is its number.
    select thread, turn, word,
        case
            when length(lexemes) = length then 1
            else ts_rank_cd('{1,1,1,1}', lexemes, query)::double precision
        end as occurrences
    from (
        select thread, turn, length, lexemes
        from (
            select thread, generate_subscripts(lexemes, 1) as turn, unnest(lengths) as length, unnest(lexemes) as lexemes
            from threads
        ) as all_turns
        where lexemes is not null
        union all
        select thread, turn, null, rest.lexemes
        from (
            select thread, generate_subscripts(ids, 1) as turn, unnest(ids) as id, unnest(parts) as parts
            from threads
            where longest > 1
        ) as long_turns
        cross join lateral (
            select lexemes
            from message_lexemes
            where tenant_id = %(tenant_id)s and message_id = long_turns.id and config = %(config)s and part > 0
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
        select word, count(thread) as frequency from words left join counts using (word) group by word
    ) as frequencies
    cross join corpus
), smoothed as (
    -- Each message's count of each word, and shares of those in the two turns before.
    select thread, turn, word, sum(occurrences) as tf
    from (
        select thread, turn, word, occurrences from counts
        union all
        select thread, turn + 1, word, %(previous)s * occurrences from counts
        union all
        select thread, turn + 2, word, %(previous2)s * occurrences from counts
    ) as shares
    group by thread, turn, word
), lexical as (
    -- BM25F, divided by the logarithm of the corpus that a rare word's weight grows with; and who speaks, where it is
    -- asked for.
    select message_id, bool_or(speaks) as speaks,
        sum(share) / (select ln(messages + 1::double precision) from corpus) as lexical
    from (
        select message_id, null::boolean as speaks,
            round(
                (select idf from rarity)[word] * tf * (%(k1)s + 1)
                / (tf + %(k1)s * (1 - %(b)s + %(b)s * length / (select length from corpus)))
                * 16777216
            ) / 16777216 as share
        from (
            select ids[turn] as message_id, word, tf,
                lengths[turn]
                + %(previous)s * coalesce(lengths[turn - 1], 0)
                + %(previous2)s * coalesce(lengths[turn - 2], 0) as length
            from threads
            full join smoothed using (thread)
            offset 0
        ) as places
        where tf is not null and message_id is not null
        union all
        select message_id, speaks, 0
        from (select unnest(ids) as message_id, unnest(speaks) as speaks from threads where speaks is not null) as turns
        where speaks or cardinality(%(speaker_roles)s::text[]) > 0
    ) as shares
    group by message_id
), terms as materialized (
    select message_id, chunk, created_at, created_epoch, conversation_id, importance, similarity, lexical,
        similarity + %(lexical_weight)s * coalesce(lexical, 0) as own,
        not isempty(%(date_ranges)s::tstzmultirange) and %(date_ranges)s::tstzmultirange @> created_at as date,
        coalesce(speaks, role = any (%(speaker_roles)s::text[])) as speaker,
        similarity is not null
            and (%(importance_min)s::double precision is null or importance >= %(importance_min)s)
            and (%(role)s::text is null or role = %(role)s)
            and (%(created_after)s::timestamptz is null or created_at >= %(created_after)s)
            and (%(created_before)s::timestamptz is null or created_at < %(created_before)s)
            and (%(metadata)s::jsonb is null or message_id in ({{search.metadata_matches}}))
            and (%(candidate_limit)s::bigint is null or message_id in ({{hybrid.newest}}))
            as passes
    from (
        select message_id, chunk, created_at, created_epoch, conversation_id, role, importance,
            {{search.similarity}} as similarity
        from vectors
        offset 0
    ) as windows
    full join lexical using (message_id)
), bests as materialized (
    -- Relevance grows with its own part where the others are equal: the best of each kind is enough to know the best.
    select conversation_id, date, speaker, passes, max(own) as own, count(*) filter (where chunk = 0) as messages
    from terms
    group by conversation_id, date, speaker, passes
), conversations as materialized (
    select conversation_id, max(own) as conversation from bests group by conversation_id
), best as materialized (
    select max(
            own + %(conversation_weight)s * conversation + %(date_weight)s * date::integer
                + %(speaker_weight)s * speaker::integer
        ) filter (where passes) as best_relevance,
        sum(messages) filter (where passes) as candidates
    from bests
    full join conversations using (conversation_id)
), kept as materialized (
    select *,
        %(similarity_weight)s * relevance + %(importance_weight)s * importance + %(decay_weight)s * decay as score
    from (
        select message_id, created_at, importance, similarity, lexical, conversation, date, speaker, raw_relevance,
            best_relevance,
            case when best_relevance > 0 then greatest(raw_relevance, 0) / best_relevance else 0 end as relevance,
            {{search.decay}} as decay
        from (
            select message_id, created_at, created_epoch, importance, similarity, lexical, conversation, date, speaker,
                passes,
                own + %(conversation_weight)s * conversation + %(date_weight)s * date::integer
                    + %(speaker_weight)s * speaker::integer as raw_relevance,
                (select best_relevance from best) as best_relevance
            from terms
            full join conversations using (conversation_id)
            offset 0
        ) as whole
        where passes
    ) as scored
    order by score desc, created_at desc, message_id
    limit %(scan_limit)s
), hits as (
    -- A message is as similar as its most similar window.
    select distinct on (message_id) * from kept order by message_id, score desc
)
select message_id, score, relevance, raw_relevance, best_relevance, similarity, coalesce(lexical, 0) as lexical,
    conversation, date, speaker, importance, decay, (select candidates from best)::bigint as candidates,
    (select count(*) from kept) as windows
from hits
order by score desc, created_at desc, message_id
limit %(top_k)s
