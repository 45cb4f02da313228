-- name: quotas.messages
-- Counts a tenant's messages, live and archived, up to a bound; from an index alone.
select count(*) as count
from (select from messages where tenant_id = %(tenant_id)s limit %(most)s) as counted;

-- name: quotas.bytes
-- Bytes of what a tenant's messages say and said. Long contents are not read for it: their length stands in the row.
select (
    coalesce((
        select sum(octet_length(content) + octet_length(metadata::text))
        from messages
        where tenant_id = %(tenant_id)s
    ), 0)
    + coalesce((
        select sum(octet_length(content) + octet_length(metadata::text))
        from message_revisions
        where tenant_id = %(tenant_id)s
    ), 0)
)::bigint as bytes;
