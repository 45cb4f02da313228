-- name: statistics.get
-- What is stored of a tenant, each count up to a bound. Live and archived messages are counted from an index alone; users and
-- conversations by jumping in an index from one to the next.
with recursive
users as (
    (select 1 as place, user_id from messages where tenant_id = %(tenant_id)s and user_id > '' order by user_id limit 1)
    union all
    select users.place + 1, next.user_id
    from users
    cross join lateral (
        select m.user_id
        from messages m
        where m.tenant_id = %(tenant_id)s and m.user_id > users.user_id
        order by m.user_id
        limit 1
    ) as next
    where users.place < %(most_names)s
), conversations as (
    (select 1 as place, conversation_id from messages where tenant_id = %(tenant_id)s order by conversation_id limit 1)
    union all
    select conversations.place + 1, next.conversation_id
    from conversations
    cross join lateral (
        select m.conversation_id
        from messages m
        where m.tenant_id = %(tenant_id)s and m.conversation_id > conversations.conversation_id
        order by m.conversation_id
        limit 1
    ) as next
    where conversations.place < %(most_names)s
), ends as (
    (
        select created_at from messages where tenant_id = %(tenant_id)s and archived_at is null
        order by created_at limit 1
    )
    union all
    (
        select created_at from messages where tenant_id = %(tenant_id)s and archived_at is null
        order by created_at desc limit 1
    )
    union all
    (
        select created_at from messages where tenant_id = %(tenant_id)s and archived_at is not null
        order by created_at limit 1
    )
    union all
    (
        select created_at from messages where tenant_id = %(tenant_id)s and archived_at is not null
        order by created_at desc limit 1
    )
), newest as (
    select *
    from (
        (
            select *
            from messages
            where tenant_id = %(tenant_id)s and archived_at is null
            order by created_at desc, id desc
            limit %(most_compared)s
        )
        union all
        (
            select *
            from messages
            where tenant_id = %(tenant_id)s and archived_at is not null
            order by created_at desc, id desc
            limit %(most_compared)s
        )
    ) as halves
    order by created_at desc, id desc
    limit %(most_compared)s
), sample as (
    -- What stands in an index besides is counted twice.
    select avg(
            pg_column_size(m.content) + pg_column_size(m.metadata) + 400
            + 2 * coalesce((
                select sum(pg_column_size(e.embedding) + 100)
                from message_embeddings e
                where e.tenant_id = %(tenant_id)s and e.message_id = m.id
            ), 0)
            + 2 * coalesce((
                select sum(pg_column_size(l.lexemes) + 100)
                from message_lexemes l
                where l.tenant_id = %(tenant_id)s and l.message_id = m.id
            ), 0)
        ) as bytes
    from (select * from newest order by created_at desc, id desc limit %(most_measured)s) as m
), counts as (
    select
        (
            select count(*)::integer
            from (
                select from messages where tenant_id = %(tenant_id)s and archived_at is null limit %(most)s
            ) as counted
        ) as live,
        (
            select count(*)::integer
            from (
                select from messages where tenant_id = %(tenant_id)s and archived_at is not null limit %(most)s
            ) as counted
        ) as archived
)
select live, archived,
    (
        select count(*)::integer
        from (
            select from messages
            where tenant_id = %(tenant_id)s and embedding_status <> 'completed' and embedding_status = 'pending'
            limit %(most_rare)s
        ) as counted
    ) as pending,
    (
        select count(*)::integer
        from (
            select from messages
            where tenant_id = %(tenant_id)s and embedding_status <> 'completed' and embedding_status = 'failed'
            limit %(most_rare)s
        ) as counted
    ) as failed,
    (
        select count(*)::integer
        from (select from messages where tenant_id = %(tenant_id)s and pinned limit %(most_rare)s) as counted
    ) as pinned,
    (
        select count(*)::integer
        from (select from message_revisions where tenant_id = %(tenant_id)s limit %(most_rare)s) as counted
    ) as revisions,
    (select count(*)::integer from users) as users,
    (select count(*)::integer from conversations) as conversations,
    (
        select (count(*) - count(distinct (conversation_id, user_id, role, md5(content))))::integer from newest
    ) as duplicates,
    ((live + archived) * coalesce((select bytes from sample), 0))::bigint as estimated_bytes,
    (select min(created_at) from ends) as oldest_message_at,
    (select max(created_at) from ends) as newest_message_at
from counts;
