-- name: duplicates.lock
-- Keeps keys to this transaction until it ends, in their order.
select pg_advisory_xact_lock(key) from (select key from unnest(%(keys)s::bigint[]) as keys (key) order by key) as ordered;

-- name: duplicates.find
-- The newest message that says the same as each of some, at most so long before it, live or archived; by their places. The
-- arrays run in step; created_at null means now: after the lock was had, not when the transaction began, so that what another
-- stored while this one waited lies before it. The times are worked out first: where they are, row-level security lets the
-- index stop at them.
with given as materialized (
    select *, until - make_interval(secs => seconds) as since
    from unnest(
        %(conversation_ids)s::text[], %(user_ids)s::text[], %(roles)s::text[], %(contents)b::text[],
        %(created_ats)s::timestamptz[], %(windows_seconds)s::integer[]
    ) with ordinality as given (conversation_id, user_id, role, content, created_at, seconds, place)
    cross join lateral coalesce(created_at, clock_timestamp()) as until
)
select given.place, found.id
from given
cross join lateral (
    select m.id
    from messages m
    where m.tenant_id = %(tenant_id)s and m.conversation_id = given.conversation_id
        and m.created_at >= given.since and m.created_at <= given.until
        and m.role = given.role and m.user_id is not distinct from given.user_id and m.content = given.content
        and (m.expires_at is null or m.expires_at > now())
    order by m.created_at desc, m.id desc
    limit 1
) as found;
