-- name: lexical.insert_many
-- Stores the words of messages, given as arrays of equal length; words already stored stay. Call it in the transaction
-- that inserts the messages. Words longer than 255 bytes are left out: nobody asks for one.
with given as materialized (
    select message_id, conversation_id, created_at, name, message_cues(content, role) as cues,
        to_tsvector(%(config)s::text::regconfig, content)
            || to_tsvector(%(config)s::text::regconfig, coalesce(name, '')) as lexemes
    from unnest(
        %(message_ids)s::uuid[], %(conversation_ids)s::text[], %(created_ats)s::timestamptz[], %(names)s::text[],
        %(contents)s::text[], %(roles)s::text[]
    ) as messages (message_id, conversation_id, created_at, name, content, role)
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
    tenant_id, message_id, config, part, conversation_id, created_at, name, parts, length, cues, lexemes
)
select %(tenant_id)s, message_id, %(config)s, part, conversation_id, created_at, name, parts, length, cues,
    case
        when shared then ts_delete(lexemes, array(
            select lexeme from words w where w.message_id = s.message_id and (w.part is distinct from s.part or not kept)
        ))
        else lexemes
    end
from split s
on conflict do nothing;

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
