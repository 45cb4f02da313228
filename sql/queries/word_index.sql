-- name: word_index.create
-- Builds the word index of a tenant while it is read and written.
create index concurrently {index} on message_lexemes using gin (lexemes)
where tenant_id = {tenant} and config = {config};

-- name: word_index.drop
-- Drops a word index while the tenant is read and written.
drop index concurrently if exists {index};

-- name: word_index.state
-- Whether an index is there and valid; null when it is not there.
select indisvalid as valid from pg_index where indexrelid = to_regclass(quote_ident(%(index_name)s));

-- name: word_index.forget
-- Removes what was counted of a tenant's words; its words with it.
delete from tenant_word_statistics where tenant_id = %(tenant_id)s and config = %(config)s;

-- name: word_index.count_messages
-- Counts the messages of a tenant and their words: `length` of the messages themselves, `length1` and `length2` of the
-- turns one and two before each in its conversation, so that any share of those makes an average.
insert into tenant_word_statistics (tenant_id, config, messages, length, length1, length2, counted_at)
select %(tenant_id)s, %(config)s, count(*), coalesce(sum(length), 0), coalesce(sum(length1), 0),
    coalesce(sum(length2), 0), now()
from (
    select length, lag(length, 1, 0) over conversation as length1, lag(length, 2, 0) over conversation as length2
    from message_lexemes
    where tenant_id = %(tenant_id)s and config = %(config)s and part = 0 and not archived
    window conversation as (partition by conversation_id order by created_at, message_id)
) as turns
on conflict (tenant_id, config) do update
set messages = excluded.messages, length = excluded.length, length1 = excluded.length1, length2 = excluded.length2,
    counted_at = excluded.counted_at
where tenant_word_statistics.tenant_id = %(tenant_id)s
returning messages;

-- name: word_index.count_words
-- Counts in how many messages of a tenant each word stands, and keeps those that stand in more than `rare`: rarer ones
-- are counted when they are asked for. A word of a message is in one of its parts only, so that parts are messages here.
insert into tenant_words (tenant_id, config, word, frequency)
select tenant_id, config, lexeme, count(*)
from message_lexemes
cross join lateral unnest(lexemes) as words (lexeme, positions, weights)
where tenant_id = %(tenant_id)s and config = %(config)s and not archived
group by tenant_id, config, lexeme
having count(*) > %(rare)s::integer;

-- name: word_index.statistics
-- What was counted of a tenant's words, and when.
select messages, length, counted_at,
    (select count(*) from tenant_words where tenant_id = %(tenant_id)s and config = %(config)s) as words
from tenant_word_statistics
where tenant_id = %(tenant_id)s and config = %(config)s;

-- name: word_index.due
-- The tenants that have a graph, but no count of their words, or an old one, or one of when they had more or fewer
-- messages by a share that matters.
select distinct g.tenant_id, used.config
from tenant_graphs g
left join tenant_vocabularies v on v.tenant_id = g.tenant_id
cross join lateral (select coalesce(v.config, %(config)s::text) as config) as used
left join tenant_word_statistics s on s.tenant_id = g.tenant_id and s.config = used.config
where g.state = 'ready'
    and case
        when s.counted_at is null or s.counted_at < now() - make_interval(secs => %(hours)s::double precision * 3600)
            then true
        else (
            select abs(count(*) - s.messages) > %(changed)s::double precision * s.messages
            from message_lexemes l
            where l.tenant_id = g.tenant_id and l.config = used.config and l.part = 0 and not l.archived
        )
    end
order by g.tenant_id;

-- name: word_index.counted
-- The configurations by which a tenant's words are counted.
select config from tenant_word_statistics where tenant_id = %(tenant_id)s order by config;
