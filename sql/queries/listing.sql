-- fragment: listing.stored
-- Messages that are there for somebody: not expired.
m.tenant_id = %(tenant_id)s and (m.expires_at is null or m.expires_at > now())

-- fragment: listing.passing
-- Messages that pass a filter, said by as_of and not expired then; what metadata leads to is given as ids.
m.tenant_id = %(tenant_id)s and (m.expires_at is null or m.expires_at > coalesce(%(as_of)s::timestamptz, now()))
        and m.created_at <= coalesce(%(as_of)s::timestamptz, 'infinity') and {filter} {of_metadata}

-- name: listing.messages
-- A page of messages behind a place, live ones, archived ones or both: each of the two has its index. `bytes_before` is how
-- long the texts of the page are up to a message, and what stands behind `most_bytes` is left out.
select {{messages.columns}}, bytes_before
from (
    select *, (sum(octet_length(content)) over (
        order by created_at {direction}, id {direction} rows unbounded preceding
    ) - octet_length(content))::bigint as bytes_before
    from (
        select *
        from (
            (
                select *
                from messages m
                where {lists_live} and m.archived_at is null and {{listing.passing}}
                    and (m.created_at, m.id) {beyond} (%(after_at)s::timestamptz, %(after_id)s::uuid)
                order by m.created_at {direction}, m.id {direction}
                limit %(limit)s
            )
            union all
            (
                select *
                from messages m
                where {lists_archived} and m.archived_at is not null and {{listing.passing}}
                    and (m.created_at, m.id) {beyond} (%(after_at)s::timestamptz, %(after_id)s::uuid)
                order by m.created_at {direction}, m.id {direction}
                limit %(limit)s
            )
        ) as halves
        order by created_at {direction}, id {direction}
        limit %(limit)s
    ) as page
) as measured
where bytes_before < %(most_bytes)s
order by created_at {direction}, id {direction};

-- name: listing.total
-- How many messages all pages together have.
select count(*) as total from messages m where {archived_messages} and {{listing.passing}};

-- name: listing.with_metadata
-- The ids of up to `most` + 1 messages whose metadata holds what a filter asks for. It is asked beside a message of the tenant:
-- so it is asked on the tenant's shard.
select tenant_metadata_matches(%(metadata)s::jsonb, %(most)s::integer + 1) as id
from (select 1 from messages where tenant_id = %(tenant_id)s limit 1) as of_tenant;

-- name: listing.of_ids
-- A part of the statements above, `{of_metadata}` there, where metadata leads to few messages.
and m.id = any(%(ids)s::uuid[]);

-- name: listing.oldest_first
-- A part of listing.messages, `{direction}` there.
asc;

-- name: listing.newest_first
-- The same, the other way round.
desc;

-- name: listing.later
-- A part of listing.messages, `{beyond}` there.
>;

-- name: listing.earlier
-- The same, the other way round.
<;

-- name: listing.yes
-- A part of listing.messages, `{lists_live}` and `{lists_archived}` there.
true;

-- name: listing.no
-- The same: the planner takes the half out.
false;

-- name: listing.conversations
-- A page of conversations behind an id, found by jumping in the index from one to the next; and of each, what its newest
-- `most` messages tell.
with recursive found as (
    (
        select 1 as place, m.conversation_id, m.created_at as first_message_at
        from messages m
        where {{listing.stored}} and m.conversation_id > %(after_key)s::text collate "C"
        order by m.conversation_id, m.created_at, m.id
        limit 1
    )
    union all
    select found.place + 1, next.conversation_id, next.created_at
    from found
    cross join lateral (
        select m.conversation_id, m.created_at
        from messages m
        where {{listing.stored}} and m.conversation_id > found.conversation_id
        order by m.conversation_id, m.created_at, m.id
        limit 1
    ) as next
    where found.place < %(limit)s
)
select found.conversation_id, found.first_message_at, newest.*
from found
cross join lateral (
    select max(created_at) as last_message_at, count(*)::integer as message_count,
        count(archived_at)::integer as archived_count, count(distinct user_id)::integer as user_count,
        coalesce((array_agg(distinct user_id) filter (where user_id is not null))[:%(most_users)s], '{}') as user_ids
    from (
        select m.created_at, m.archived_at, m.user_id
        from messages m
        where {{listing.stored}} and m.conversation_id = found.conversation_id
        order by m.created_at desc, m.id desc
        limit %(most)s
    ) as newest
) as newest
order by found.place;

-- name: listing.users
-- The same of end users.
with recursive found as (
    (
        select 1 as place, m.user_id, m.created_at as first_message_at
        from messages m
        where {{listing.stored}} and m.user_id > %(after_key)s::text collate "C"
        order by m.user_id, m.created_at, m.id
        limit 1
    )
    union all
    select found.place + 1, next.user_id, next.created_at
    from found
    cross join lateral (
        select m.user_id, m.created_at
        from messages m
        where {{listing.stored}} and m.user_id > found.user_id
        order by m.user_id, m.created_at, m.id
        limit 1
    ) as next
    where found.place < %(limit)s
)
select found.user_id, found.first_message_at, newest.*
from found
cross join lateral (
    select max(created_at) as last_message_at, count(*)::integer as message_count,
        count(archived_at)::integer as archived_count
    from (
        select m.created_at, m.archived_at
        from messages m
        where {{listing.stored}} and m.user_id = found.user_id
        order by m.created_at desc, m.id desc
        limit %(most)s
    ) as newest
) as newest
order by found.place;
