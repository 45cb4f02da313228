-- fragment: context.known
-- Live messages `m` of a tenant, said by as_of and not expired then.
m.tenant_id = %(tenant_id)s
        and m.archived_at is null
        and m.created_at <= coalesce(%(as_of)s::timestamptz, 'infinity')
        and (m.expires_at is null or m.expires_at > coalesce(%(as_of)s::timestamptz, now()))

-- name: context.newest
-- The newest messages of `{whose}`, newest first: of those that are looked at, the ones that pass the filter.
select *
from (
    select {{messages.columns}}
    from messages m
    where {{context.known}} and {whose}
    order by m.created_at desc, m.id desc
    limit %(looked_at)s
) as m
where {filter}
order by m.created_at desc, m.id desc
limit %(most)s;

-- name: context.of_conversation
-- A part of context.newest, `{whose}` there: the turns of a conversation.
m.conversation_id = %(whose)s;

-- name: context.of_user
-- The same: the turns of an end user.
m.user_id = %(whose)s;

-- name: context.pinned
-- The same: what is pinned.
m.pinned;

-- name: context.pinned_of_user
-- The same: what is pinned of an end user.
m.pinned and m.user_id = %(whose)s;
