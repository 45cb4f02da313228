-- name: lexical.lock
-- Keeps a tenant's vocabulary as it is until the transaction ends: whoever stores words does so in every configuration that
-- somebody reads or will read. 7212 is the number of this lock.
select pg_advisory_xact_lock_shared(7212, hashtext(%(tenant_id)s));

-- name: lexical.begin
-- A tenant without a vocabulary begins with `config`.
insert into tenant_vocabularies (tenant_id, config) values (%(tenant_id)s, %(config)s) on conflict do nothing;

-- name: lexical.insert_many
-- Stores the words of messages, given as arrays of equal length, by each of `configs`: the tenant's vocabulary and the one that
-- is being made. A message of another language has a text-search configuration of its own. Words already stored stay. Call it
-- in the transaction that inserts the messages, after lexical.lock. Words longer than 255 bytes are left out: nobody asks for
-- one. It reads no table: what this would read of a shard of Citus it would hand to every node, and need them all.
with given as materialized (
    select message_id, config, conversation_id, created_at, name, message_cues(content, role) as cues,
        text_lexemes(coalesce(text_config, config), words, others) as lexemes
    from unnest(
        %(message_ids)s::uuid[], %(conversation_ids)s::text[], %(created_ats)s::timestamptz[], %(names)s::text[],
        %(text_configs)s::text[], %(words)b::text[], %(others)b::text[], %(contents)b::text[],
        %(roles)s::text[]
    ) as messages (message_id, conversation_id, created_at, name, text_config, words, others, content, role)
    cross join unnest(%(configs)s::text[]) as configs (config)
), {{lexical.split}}
insert into message_lexemes (
    tenant_id, message_id, config, part, conversation_id, created_at, name, parts, length, cues, lexemes
)
select %(tenant_id)s, message_id, config, part, conversation_id, created_at, name, parts, length, cues, words
from split s
on conflict do nothing;

-- name: lexical.fill
-- Stores the words of messages that were stored before, in one configuration.
with given as materialized (
    select message_id, %(config)s as config, text_lexemes(coalesce(text_config, %(config)s), words, others) as lexemes
    from unnest(%(message_ids)s::uuid[], %(text_configs)s::text[], %(words)b::text[], %(others)b::text[])
        as messages (message_id, text_config, words, others)
), {{lexical.split}}
insert into message_lexemes (
    tenant_id, message_id, config, part, conversation_id, created_at, name, parts, length, cues, lexemes, archived
)
select m.tenant_id, message_id, config, part, conversation_id, created_at, name, parts, length,
    message_cues(m.content, m.role), words, archived_at is not null
from split s
join messages m on m.tenant_id = %(tenant_id)s and m.id = s.message_id
on conflict do nothing;

-- name: lexical.insert_revisions
-- The same as lexical.insert_many, of what messages were.
with given as materialized (
    select message_id, revision, config, message_cues(content, role) as cues,
        text_lexemes(coalesce(text_config, config), words, others) as lexemes
    from unnest(
        %(message_ids)s::uuid[], %(revisions)s::integer[], %(text_configs)s::text[], %(words)b::text[], %(others)b::text[],
        %(contents)b::text[], %(roles)s::text[]
    ) as messages (message_id, revision, text_config, words, others, content, role)
    cross join unnest(%(configs)s::text[]) as configs (config)
), {{lexical.split}}
insert into revision_lexemes (tenant_id, message_id, revision, config, part, parts, length, lexemes, cues)
select %(tenant_id)s, message_id, revision, config, part, parts, length, words, cues
from split s
on conflict do nothing;

-- fragment: lexical.split
-- The `lexemes` of each row of `given`, in as many parts as an index takes. Places are kept only of words that are repeated:
-- of a word only its number counts, and without places it is one.
numbered as materialized (
    select *, row_number() over () as number from given
), words as (
    select number, lexeme, positions, octet_length(lexeme) <= 255 as kept,
        -- By the size of their entries in a tsvector: 900 bytes leave room in the index for the longest identifiers.
        sum(12 + octet_length(lexeme) + 2 * cardinality(positions))
            filter (where octet_length(lexeme) <= 255) over (partition by number order by lexeme) / 900 as part
    from numbered, unnest(lexemes)
), sizes as (
    select number, sum(cardinality(positions)) as length, max(part) as last_part, bool_and(kept) as kept,
        array_agg(lexeme) filter (where cardinality(positions) > 1) as repeated
    from words
    group by number
), pieces as (
    select number, words.part, string_agg(
            '''' || replace(replace(lexeme, '\', '\\'), '''', '''''') || ''''
                || case when cardinality(positions) > 1 then ':' || array_to_string(positions, ',') else '' end, ' '
        )::tsvector as lexemes
    from words
    join sizes using (number)
    where words.kept and (last_part > 0 or not sizes.kept)
    group by number, words.part
), split as (
    select numbered.*, parts.part, coalesce(last_part, 0) + 1 as parts, coalesce(length, 0) as length,
        case
            when last_part > 0 or not kept then coalesce(pieces.lexemes, '')
            when repeated is null then strip(numbered.lexemes)
            else strip(numbered.lexemes) || ts_filter(setweight(numbered.lexemes, 'A', repeated), '{a}')
        end as words
    from numbered
    left join sizes using (number)
    cross join lateral generate_series(0, coalesce(last_part, 0)) as parts (part)
    left join pieces on pieces.number = numbered.number and pieces.part = parts.part
)

-- name: lexical.participants
-- Who speaks in a tenant's live messages: every name once, and the roles of messages that have none; and the database's
-- time.
with recursive names as (
    (
        select name
        from messages
        where tenant_id = %(tenant_id)s and archived_at is null and name is not null
        order by name
        limit 1
    )
    union all
    select (
        select m.name
        from messages m
        where m.tenant_id = %(tenant_id)s and m.archived_at is null and m.name > names.name
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
            select
            from messages m
            where m.tenant_id = %(tenant_id)s and m.archived_at is null and m.name is null and m.role = roles.role
        )
    ) as roles;
