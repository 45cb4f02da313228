-- name: hybrid.words
-- The configuration of the tenant's vocabulary, and the words of a query as it makes them, 64 at most, the rarest first; a
-- query without words gives one row. Where the tenant has a word index: how often each stands in its messages (null: in so
-- few that they are counted when they are asked for), how many messages there are, and their average length with the shares
-- of the turns before. Where it has none, long words pass for rare.
select v.config, '''' || replace(replace(lexeme, '\', '\\'), '''', '''''') || '''' as quoted,
    w.frequency::integer as frequency, s.messages::integer as messages,
    (s.length + %(previous)s * s.length1 + %(previous2)s * s.length2)::double precision / nullif(s.messages, 0) as average
from (
    select coalesce(
            (select config from tenant_vocabularies where tenant_id = %(tenant_id)s), %(config)s::text
        ) as config
) as v
left join tenant_word_statistics s on s.tenant_id = %(tenant_id)s and s.config = v.config
left join unnest(text_lexemes(coalesce(%(text_config)s, v.config), %(words)s::text, %(others)s::text)) as words on true
left join tenant_words w on w.tenant_id = %(tenant_id)s and w.config = v.config and w.word = words.lexeme
order by w.frequency nulls first, length(lexeme) desc, lexeme
limit 64;

-- name: hybrid.all
-- What the hybrid score of a whole tenant is made of; the columns are described at hybrid.columns. Two index-only scans.
-- The strings come in pieces, by `place`: a connection keeps as much memory as its longest row took.
with {{search.wanted}}, lexemes as (
    select conversation_id as stretch, conversation_id, created_at, message_id, part, name, length, cues, lexemes
    from message_lexemes
    where tenant_id = %(tenant_id)s and config = %(config)s and {archived}
        and created_at <= coalesce(%(as_of)s::timestamptz, 'infinity')
        and (part = 0 or lexemes @@ %(any_word)s::tsquery)
), vectors as (
    select message_id, archived, created_at, conversation_key, user_key, role, importance, embedding
    from message_embeddings
    where {{search.scanned}}
)
select place, as_of, substring(groups from place for %(piece)s) as groups,
    substring(turns from place for %(piece)s) as turns, substring(windows from place for %(piece)s) as windows
from ({{hybrid.columns}}) as whole
cross join lateral
    generate_series(1, greatest(length(groups), length(turns), length(windows), 1), %(piece)s::integer) as place;

-- name: hybrid.stretches
-- The same of stretches of conversations: around each of some messages so many turns before and after, and two more before
-- the first, whose words it shares.
with turns as materialized (
    select place as stretch, turns.*
    from unnest(%(ids)s::uuid[], %(turns_before)s::integer[], %(turns_after)s::integer[]) with ordinality
        as wanted (id, before, after, place)
    cross join lateral (
        select conversation_id, created_at
        from message_lexemes
        where tenant_id = %(tenant_id)s and config = %(config)s and message_id = wanted.id and part = 0
        limit 1
    ) as given
    cross join lateral (
        (
            select conversation_id, created_at, message_id, part, name, parts, length, cues, lexemes
            from message_lexemes
            where tenant_id = %(tenant_id)s and config = %(config)s and {archived} and part = 0
                and conversation_id = given.conversation_id
                and (created_at, message_id) <= (given.created_at, wanted.id)
            order by created_at desc, message_id desc
            limit before + 3
        )
        union all
        (
            select conversation_id, created_at, message_id, part, name, parts, length, cues, lexemes
            from message_lexemes
            where tenant_id = %(tenant_id)s and config = %(config)s and {archived} and part = 0
                and conversation_id = given.conversation_id
                and (created_at, message_id) > (given.created_at, wanted.id)
                and created_at <= coalesce(%(as_of)s::timestamptz, 'infinity')
            order by created_at, message_id
            limit after
        )
    ) as turns
), lexemes as (
    select * from turns
    union all
    select stretch, turns.conversation_id, turns.created_at, turns.message_id, rest.part, turns.name, turns.parts,
        turns.length, turns.cues, rest.lexemes
    from turns
    cross join lateral (
        select part, lexemes
        from message_lexemes
        where tenant_id = %(tenant_id)s and config = %(config)s and message_id = turns.message_id and part > 0
            and lexemes @@ %(any_word)s::tsquery
        offset 0  -- looked up one by one, as in messages.get_many
    ) as rest
    where parts > 1
), vectors as (
    select windows.*
    from (select distinct message_id as id from turns) as wanted
    cross join lateral (
        select message_id, archived, created_at, conversation_key, user_key, role, importance, embedding
        from message_embeddings
        where {{search.scope}} and message_id = wanted.id
        offset 0
    ) as windows
)
{{hybrid.columns}};

-- name: hybrid.known
-- The words of some messages, as turns of hybrid.columns.
select string_agg({{hybrid.turn}}, '') as turns
from unnest(%(ids)s::uuid[]) as wanted (id)
cross join lateral (
    select message_id, part, name, length, cues, lexemes
    from message_lexemes
    where tenant_id = %(tenant_id)s and config = %(config)s and message_id = wanted.id and part = 0
    offset 0
) as lexemes;

-- name: hybrid.conversations
-- A hash of the conversation of each of some messages, as hybrid.columns gives it.
select m.id, hashtextextended(m.conversation_id, 0) as conversation
from unnest(%(ids)s::uuid[]) as wanted (id)
cross join lateral (
    select id, conversation_id from messages where tenant_id = %(tenant_id)s and id = wanted.id limit 1
) as m;

-- name: hybrid.rare
-- What the tenant's word index finds, as turns of hybrid.columns, and no windows of it.
with lexemes as materialized (
    select message_id, 0 as part, null::text as name, length, 0::smallint as cues, lexemes
    from tenant_matches(%(config)s::text, %(match)s::text, %(as_of)s::timestamptz)
    where {archived}
)
select string_agg({{hybrid.turn}}, '') as turns, null::bytea as windows from lexemes;

-- name: hybrid.matched
-- What the tenant's word index finds: as turns of hybrid.columns all messages that match, and as hybrid.near their windows
-- that pass.
with lexemes as materialized (
    select message_id, 0 as part, null::text as name, length, 0::smallint as cues, lexemes
    from tenant_matches(%(config)s::text, %(match)s::text, %(as_of)s::timestamptz)
    where {archived}
)
select (select string_agg({{hybrid.turn}}, '') from lexemes) as turns,
    (
        select string_agg({{hybrid.near}}, '')
        from (select distinct message_id as id from lexemes) as wanted
        cross join lateral (
            {{hybrid.looked_up}}
            offset 0
        ) as e
        where {late}
    ) as windows;

-- name: hybrid.graph
-- The windows that the tenant's graph gives for a direction, nearest first: of all, or of only the dates or the speakers
-- that the query names. Whether a named speaker speaks is told of the first few.
select string_agg({{hybrid.near}}, '' order by number) as windows
from (
    select e.*,
        case when %(speakers)s and number <= %(sample)s then ({{hybrid.speaks}})::integer else 0 end::smallint as speaks
    from (
        select *, row_number() over () as number
        from (
            select message_id, conversation_key, created_at, role, importance,
                1 - (embedding <=> %(query)b::halfvec) as similarity
            from message_embeddings e
            where {{search.scope}} and {inline} and {late}
                and (not %(only_dated)s or %(date_ranges)s::tstzmultirange @> created_at)
                and (not %(only_spoken)s or {{hybrid.speaks}})
            order by (
                (l2_normalize(embedding) || array[importance, sqrt(greatest(0, 1 - importance * importance))]::halfvec)
                ::halfvec({dimensions})
            ) <=> %(direction)b::halfvec
            limit %(graph_limit)s
        ) as nearest
    ) as e
) as e;

-- name: hybrid.extents
-- How many windows lie in the dates that a query names, and how many messages its speakers said, each counted to a limit.
select (
        select count(*)
        from unnest(%(date_ranges)s::tstzmultirange) as ranges (range)
        cross join lateral (
            select
            from message_embeddings
            where tenant_id = %(tenant_id)s and model_id = %(model_id)s and {archived}
                and created_at >= coalesce(lower(range), '-infinity') and created_at < coalesce(upper(range), 'infinity')
            limit %(dated_limit)s + 1
        ) as windows
    ) as dated,
    (
        select count(*)
        from (
            select
            from messages
            where tenant_id = %(tenant_id)s and archived_at is null and name = any (%(speaker_names)s::text[])
            limit %(spoken_limit)s + 1
        ) as messages
    ) as spoken;

-- name: hybrid.source
-- The best of one source of windows, as hybrid.near, by the score as far as it is known: all but words, the speaker, and the
-- lift of a conversation that another turn gives.
select string_agg({{hybrid.near}}, '') as windows
from (
    select *
    from (
        select * from ({source}) as e order by {{hybrid.promise}} desc, message_id desc offset 0
    ) as e
    where {late}
    limit %(kept)s
) as e;

-- name: hybrid.among
-- The same of the messages that pass a filter, if they are not more than `most`; and how many they are.
with {{search.wanted}}
select passing, (
        select string_agg({{hybrid.near}}, '')
        from (
            select e.*
            from wanted
            cross join lateral (
                {{hybrid.looked_up_by_id}}
                offset 0
            ) as e
            where passing <= %(most)s
            order by {{hybrid.promise}} desc, message_id desc
            limit %(kept)s
        ) as e
    ) as windows
from passing;

-- name: hybrid.important
-- A source of hybrid.source, `{source}` there: the most important messages: a graph may have no way to a few that are like no other.
select e.*
        from (
            select id
            from messages
            where tenant_id = %(tenant_id)s and archived_at is null
            order by importance desc, id desc
            limit %(important_limit)s
        ) as wanted
        cross join lateral (
            {{hybrid.looked_up}}
            offset 0
        ) as e;

-- name: hybrid.newest
-- A source of hybrid.source, `{source}` there: the newest windows, as far as their decay still counts.
{{hybrid.windows}}
            and {{search.newest}}
        order by created_at desc, message_id desc
        limit %(newest_limit)s;

-- name: hybrid.dated
-- A source of hybrid.source, `{source}` there: the windows of the dates that a query names.
select e.*
        from unnest(%(date_ranges)s::tstzmultirange) as ranges (range)
        cross join lateral (
            {{hybrid.windows}}
                and created_at >= coalesce(lower(range), '-infinity') and created_at < coalesce(upper(range), 'infinity')
            offset 0
        ) as e;

-- name: hybrid.spoken
-- A source of hybrid.source, `{source}` there: the windows of the speakers whom a query names.
select e.*
        from messages as wanted
        cross join lateral (
            {{hybrid.looked_up}}
            offset 0
        ) as e
        where wanted.tenant_id = %(tenant_id)s and wanted.archived_at is null
            and wanted.name = any (%(speaker_names)s::text[]);

-- name: hybrid.scanned
-- A source of hybrid.source, `{source}` there: all windows that pass.
{{hybrid.windows}};

-- fragment: hybrid.windows
-- Windows that pass what can be told of them without their messages.
select message_id, conversation_key, created_at, importance,
            1 - (embedding <=> %(query)b::halfvec) as similarity, 0::smallint as speaks
        from message_embeddings e
        where {{search.scope}} and {inline}

-- fragment: hybrid.looked_up
-- The same of one message.
{{hybrid.windows}} and message_id = wanted.id

-- fragment: hybrid.looked_up_by_id
-- The windows of one message that passes.
select message_id, conversation_key, created_at, importance,
            1 - (embedding <=> %(query)b::halfvec) as similarity, 0::smallint as speaks
        from message_embeddings e
        where {{search.scope}} and message_id = wanted.id

-- fragment: hybrid.speaks
-- Whether a window `e` is of a speaker whom the query names, by name, or by role where it has no name.
coalesce(
                (
                    select case when name is null then e.role = any (%(speaker_roles)s::"char"[])
                            else name = any (%(speaker_names)s::text[]) end
                    from message_lexemes l
                    where l.tenant_id = %(tenant_id)s and l.message_id = e.message_id and l.config = %(config)s
                        and l.part = 0
                ),
                e.role = any (%(speaker_roles)s::"char"[])
            )

-- fragment: hybrid.promise
-- The score of a window as far as it is known.
%(per_relevance)s::double precision * (
            (1 + %(lift_weight)s::double precision) * similarity
            + %(date_weight)s * (%(date_ranges)s::tstzmultirange @> created_at)::integer
        ) + %(importance_weight)s * importance + %(decay_weight)s * {{search.decay}}

-- fragment: hybrid.near
-- A record of a window as the sources give it: uuid; int8, the key of its conversation; int8 time, in microseconds since 2000;
-- float8 importance; float8 similarity; int2, 1 where the speaker is known to be asked for.
uuid_send(message_id) || int8send(conversation_key) || timestamptz_send(created_at)
            || float8send(importance) || float8send(similarity) || int2send(speaks)

-- fragment: hybrid.turn
-- A record of a turn: uuid; int4, 1 for a speaker who is asked for, 2 where nobody says who spoke (neither where nobody is
-- asked for), 8 for a further row of the turn before it, and the turn's cues (message_cues) times 16; int4, its length in words; then 8 bytes for every 8 of the query's
-- words, each byte how often the turn holds one, 127 where that is 127 or more.
uuid_send(message_id) || int8send((case when part > 0 then 8 else {said} + 16 * cues end)::bigint << 32 | length) {counts}

-- name: hybrid.said
-- A part of hybrid.turn, `{said}` there, where the query asks what somebody said.
case when name = any (%(speaker_names)s::text[]) then 1 when name is null then 2 else 0 end;

-- name: hybrid.counts
-- A part of hybrid.turn, `{counts}` there: most turns hold none of the words, which is looked at once for all of them.
|| case when lexemes @@ %(any_word)s::tsquery then {eights} else decode(repeat('00', {size}), 'hex') end;

-- name: hybrid.eight
-- A part of hybrid.counts, for 8 words: most turns repeat none of theirs.
int8send(case when length(lexemes) = length then {held} else {repeated} end);

-- name: hybrid.held
-- A part of hybrid.counts, for one word that a turn holds once or not at all.
(case when lexemes @@ {word}::tsquery then 1::bigint << {shift} else 0 end);

-- name: hybrid.repeated
-- The same for a word that it may hold oftener: the cover density of a single word is the number of its places, and a word
-- without places is there once.
(case
    when lexemes @@ {word}::tsquery
        then greatest(1, least(127, ts_rank_cd(array[1, 1, 1, 1]::real[], lexemes, {word}::tsquery)))::bigint << {shift}
    else 0
end);

-- name: hybrid.flags
-- A part of hybrid.columns, `{flags}` there, where there is a filter, or a role is asked for.
|| int2send(((({passes}) is true)::integer + 2 * (role = any (%(speaker_roles)s::"char"[]))::integer)::smallint);

-- fragment: hybrid.columns
-- One row of what was read, as strings of records of numbers as Postgres sends them: ranking.fusion makes scores of them. To
-- take a row of every message through a join, a sort or a table in memory costs as much as its distance; to put a record at
-- the end of a string costs little.
--
-- groups: a record of each stretch of turns, int8, a hash of its conversation, and int4, how many rows it has. turns: a
-- record of each row (hybrid.turn), stretch by stretch, in order. windows: a record of each window, in any order: uuid;
-- float8 importance; int8 time, in microseconds since 2000; float8 distance; where there is a filter or a role is asked for,
-- int2, 1 where it may be found, and 2 where its role is asked for.
--
-- Word statistics, turns before and the best of a conversation stay the tenant's, so that a filter changes no message's
-- relevance before it is divided by the best one that passes. as_of is the exception: what came later does not exist.
select turns.*, windows.*, timestamptz_send(coalesce(%(as_of)s::timestamptz, now())) as as_of
from (
    select string_agg(int8send(conversation) || int4send(size), '' order by stretch) as groups,
        string_agg(turns, '' order by stretch) as turns
    from (
        select stretch, hashtextextended(any_value(conversation_id), 0) as conversation, count(*)::integer as size,
            string_agg({{hybrid.turn}}, '' order by created_at, message_id, part) as turns
        from lexemes
        group by stretch
    ) as stretches
) as turns
cross join (
    select string_agg(
            uuid_send(message_id) || float8send(importance) || timestamptz_send(created_at)
                || float8send(embedding <=> %(query)b::halfvec) {flags},
            ''
        ) as windows
    from vectors e
) as windows
