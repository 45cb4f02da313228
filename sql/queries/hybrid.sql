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

-- name: hybrid.words
-- The words of a query as a text-search configuration makes them, each quoted as a tsquery.
select array(
    select '''' || replace(replace(lexeme, '\', '\\'), '''', '''''') || ''''
    from unnest(to_tsvector(%(config)s::text::regconfig, %(lexical_text)s::text))
) as words;

-- name: hybrid.columns
-- What the hybrid score over the live memory is made of; the columns are described at hybrid.gathered.
with lexemes as (
    {{hybrid.lexemes}}
), vectors as (
    {{hybrid.vectors}}
)
{{hybrid.gathered}};

-- name: hybrid.columns_with_archive
-- What the hybrid score over the live memory and the archive is made of; the columns are described at hybrid.gathered.
with lexemes as (
    {{hybrid.lexemes}}
    union all
    {{hybrid.archived_lexemes}}
), vectors as (
    {{hybrid.vectors}}
    union all
    {{hybrid.archived_vectors}}
)
{{hybrid.gathered}};

-- name: hybrid.rest
-- How often each of a query's words stands in the further rows of long messages; and in the first row, above the 31 that
-- hybrid.columns counts to.
select message_id, word - 1 as word, occurrences - case when part = 0 then 31 else 0 end as occurrences
from unnest(%(message_ids)s::uuid[]) as long_messages (message_id)
cross join lateral (
    select part, lexemes
    from message_lexemes l
    where l.tenant_id = %(tenant_id)s and l.message_id = long_messages.message_id and l.config = %(config)s
    union all
    select 0, lexemes
    from (
        {{hybrid.archived_lexemes}}
            and id = long_messages.message_id
    ) as archived
    where %(include_archived)s::boolean
    offset 0  -- looked up one by one, as in messages.get_many
) as rest
join unnest(%(words)s::tsquery[]) with ordinality as words (query, word) on lexemes @@ query
cross join lateral (select ts_rank_cd('{1,1,1,1}', lexemes, query)::integer as occurrences) as counted
where part > 0 or occurrences > 31;

-- name: hybrid.fellows
-- For messages whose words were never stored by this text-search configuration: the conversation of each, and another
-- message of it whose words were, if there is one.
select id as message_id, conversation_id, (
        select fellow
        from (
            select message_id as fellow, created_at
            from message_lexemes l
            where l.tenant_id = %(tenant_id)s and l.config = %(config)s and l.part = 0
                and l.conversation_id = m.conversation_id
            union all
            select id, created_at
            from archived_messages a
            where a.tenant_id = %(tenant_id)s and a.conversation_id = m.conversation_id
                and %(include_archived)s::boolean
        ) as fellows
        where created_at <= coalesce(%(as_of)s::timestamptz, 'infinity')
        limit 1
    ) as fellow
from messages m
where tenant_id = %(tenant_id)s and id = any (%(message_ids)s::uuid[]);

-- name: hybrid.speaker
-- A part of hybrid.columns, `{speaker}` there, where the query asks what somebody said.
| case when name = any (%(speaker_names)s::text[]) then 1048576 when name is null then 2097152 else 0 end;

-- name: hybrid.flags
-- A part of hybrid.columns, `{flags}` there, where there is a filter, or a role is asked for.
, string_agg(
    int2send((({{hybrid.passes}})::integer + 2 * (role = any (%(speaker_roles)s::text[]))::integer)::smallint), ''
) as flags;

-- name: hybrid.counts
-- A part of hybrid.columns, `{counts}` and `{further}` there: how often a turn holds some of the query's words, 5 bits each;
-- most turns hold none, and most others repeat none of theirs.
case
    when lexemes @@ %(any_word)s::tsquery then case when length(lexemes) = length then {held} else {repeated} end
    else 0
end;

-- name: hybrid.held
-- A part of hybrid.counts, for one word that a turn holds once or not at all.
(case when lexemes @@ {word}::tsquery then 1::bigint << {shift} else 0 end);

-- name: hybrid.repeated
-- The same for a word that it may hold oftener: the cover density of a single word is its number.
(case
    when lexemes @@ {word}::tsquery
        then least(31, ts_rank_cd(array[1, 1, 1, 1]::real[], lexemes, {word}::tsquery))::bigint << {shift}
    else 0
end);

-- fragment: hybrid.lexemes
-- The words of the live messages. message_lexemes_scan alone answers this, conversation by conversation.
select conversation_id, created_at, message_id, name, parts, length, lexemes
    from message_lexemes
    where tenant_id = %(tenant_id)s
        and config = %(config)s
        and part = 0
        and created_at <= coalesce(%(as_of)s::timestamptz, 'infinity')

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
        and created_at <= coalesce(%(as_of)s::timestamptz, 'infinity')

-- fragment: hybrid.vectors
-- The windows of the live messages. message_embeddings_scan alone answers this. A conversation's best lies in it, so one
-- is enough if one is asked for.
select message_id, chunk, created_at, created_epoch, conversation_id, role, importance, embedding
    from message_embeddings
    where tenant_id = %(tenant_id)s
        and model_id = %(model_id)s
        and created_at <= coalesce(%(as_of)s::timestamptz, 'infinity')
        and (%(conversation_id)s::text is null or conversation_id = %(conversation_id)s)

-- fragment: hybrid.archived_vectors
-- The windows of the archived messages.
select message_id, chunk, created_at, created_epoch, conversation_id, role, importance, embedding
    from archived_embeddings
    where tenant_id = %(tenant_id)s
        and model_id = %(model_id)s
        and created_at <= coalesce(%(as_of)s::timestamptz, 'infinity')
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

-- fragment: hybrid.passes
-- Whether a window may be found.
(%(importance_min)s::double precision is null or importance >= %(importance_min)s)
            and (%(role)s::text is null or role = %(role)s)
            and (%(created_after)s::timestamptz is null or created_at >= %(created_after)s)
            and (%(created_before)s::timestamptz is null or created_at < %(created_before)s)
            and (%(metadata)s::jsonb is null or message_id in ({{search.metadata_matches}}))
            and (%(candidate_limit)s::bigint is null or message_id in ({{hybrid.newest}}))

-- fragment: hybrid.gathered
-- One row of what was read of every message, as strings of records of numbers as Postgres sends them: ranking.fusion
-- makes scores of them. To take a row of every message through a join, a sort or a table in memory costs as much as its
-- distance; to put a record at the end of a string costs little.
--
-- sizes: int4, how many turns each conversation has. turns: a record a turn, conversation by conversation, in order:
-- uuid; int8, of which 20 bits are the length in words, then one for a speaker who is asked for, one where nobody says who
-- spoke (neither where nobody is asked for), one where the words of the message go on in further rows; above them how often
-- it holds each of the query's first 8 words, 5 bits a word, 31 where that is 31 or more; then an int8 for 12 more words each.
-- windows: a record a window, in any order: uuid; float8 importance; int8 time, in microseconds since 2000; float8
-- distance. flags, where there is a filter or a role is asked for: int2 a window, 1 where it may be found, and 2 where its
-- role is asked for.
--
-- Word statistics, turns before and the best of a conversation stay the tenant's, so that a filter changes no message's
-- relevance before it is divided by the best one that passes. as_of is the exception: what came later does not exist.
select turns.*, windows.*, timestamptz_send(coalesce(%(as_of)s::timestamptz, now())) as as_of
from (
    select string_agg(int4send(size), '' order by conversation_id) as sizes,
        string_agg(turns, '' order by conversation_id) as turns
    from (
        select conversation_id, count(*)::integer as size,
            string_agg(
                uuid_send(message_id)
                    || int8send(length::bigint | case when parts > 1 then 4194304 else 0 end {speaker} {counts}) {further},
                '' order by created_at, message_id
            ) as turns
        from lexemes
        group by conversation_id
    ) as conversations
) as turns
cross join (
    select string_agg(
            uuid_send(message_id) || float8send(importance) || timestamptz_send(created_at)
                || float8send(embedding <=> %(query)b::halfvec),
            ''
        ) as windows {flags}
    from vectors
) as windows
