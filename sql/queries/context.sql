-- fragment: context.known
-- Live messages `m` of a tenant, said by as_of and not expired then.
m.tenant_id = %(tenant_id)s
        and m.archived_at is null
        and m.created_at <= coalesce(%(as_of)s::timestamptz, 'infinity')
        and (m.expires_at is null or m.expires_at > coalesce(%(as_of)s::timestamptz, now()))

-- fragment: context.newest_first
-- The end of the statements below: of those that were looked at, the newest that pass the filter.
    order by m.created_at desc, m.id desc
    limit %(looked_at)s
) as m
where {filter}
order by m.created_at desc, m.id desc
limit %(most)s

-- name: context.newest_of_conversation
-- The newest turns of a conversation, newest first.
select *
from (
    select {{messages.columns}}
    from messages m
    where {{context.known}} and m.conversation_id = %(whose)s
{{context.newest_first}};

-- name: context.newest_of_user
-- The newest turns of an end user, newest first.
select *
from (
    select {{messages.columns}}
    from messages m
    where {{context.known}} and m.user_id = %(whose)s
{{context.newest_first}};

-- name: context.pinned
-- The newest pinned messages, newest first.
select *
from (
    select {{messages.columns}}
    from messages m
    where {{context.known}} and m.pinned
{{context.newest_first}};

-- name: context.pinned_of_user
-- Those of an end user.
select *
from (
    select {{messages.columns}}
    from messages m
    where {{context.known}} and m.pinned and m.user_id = %(whose)s
{{context.newest_first}};
