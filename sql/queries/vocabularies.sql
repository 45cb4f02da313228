-- name: vocabularies.lock
-- Waits until nobody stores words of a tenant, and lets nobody begin: see lexical.lock.
select pg_advisory_xact_lock(7212, hashtext(%(tenant_id)s));

-- name: vocabularies.of_tenant
-- How a tenant's words are stored; no row where none are.
select config, next_config, filled_to, former
from tenant_vocabularies
where tenant_id = %(tenant_id)s;

-- name: vocabularies.due
-- The tenants whose words are stored in another configuration than their policy wants, or whose vocabulary is changing; and
-- what is wanted: `configs` by the language of the policy, `other` where that is unknown, `config` without one.
select tenant_id, wanted
from (
    select v.*, case
            when p.language is null then %(config)s::text
            else coalesce(%(configs)s::jsonb ->> split_part(lower(p.language), '-', 1), %(other)s::text)
        end as wanted
    from tenant_vocabularies v
    left join tenant_policies p on p.tenant_id = v.tenant_id
) as vocabularies
where config <> wanted or next_config is not null or former <> '{}'
order by tenant_id;

-- name: vocabularies.begin
-- From here on words are stored in another configuration too; what there is of one that is not wanted any more is to go.
update tenant_vocabularies
set next_config = %(next_config)s::text, filled_to = null, changed_at = now(),
    former = array(
        select distinct gone
        from unnest(former || next_config) as gone
        where gone <> %(next_config)s::text
    )
where tenant_id = %(tenant_id)s and next_config is distinct from %(next_config)s::text;

-- name: vocabularies.stop
-- The configuration in use stays.
update tenant_vocabularies
set next_config = null, filled_to = null, former = former || next_config, changed_at = now()
where tenant_id = %(tenant_id)s and next_config is not null;

-- name: vocabularies.unfilled
-- The next messages, in the order of their ids, that are to be filled in.
select id, name, content, language, revision
from messages
where tenant_id = %(tenant_id)s and id > coalesce(%(filled_to)s, '00000000-0000-0000-0000-000000000000'::uuid)
order by id
limit %(limit)s;

-- name: vocabularies.unfilled_revisions
-- What messages were, in order, after one revision: no more than `limit`, and fewer where the texts of those before are
-- `most_bytes` long: one at least.
select message_id, revision, name, content, role
from (
    select *, sum(octet_length(content)) over (order by message_id, revision rows unbounded preceding)
        - octet_length(content) as bytes_before
    from (
        select message_id, revision, name, content, (
                select role from messages m where m.tenant_id = %(tenant_id)s and m.id = r.message_id
            ) as role
        from message_revisions r
        where tenant_id = %(tenant_id)s and message_id = any (%(message_ids)s)
            and (message_id, revision) > (%(after_id)s::uuid, %(after_revision)s::integer)
        order by message_id, revision
        limit %(limit)s
    ) as next
) as portion
where bytes_before < %(most_bytes)s
order by message_id, revision;

-- name: vocabularies.note_filled
-- To where messages are filled in.
update tenant_vocabularies
set filled_to = %(filled_to)s
where tenant_id = %(tenant_id)s;

-- name: vocabularies.switch
-- Searches read what was filled in.
update tenant_vocabularies
set config = next_config, next_config = null, filled_to = null, former = array_append(array_remove(former, next_config), config),
    changed_at = now()
where tenant_id = %(tenant_id)s and next_config = %(next_config)s::text;

-- name: vocabularies.lingers
-- Whether searches that began before the last change may still run.
select changed_at > now() - make_interval(secs => %(seconds)s::double precision) as lingers
from tenant_vocabularies
where tenant_id = %(tenant_id)s;

-- name: vocabularies.remove
-- Removes some of a tenant's words in a configuration; says how many.
with chosen as materialized (
    select message_id, part
    from message_lexemes
    where tenant_id = %(tenant_id)s and config = %(config)s
    limit %(limit)s
), removed as (
    delete from message_lexemes l
    using chosen
    where l.tenant_id = %(tenant_id)s and l.config = %(config)s and l.message_id = chosen.message_id
        and l.part = chosen.part
    returning l.part
)
select count(*)::integer as removed from removed;

-- name: vocabularies.remove_revisions
-- Removes all words of what messages were in a configuration.
delete from revision_lexemes where tenant_id = %(tenant_id)s and config = %(config)s;

-- name: vocabularies.removed
-- None of a configuration is left.
update tenant_vocabularies
set former = array_remove(former, %(config)s::text)
where tenant_id = %(tenant_id)s;
