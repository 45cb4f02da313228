-- Live and archived messages in one table: archiving sets a mark, and what belongs to a message stays where it is.

alter table messages no force row level security;
alter table message_lexemes no force row level security;
alter table archived_messages no force row level security;
alter table archived_embeddings no force row level security;
alter table message_embeddings no force row level security;
alter table tenant_graphs no force row level security;
alter table embedding_jobs no force row level security;

drop index messages_by_age;
drop index messages_by_importance;
drop index messages_by_speaker;
drop index message_lexemes_scan;

alter table messages
    add column user_id text collate "C",
    add column archived_at timestamptz,
    add column pinned boolean not null default false,
    add column expires_at timestamptz,
    add column revision integer not null default 1;

alter table message_lexemes add column archived boolean not null default false;

-- A request id that is kept lasts as long as its message, not just for MEMORY_IDEMPOTENCY_HOURS.
alter table idempotency_keys add column kept boolean not null default false;

create index idempotency_keys_by_message on idempotency_keys (tenant_id, message_id) where kept;

-- Graphs cover live messages only from now on, so the old ones go. The next server builds the new ones in the background.
do $$
declare
    graph text;
begin
    for graph in select index_name from tenant_graphs loop
        execute format('drop index if exists %I', graph);
    end loop;
end
$$;

delete from tenant_graphs;

insert into messages (
    tenant_id, id, conversation_id, role, name, content, metadata, importance, embedding_status, created_at, updated_at,
    archived_at
)
select tenant_id, id, conversation_id, role, name, content, metadata, importance, embedding_status, created_at,
    updated_at, archived_at
from archived_messages;

-- The words of archived messages were not stored before. They are split into parts as lexical.insert_many splits them.
with configs as (
    select distinct config from message_lexemes
), given as materialized (
    select tenant_id, id as message_id, config, conversation_id, created_at, name,
        to_tsvector(config::regconfig, content) || to_tsvector(config::regconfig, coalesce(name, '')) as lexemes
    from archived_messages
    cross join configs
), words as (
    select tenant_id, message_id, config, lexeme, cardinality(positions) as occurrences, octet_length(lexeme) <= 255 as kept,
        sum(12 + octet_length(lexeme) + 2 * cardinality(positions))
            filter (where octet_length(lexeme) <= 255)
            over (partition by tenant_id, message_id, config order by lexeme) / 900 as part
    from given, unnest(lexemes)
), sizes as (
    select tenant_id, message_id, config, sum(occurrences) as length, max(part) as last_part
    from words
    group by tenant_id, message_id, config
)
insert into message_lexemes (
    tenant_id, message_id, config, part, conversation_id, created_at, name, parts, length, lexemes, archived
)
select tenant_id, message_id, config, numbers.part, conversation_id, created_at, name, coalesce(last_part, 0) + 1,
    coalesce(length, 0),
    ts_delete(lexemes, array(
        select lexeme
        from words w
        where w.tenant_id = given.tenant_id and w.message_id = given.message_id and w.config = given.config
            and (w.part is distinct from numbers.part or not w.kept)
    )),
    true
from given
left join sizes using (tenant_id, message_id, config)
cross join lateral generate_series(0, coalesce(last_part, 0)) as numbers (part);

-- As ingest takes it from now on, where MEMORY_USER_ID_METADATA_KEY is not changed.
update messages
set user_id = metadata ->> 'user_id'
where (jsonb_typeof(metadata -> 'user_id') = 'string' and length(metadata ->> 'user_id') between 1 and 128)
    or (jsonb_typeof(metadata -> 'user_id') = 'number' and metadata ->> 'user_id' ~ '^-?[0-9]{1,16}$');

-- What stands for an identifier in 8 bytes: the first of its SHA-256, so that nobody finds another with the same.
create function text_key(identifier text) returns bigint
language sql immutable strict parallel safe
return ('x' || encode(substr(sha256(convert_to(identifier, 'UTF8')), 1, 8), 'hex'))::bit(64)::bigint;

-- The vectors anew: of live and archived messages, and with columns of fixed width beside them, because Postgres fills the
-- pages of an index only with entries of one size. Decay is worked out of created_at.
create temporary table carried on commit drop as
select e.*, text_key(e.conversation_id) as conversation_key, coalesce(text_key(m.user_id), 0) as user_key,
    m.archived_at is not null as archived
from (
    select tenant_id, message_id, created_at, importance, conversation_id, chunk, model_id, role, embedding
    from message_embeddings
    union all
    select tenant_id, message_id, created_at, importance, conversation_id, chunk, model_id, role, embedding
    from archived_embeddings
) as e
join messages m on m.tenant_id = e.tenant_id and m.id = e.message_id;

drop table message_embeddings;
drop table archived_embeddings;
drop table archived_messages;

create table message_embeddings (
    tenant_id text collate "C" not null,
    message_id uuid not null,
    created_at timestamptz not null,
    importance double precision not null,
    conversation_key bigint not null,
    user_key bigint not null,
    expires_at timestamptz not null,
    chunk integer not null check (chunk >= 0),
    model_id smallint not null references embedding_models (id),
    archived boolean not null,
    role "char" not null,
    embedding halfvec not null,
    primary key (tenant_id, message_id, chunk, model_id),
    foreign key (tenant_id, message_id) references messages (tenant_id, id) on delete cascade
)
with (autovacuum_vacuum_insert_scale_factor = 0.02, autovacuum_vacuum_scale_factor = 0.02);

insert into message_embeddings
select tenant_id, message_id, created_at, importance, conversation_key, user_key, 'infinity', chunk, model_id, archived,
    role::"char", embedding
from carried
order by tenant_id, created_at, message_id;

grant select, insert, update, delete on message_embeddings to memory_layer_tenant;
grant select on message_embeddings to memory_layer_worker;
alter table message_embeddings enable row level security, force row level security;
create policy one_tenant on message_embeddings to memory_layer_tenant
using (tenant_id = nullif(current_setting('memory.tenant_id', true), ''));
create policy every_tenant on message_embeddings to memory_layer_worker using (true);

-- Messages that were archived before they were embedded lost their job.
insert into embedding_jobs (tenant_id, message_id)
select tenant_id, id
from messages
where embedding_status = 'pending'
on conflict do nothing;

alter table message_lexemes force row level security;
alter table tenant_graphs force row level security;
alter table embedding_jobs force row level security;

-- Listings, oldest or newest first: of what is live, and of the archive.
create index messages_live_by_age on messages (tenant_id, created_at, id) where archived_at is null;

create index messages_archived_by_age on messages (tenant_id, created_at, id) where archived_at is not null;

create index messages_live_by_importance on messages (tenant_id, importance, id) where archived_at is null;

-- Who speaks in a tenant: the distinct names, found by skipping from one to the next.
create index messages_live_by_speaker on messages (tenant_id, name, role) where archived_at is null;

create index messages_by_user on messages (tenant_id, user_id, created_at, id) where user_id is not null;

create index messages_by_archival on messages (tenant_id, archived_at) where archived_at is not null;

-- What a search cannot find yet.
create index messages_not_embedded on messages (tenant_id, created_at) where embedding_status <> 'completed';

-- Metadata under the name of its tenant, so that one index serves all of them and none searches through another's.
-- Written so that Postgres inlines it: a call for each message would take three times as long.
create function tenant_metadata(tenant_id text, metadata jsonb) returns jsonb
language sql immutable parallel safe
return jsonb_set('{}', array[coalesce(tenant_id, '')], metadata);

create index messages_by_metadata on messages using gin (tenant_metadata(tenant_id, metadata) jsonb_path_ops)
with (fastupdate = off);

-- The exact scan of a tenant: everything that the score and most filters need, without a visit to the table. Live and
-- archived messages are two ranges of it.
create index message_embeddings_scan on message_embeddings (tenant_id, model_id, archived, created_at, message_id)
include (chunk, importance, conversation_key, user_key, expires_at, role, embedding);

-- The words of a tenant in the order of its conversations, so that the turn before is the entry before.
create index message_lexemes_scan
on message_lexemes (tenant_id, config, archived, conversation_id, created_at, message_id, part)
include (name, parts, length, lexemes);

grant update on message_lexemes to memory_layer_tenant;
grant delete on idempotency_keys to memory_layer_tenant;

-- The messages of the transaction's tenant whose metadata contains an object, `most` of them at most. Postgres does not
-- trust `@>` not to tell what it sees, so that under a tenant's policy no GIN index is searched; see tenant_matches.
create function tenant_metadata_matches(wanted jsonb, most integer)
returns setof uuid
language sql stable security definer rows 1000
begin atomic
    select id
    from messages
    where tenant_metadata(tenant_id, metadata)
            @> tenant_metadata(nullif(current_setting('memory.tenant_id', true), ''), wanted)
        and tenant_id = nullif(current_setting('memory.tenant_id', true), '')
    limit most;
end;

-- Not before: Postgres reads the function's query with the eyes of whoever makes it.
alter table messages force row level security;

-- As tenant_matches was, and it says which messages are archived. The worker owns it: nobody else may drop it.
set local role memory_layer_worker;
drop function tenant_matches;
reset role;

create function tenant_matches(config text, query text, as_of timestamptz)
returns table (message_id uuid, conversation_id text, created_at timestamptz, length integer, lexemes tsvector, archived boolean)
language plpgsql stable security definer rows 1000
as $$
begin
    if query = '' then
        return;
    end if;
    return query execute format(
        'select message_id, conversation_id, created_at, length, lexemes, archived from message_lexemes '
        'where tenant_id = %L and config = %L and lexemes @@ %L::tsquery and coalesce(created_at <= $1, true)',
        nullif(current_setting('memory.tenant_id', true), ''), config, query
    ) using as_of;
end
$$;

revoke all on function text_key, tenant_metadata, tenant_metadata_matches, tenant_matches from public;
grant execute on function text_key, tenant_metadata to memory_layer_tenant, memory_layer_worker;
grant execute on function tenant_metadata_matches, tenant_matches to memory_layer_tenant;

do $$
begin
    execute format('alter function tenant_metadata_matches set search_path = pg_catalog, %I, pg_temp', current_schema());
    execute format('alter function tenant_matches set search_path = pg_catalog, %I, pg_temp', current_schema());
    -- A function is given only to one who may make functions there.
    execute format('grant create on schema %I to memory_layer_worker', current_schema());
    alter function tenant_metadata_matches owner to memory_layer_worker;
    alter function tenant_matches owner to memory_layer_worker;
    execute format('revoke create on schema %I from memory_layer_worker', current_schema());
end
$$;
