-- The whole schema, as all migrations together leave it (a test compares the two).
--
-- tenant_id leads every key and index, so that a search reads one tenant's rows only and the tables can be distributed
-- by it. Identifiers collate "C": they are compared byte for byte, never folded.

create extension if not exists vector;

-- The models that have made embeddings here. One is active: its embeddings are the ones that searches read.
create table embedding_models (
    id smallint generated always as identity primary key,
    name text not null,
    revision text not null,
    precision text not null,
    dimensions integer not null check (dimensions > 0),
    active boolean not null,
    created_at timestamptz not null default now(),
    unique (name, revision, precision, dimensions)
);

create unique index embedding_models_one_active on embedding_models (active) where active;

-- What was said.
create table messages (
    tenant_id text collate "C" not null,
    id uuid not null,
    conversation_id text collate "C" not null,
    role text collate "C" not null check (role in ('user', 'assistant', 'system')),
    name text collate "C",
    content text not null,
    metadata jsonb not null,
    importance double precision not null check (importance between 0 and 1),
    embedding_status text collate "C" not null check (embedding_status in ('pending', 'completed', 'failed')),
    created_at timestamptz not null,
    updated_at timestamptz not null,
    -- The end user whose memory it belongs to.
    user_id text collate "C",
    -- When retention took it out of search; null while it is live.
    archived_at timestamptz,
    pinned boolean not null default false,
    expires_at timestamptz,
    revision integer not null default 1,
    -- A tag of BCP 47, where the caller said so.
    language text collate "C",
    primary key (tenant_id, id)
);

-- GetMessage knows the id alone.
create index messages_by_id on messages (id);

-- Listings, oldest or newest first: of what is live, and of the archive.
create index messages_live_by_age on messages (tenant_id, created_at, id) where archived_at is null;

create index messages_archived_by_age on messages (tenant_id, created_at, id) where archived_at is not null;

-- Lists of conversations and of users count from these alone.
create index messages_by_conversation on messages (tenant_id, conversation_id, created_at, id)
include (archived_at, expires_at, user_id);

create index messages_by_user on messages (tenant_id, user_id, created_at, id) include (archived_at, expires_at)
where user_id is not null;

-- Pinned messages lead every context.
create index messages_pinned on messages (tenant_id, user_id, created_at, id) where pinned;

create index messages_live_by_importance on messages (tenant_id, importance, id) where archived_at is null;

-- Who speaks in a tenant: the distinct names, found by skipping from one to the next.
create index messages_live_by_speaker on messages (tenant_id, name, role) where archived_at is null;

create index messages_by_archival on messages (tenant_id, archived_at) where archived_at is not null;

-- What has expired, for the sweep.
create index messages_by_expiry on messages (tenant_id, expires_at) where expires_at is not null;

-- What a search cannot find yet.
create index messages_not_embedded on messages (tenant_id, created_at) where embedding_status <> 'completed';

-- Metadata under the name of its tenant, so that one index serves all of them and none searches through another's.
-- Written so that Postgres inlines it: a call for each message would take three times as long.
create function tenant_metadata(tenant_id text, metadata jsonb) returns jsonb
language sql immutable parallel safe
return jsonb_set('{}', array[coalesce(tenant_id, '')], metadata);

create index messages_by_metadata on messages using gin (tenant_metadata(tenant_id, metadata) jsonb_path_ops)
with (fastupdate = off);

-- What stands for an identifier in 8 bytes: the first of its SHA-256, so that nobody finds another with the same.
create function text_key(identifier text) returns bigint
language sql immutable strict parallel safe
return ('x' || encode(substr(sha256(convert_to(identifier, 'UTF8')), 1, 8), 'hex'))::bit(64)::bigint;

-- The vectors, one a window of the content (chunk 0 is the first), narrow and apart from the text. What the ranking and most
-- filters read besides the vector is repeated here, so that one index answers the whole scan: in columns of fixed width. What
-- a tenant adds comes behind what it has, mostly in the middle of the index: Postgres then splits a page behind the new entry
-- and leaves it full only where all of its entries are of one size, and in half where they are not.
create table message_embeddings (
    tenant_id text collate "C" not null,
    message_id uuid not null,
    created_at timestamptz not null,
    importance double precision not null,
    conversation_key bigint not null,
    -- 0 where the message is nobody's.
    user_key bigint not null,
    -- 'infinity' where it does not expire.
    expires_at timestamptz not null,
    chunk integer not null check (chunk >= 0),
    model_id smallint not null references embedding_models (id),
    archived boolean not null,
    -- The first letter of the role.
    role "char" not null,
    embedding halfvec not null,
    primary key (tenant_id, message_id, chunk, model_id),
    foreign key (tenant_id, message_id) references messages (tenant_id, id) on delete cascade
)
-- Index-only scans need the visibility map: vacuum after inserts long before a fifth of the table is new.
with (autovacuum_vacuum_insert_scale_factor = 0.02, autovacuum_vacuum_scale_factor = 0.02);

-- The exact scan of a tenant: everything that the score and most filters need, without a visit to the table. Live and
-- archived messages are two ranges of it.
create index message_embeddings_scan on message_embeddings (tenant_id, model_id, archived, created_at, message_id)
include (chunk, importance, conversation_key, user_key, expires_at, role, embedding);

-- The request ids of recent ingests, with a digest of the body, so that a retry stores nothing twice.
create table idempotency_keys (
    tenant_id text collate "C" not null,
    request_id uuid not null,
    body_digest bytea not null,
    message_id uuid not null,
    created_at timestamptz not null default now(),
    -- Lasts as long as its message, not just for MEMORY_IDEMPOTENCY_HOURS.
    kept boolean not null default false,
    primary key (tenant_id, request_id)
);

create index idempotency_keys_by_age on idempotency_keys (created_at);

create index idempotency_keys_by_message on idempotency_keys (tenant_id, message_id);

-- Messages that wait for their embedding. A queue over all tenants, small, and never distributed.
create table embedding_jobs (
    tenant_id text collate "C" not null,
    message_id uuid not null,
    attempts integer not null default 0,
    run_at timestamptz not null default now(),
    enqueued_at timestamptz not null default now(),
    primary key (tenant_id, message_id)
);

create index embedding_jobs_due on embedding_jobs (run_at);

-- A tenant's own policy; null falls back to the deployment's.
create table tenant_policies (
    tenant_id text collate "C" primary key,
    retention_max_age_days double precision,
    retention_importance_threshold double precision,
    retention_delete_after_days double precision,
    importance_recency_weight double precision,
    importance_role_weight double precision,
    importance_explicit_weight double precision,
    score_similarity_weight double precision,
    score_importance_weight double precision,
    score_decay_weight double precision,
    hybrid_lexical_weight double precision,
    hybrid_conversation_weight double precision,
    hybrid_date_weight double precision,
    hybrid_speaker_weight double precision,
    search_ranking text collate "C" check (search_ranking in ('semantic', 'hybrid')),
    updated_at timestamptz not null default now(),
    hybrid_previous_weight double precision,
    hybrid_names_to_i boolean,
    quota_max_messages bigint check (quota_max_messages >= 0),
    quota_max_bytes bigint check (quota_max_bytes >= 0),
    time_zone text collate "C",
    hybrid_recipe text collate "C" check (hybrid_recipe in ('surroundings', 'conversation')),
    hybrid_near_weight double precision,
    hybrid_coverage_weight double precision,
    hybrid_asks_when_weight double precision,
    hybrid_first_person_weight double precision,
    hybrid_question_weight double precision,
    hybrid_assistant_weight double precision,
    language text collate "C",
    hybrid_rerank_weight double precision,
    hybrid_after_weight double precision
);

-- Who may do a job that only one server may do at a time, and until when by the database's clock.
create table leases (
    name text collate "C" primary key,
    holder uuid not null,
    expires_at timestamptz not null
);

-- The scheduled sweeps, newest last.
create table retention_runs (
    id bigint generated always as identity primary key,
    started_at timestamptz not null default now(),
    finished_at timestamptz,
    status text collate "C" not null check (status in ('running', 'ok', 'failed')),
    tenants integer not null default 0,
    archived bigint not null default 0,
    deleted bigint not null default 0,
    failed integer not null default 0
);

-- The words of every message as a text-search configuration makes them, the speaker's name among them, narrow and apart
-- from the text; with places only what a message repeats. `config` names the configuration: words of two never mix, as
-- vectors of two models never do. Most messages are one row, part 0; the words of a long one go on in further rows, because
-- an index entry ends at 2,704 bytes. What the ranking reads besides the words is repeated here, so that one index answers
-- the whole scan.
create table message_lexemes (
    tenant_id text collate "C" not null,
    message_id uuid not null,
    config text collate "C" not null,
    part integer not null check (part >= 0),
    conversation_id text collate "C" not null,
    created_at timestamptz not null,
    name text collate "C",
    -- Of the whole message: how many rows its words take, and how many words it has, repeats counted.
    parts integer not null check (parts > 0),
    length integer not null check (length >= 0),
    -- External: never compressed, in the index neither, where unpacking would cost more than the space.
    lexemes tsvector storage external not null,
    archived boolean not null default false,
    cues smallint not null default 0,
    primary key (tenant_id, message_id, config, part),
    foreign key (tenant_id, message_id) references messages (tenant_id, id) on delete cascade
)
-- Index-only scans need the visibility map: vacuum after inserts long before a fifth of the table is new.
with (autovacuum_vacuum_insert_scale_factor = 0.02, autovacuum_vacuum_scale_factor = 0.02);

-- The words of a tenant in the order of its conversations, so that the turn before is the entry before.
create index message_lexemes_scan
on message_lexemes (tenant_id, config, archived, conversation_id, created_at, message_id, part)
include (name, parts, length, cues, lexemes);

-- Keys that were made by CreateApiKey. The key itself is never here: a SHA-256 digest is, and a prefix to find it by.
create table api_keys (
    id uuid primary key,
    prefix text collate "C" not null,
    digest bytea not null check (octet_length(digest) = 32),
    label text not null,
    role text collate "C" not null check (role in ('reader', 'writer', 'admin')),
    -- Null: every tenant, those to come included. Never empty, so that an empty list cannot be taken for all.
    tenant_ids text[] collate "C" check (cardinality(tenant_ids) > 0),
    created_at timestamptz not null default now(),
    expires_at timestamptz,
    revoked_at timestamptz,
    -- Calls a minute; 0: no limit of the key's own.
    rate_limit integer not null default 0 check (rate_limit >= 0)
);

-- Every call finds its key by the prefix. Not unique: two keys may share one, and both hold.
create index api_keys_by_prefix on api_keys (prefix);

-- The list of keys, in pages.
create index api_keys_by_age on api_keys (created_at, id);

-- Row-level security: the server works as a role that sees one tenant, or as one that sees all, and never as the owner.

-- Roles belong to the whole cluster: another database may have made them already, or be making them right now. MLR01
-- becomes a sentence in store/migrations.py that says what an administrator has to do.
do $$
declare
    wanted text;
begin
    foreach wanted in array array['memory_layer_tenant', 'memory_layer_worker'] loop
        if not exists (select from pg_roles where rolname = wanted) then
            begin
                execute format('create role %I nologin', wanted);
            exception
                when duplicate_object or unique_violation then null;
                when insufficient_privilege then raise exception 'no right to create roles' using errcode = 'MLR01';
            end;
        end if;
        if not pg_has_role(wanted, 'set') then
            begin
                -- Not inherited: what the user sees without having taken a role is nothing, not everything.
                execute format('grant %I to current_user with inherit false, set true', wanted);
            exception
                when unique_violation or internal_error then null;  -- the same grant, at the same time
                when insufficient_privilege then raise exception 'no right to grant roles' using errcode = 'MLR01';
            end;
        end if;
        if not pg_has_role(wanted, 'set') then
            raise exception 'not a member' using errcode = 'MLR01';
        end if;
    end loop;
    execute format('grant usage on schema %I to memory_layer_tenant, memory_layer_worker', current_schema());
end
$$;

-- What the statements in sql/queries need, and no more. Every new table needs its own grants and policies: a test
-- counts them. `for update` takes the right to update. Rows that go with their message go by a foreign key's cascade,
-- which works with the owner's rights.
grant select, insert, update, delete on messages, embedding_jobs, tenant_policies to memory_layer_tenant;
grant select, insert, update, delete on message_embeddings to memory_layer_tenant;
grant select, insert, update, delete on message_lexemes to memory_layer_tenant;
grant select, insert, delete, update (kept) on idempotency_keys to memory_layer_tenant;
grant select on embedding_models to memory_layer_tenant;
-- A sweep renews its lease in the transaction that archives.
grant select, update on leases to memory_layer_tenant;

-- The worker finds work, and reads everything so that it can make a backup; it changes nothing that was said.
grant select on messages, message_embeddings, message_lexemes, tenant_policies to memory_layer_worker;
grant select, insert on embedding_models to memory_layer_worker;
grant select, delete on idempotency_keys to memory_layer_worker;
grant select, update on embedding_jobs to memory_layer_worker;
grant select, insert, update, delete on leases, retention_runs to memory_layer_worker;
-- Keys are looked up before it is known which tenant calls.
grant select, insert, update on api_keys to memory_layer_worker;
grant select on sequence embedding_models_id_seq, retention_runs_id_seq to memory_layer_worker;

-- Without the setting, or with an empty one, as it is after a transaction that set it, no row is visible. What is
-- written must be visible too.
alter table messages enable row level security, force row level security;
create policy one_tenant on messages to memory_layer_tenant
using (tenant_id = nullif(current_setting('memory.tenant_id', true), ''));
create policy every_tenant on messages to memory_layer_worker using (true);

alter table message_embeddings enable row level security, force row level security;
create policy one_tenant on message_embeddings to memory_layer_tenant
using (tenant_id = nullif(current_setting('memory.tenant_id', true), ''));
create policy every_tenant on message_embeddings to memory_layer_worker using (true);

alter table message_lexemes enable row level security, force row level security;
create policy one_tenant on message_lexemes to memory_layer_tenant
using (tenant_id = nullif(current_setting('memory.tenant_id', true), ''));
create policy every_tenant on message_lexemes to memory_layer_worker using (true);

alter table idempotency_keys enable row level security, force row level security;
create policy one_tenant on idempotency_keys to memory_layer_tenant
using (tenant_id = nullif(current_setting('memory.tenant_id', true), ''));
create policy every_tenant on idempotency_keys to memory_layer_worker using (true);

alter table embedding_jobs enable row level security, force row level security;
create policy one_tenant on embedding_jobs to memory_layer_tenant
using (tenant_id = nullif(current_setting('memory.tenant_id', true), ''));
create policy every_tenant on embedding_jobs to memory_layer_worker using (true);

alter table tenant_policies enable row level security, force row level security;
create policy one_tenant on tenant_policies to memory_layer_tenant
using (tenant_id = nullif(current_setting('memory.tenant_id', true), ''));
create policy every_tenant on tenant_policies to memory_layer_worker using (true);

-- The tenants that outgrew the scan: each has an HNSW graph of its own, the partial index `index_name` on
-- message_embeddings.
create table tenant_graphs (
    tenant_id text collate "C" not null,
    model_id smallint not null references embedding_models (id),
    index_name text collate "C" not null unique,
    state text collate "C" not null check (state in ('building', 'ready', 'failed', 'dropping')),
    -- Of the tenant, when the build began.
    messages bigint not null,
    started_at timestamptz not null default now(),
    finished_at timestamptz,
    primary key (tenant_id, model_id)
);

grant select, insert, update, delete on tenant_graphs to memory_layer_tenant;
grant select on tenant_graphs to memory_layer_worker;
alter table tenant_graphs enable row level security, force row level security;
create policy one_tenant on tenant_graphs to memory_layer_tenant
using (tenant_id = nullif(current_setting('memory.tenant_id', true), ''));
create policy every_tenant on tenant_graphs to memory_layer_worker using (true);
-- The model of a tenant that does not read the deployment's (the active one of embedding_models).
create table tenant_models (
    tenant_id text collate "C" primary key,
    model_id smallint not null references embedding_models (id)
);

-- The changes of model, newest last. only_tenant null means every tenant; model_id is the model they come to. They are
-- the deployment's, and no tenant's own.
create table reembeddings (
    id integer generated always as identity primary key,
    only_tenant text collate "C",
    previous_model_id smallint not null references embedding_models (id),
    model_id smallint not null references embedding_models (id),
    -- running: vectors are being made; ready: all are there, the cut-over may come; cut_over: searches read the new
    -- ones, the old ones are being removed; done; cancelled.
    state text collate "C" not null check (state in ('running', 'ready', 'cut_over', 'done', 'cancelled')),
    keep_old boolean not null,
    total integer not null default 0,
    embedded integer not null default 0,
    last_error text,
    started_at timestamptz not null default now(),
    ready_at timestamptz,
    cut_over_at timestamptz,
    finished_at timestamptz
);

-- One at a time.
create unique index reembeddings_one_open on reembeddings ((true)) where state in ('running', 'ready', 'cut_over');

-- Messages that were embedded with the model in use while a re-embedding was open: they still need the new model's
-- vectors. A queue over all tenants, small, and never distributed.
create table reembedding_backlog (
    tenant_id text collate "C" not null,
    message_id uuid not null,
    attempts integer not null default 0,
    primary key (tenant_id, message_id)
);

-- As migration 0004 explains. Which model a tenant uses is the worker's to say.
grant update on embedding_models to memory_layer_worker;

grant select on tenant_models to memory_layer_tenant;
grant select, insert, update, delete on tenant_models to memory_layer_worker;
alter table tenant_models enable row level security, force row level security;
create policy one_tenant on tenant_models to memory_layer_tenant
using (tenant_id = nullif(current_setting('memory.tenant_id', true), ''));
create policy every_tenant on tenant_models to memory_layer_worker using (true);

grant select (only_tenant, model_id, state) on reembeddings to memory_layer_tenant;
grant select, insert, update on reembeddings to memory_layer_worker;
grant select on sequence reembeddings_id_seq to memory_layer_worker;

grant select, insert, update, delete on reembedding_backlog to memory_layer_tenant;
grant select, delete on reembedding_backlog to memory_layer_worker;
alter table reembedding_backlog enable row level security, force row level security;
create policy one_tenant on reembedding_backlog to memory_layer_tenant
using (tenant_id = nullif(current_setting('memory.tenant_id', true), ''));
create policy every_tenant on reembedding_backlog to memory_layer_worker using (true);

-- What was counted of the words of tenants that have a word index, a partial GIN index on message_lexemes of their own.
create table tenant_word_statistics (
    tenant_id text collate "C" not null,
    config text collate "C" not null,
    messages bigint not null,
    -- Words of all messages, repeats counted; and of the turns one and two before each.
    length bigint not null,
    length1 bigint not null,
    length2 bigint not null,
    counted_at timestamptz not null default now(),
    primary key (tenant_id, config)
);

-- In how many of a tenant's messages a word stands. Rare words are not here: they are counted when they are asked for.
create table tenant_words (
    tenant_id text collate "C" not null,
    config text collate "C" not null,
    word text collate "C" not null,
    frequency bigint not null,
    primary key (tenant_id, config, word),
    foreign key (tenant_id, config) references tenant_word_statistics (tenant_id, config) on delete cascade
);

grant select, insert, update, delete on tenant_word_statistics to memory_layer_tenant;
grant select, insert, delete on tenant_words to memory_layer_tenant;
grant select on tenant_word_statistics, tenant_words to memory_layer_worker;

alter table tenant_word_statistics enable row level security, force row level security;
create policy one_tenant on tenant_word_statistics to memory_layer_tenant
using (tenant_id = nullif(current_setting('memory.tenant_id', true), ''));
create policy every_tenant on tenant_word_statistics to memory_layer_worker using (true);

alter table tenant_words enable row level security, force row level security;
create policy one_tenant on tenant_words to memory_layer_tenant
using (tenant_id = nullif(current_setting('memory.tenant_id', true), ''));
create policy every_tenant on tenant_words to memory_layer_worker using (true);

-- The rows of the transaction's tenant, and of no other, that match a text-search query. Postgres does not trust `@@` not
-- to tell what it sees, so that under a tenant's policy no GIN index is searched. This function works as the role that
-- sees every tenant and keeps to one by itself, as strictly as the policy does: the tenant is the transaction's setting,
-- never an argument. It stands as a literal in the statement, for the planner to find the tenant's partial index.
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

-- The messages of the transaction's tenant whose metadata contains an object, `most` of them at most. Postgres does not
-- trust `@>` either.
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

-- Who did what: a table that the service can only append to.

create table audit_events (
    id uuid primary key,
    happened_at timestamptz not null default now(),
    actor text collate "C" not null check (length(actor) between 1 and 300),
    action text collate "C" not null check (length(action) between 1 and 100),
    outcome text collate "C" not null check (length(outcome) between 1 and 50),
    -- Null: the deployment as a whole.
    tenant_id text collate "C",
    request_id text collate "C" not null default ''
);

create index audit_events_by_age on audit_events (happened_at, id);

create index audit_events_of_tenant on audit_events (tenant_id, happened_at, id);

-- Whether a key was used within the last hour.
create index audit_events_of_use on audit_events (actor, happened_at) where action = 'key.use';

-- Nobody has the right to change an event or to take one away. What is old goes by expire_audit_events.
grant select on audit_events to memory_layer_tenant;
grant select, insert on audit_events to memory_layer_worker;

alter table audit_events enable row level security, force row level security;
create policy one_tenant on audit_events to memory_layer_tenant
using (tenant_id = nullif(current_setting('memory.tenant_id', true), ''));
create policy every_tenant on audit_events to memory_layer_worker using (true);
-- The owner, as whom the function below works, reaches what is old and nothing else.
create policy expired on audit_events to current_user using (happened_at < now() - interval '30 days');

-- An event stands as it was written, whoever would change it.
create function refuse_change() returns trigger
language plpgsql
as $$
begin
    raise exception 'audit_events is only appended to' using errcode = 'insufficient_privilege';
end
$$;

create trigger append_only before update or truncate on audit_events
for each statement execute function refuse_change();

-- Forgets up to `most` events that are older than so many days, 30 at least, and returns how many there were.
create function expire_audit_events(days double precision, most integer) returns integer
language plpgsql security definer
as $$
declare
    forgotten integer;
begin
    delete from audit_events
    where id in (
        select id
        from audit_events
        where happened_at < now() - make_interval(secs => greatest(days, 30) * 86400)
        order by happened_at, id
        limit most
        for update skip locked
    );
    get diagnostics forgotten = row_count;
    return forgotten;
end
$$;

revoke all on function refuse_change, expire_audit_events from public;
grant execute on function expire_audit_events to memory_layer_worker;

do $$
begin
    execute format('alter function expire_audit_events set search_path = pg_catalog, %I, pg_temp', current_schema());
end
$$;

-- What is kept of an erased message, and of the request ids that stored or changed it: that there was something of this
-- id, so that no retry and no import brings it back. The id itself is in none of them.
create table erased_messages (
    tenant_id text collate "C" not null,
    -- Of the id: erasure_digest().
    digest bytea not null check (octet_length(digest) = 32),
    kind text collate "C" not null check (kind in ('message', 'request')),
    erased_at timestamptz not null default now(),
    -- The planned erasure that it was a part of; null where one message was deleted by itself.
    erasure_id uuid,
    primary key (tenant_id, digest)
);

-- What stands for an id of a tenant after its erasure. An id is 36 characters, so that no two kinds, ids and tenants read
-- the same.
create function erasure_digest(kind text, id uuid, tenant_id text) returns bytea
language sql immutable strict parallel safe
return sha256(convert_to(kind || ' ' || id || ' ' || tenant_id, 'UTF8'));

revoke all on function erasure_digest from public;
grant execute on function erasure_digest to memory_layer_tenant, memory_layer_worker;

grant select, insert on erased_messages to memory_layer_tenant;
grant select on erased_messages to memory_layer_worker;
alter table erased_messages enable row level security, force row level security;
create policy one_tenant on erased_messages to memory_layer_tenant
using (tenant_id = nullif(current_setting('memory.tenant_id', true), ''));
create policy every_tenant on erased_messages to memory_layer_worker using (true);

-- What messages were before they were updated, as long as the messages are there. Only searches as of a moment before a
-- tenant's last update look here; no other statement becomes wider.
create table message_revisions (
    tenant_id text collate "C" not null,
    message_id uuid not null,
    revision integer not null check (revision > 0),
    valid_from timestamptz not null,
    valid_to timestamptz not null,
    user_id text collate "C",
    name text collate "C",
    content text not null,
    metadata jsonb not null,
    importance double precision not null,
    embedding_status text collate "C" not null,
    updated_at timestamptz not null,
    pinned boolean not null,
    expires_at timestamptz,
    primary key (tenant_id, message_id, revision),
    foreign key (tenant_id, message_id) references messages (tenant_id, id) on delete cascade
);

-- What was another at some moment.
create index message_revisions_by_end on message_revisions (tenant_id, valid_to);

-- Their vectors and words. What messages repeat in message_embeddings and message_lexemes is not repeated here.
create table revision_embeddings (
    tenant_id text collate "C" not null,
    message_id uuid not null,
    revision integer not null,
    chunk integer not null,
    model_id smallint not null references embedding_models (id),
    embedding halfvec not null,
    primary key (tenant_id, message_id, revision, chunk, model_id),
    foreign key (tenant_id, message_id, revision) references message_revisions (tenant_id, message_id, revision)
        on delete cascade
);

create table revision_lexemes (
    tenant_id text collate "C" not null,
    message_id uuid not null,
    revision integer not null,
    config text collate "C" not null,
    part integer not null,
    parts integer not null,
    length integer not null,
    lexemes tsvector storage external not null,
    cues smallint not null default 0,
    primary key (tenant_id, message_id, revision, config, part),
    foreign key (tenant_id, message_id, revision) references message_revisions (tenant_id, message_id, revision)
        on delete cascade
);

-- They go with their message by themselves.
grant select, insert on message_revisions, revision_embeddings, revision_lexemes to memory_layer_tenant;
grant select on message_revisions, revision_embeddings, revision_lexemes to memory_layer_worker;

alter table message_revisions enable row level security, force row level security;
create policy one_tenant on message_revisions to memory_layer_tenant
using (tenant_id = nullif(current_setting('memory.tenant_id', true), ''));
create policy every_tenant on message_revisions to memory_layer_worker using (true);

alter table revision_embeddings enable row level security, force row level security;
create policy one_tenant on revision_embeddings to memory_layer_tenant
using (tenant_id = nullif(current_setting('memory.tenant_id', true), ''));
create policy every_tenant on revision_embeddings to memory_layer_worker using (true);

alter table revision_lexemes enable row level security, force row level security;
create policy one_tenant on revision_lexemes to memory_layer_tenant
using (tenant_id = nullif(current_setting('memory.tenant_id', true), ''));
create policy every_tenant on revision_lexemes to memory_layer_worker using (true);

-- Planned erasures, and what became of them. What was asked for is not here, it may be somebody's name: only what kind of
-- thing it was.
create table erasures (
    tenant_id text collate "C" not null,
    id uuid not null,
    scope text collate "C" not null check (scope in ('filter', 'user', 'conversation', 'whole_tenant')),
    -- planned; erasing: messages go; cleaning: all are gone, and what was counted and indexed of them goes; done.
    state text collate "C" not null check (state in ('planned', 'erasing', 'cleaning', 'done')),
    planned integer not null default 0,
    erased integer not null default 0,
    -- Rows of each table, by its name.
    planned_rows jsonb not null default '{}',
    erased_rows jsonb not null default '{}',
    -- SHA-256 over the planned ids, in order.
    ids_digest bytea,
    -- The id of a key, or what there was instead of one.
    planned_by text not null,
    applied_by text,
    planned_at timestamptz not null default now(),
    expires_at timestamptz not null,
    applied_at timestamptz,
    erased_at timestamptz,
    finished_at timestamptz,
    last_error text,
    primary key (tenant_id, id)
);

create index erasures_open on erasures (applied_at) where state in ('erasing', 'cleaning');

create index erasures_planned on erasures (expires_at) where state = 'planned';

-- The messages that an erasure has yet to erase.
create table erasure_items (
    tenant_id text collate "C" not null,
    erasure_id uuid not null,
    message_id uuid not null,
    primary key (tenant_id, erasure_id, message_id),
    foreign key (tenant_id, erasure_id) references erasures (tenant_id, id) on delete cascade
);

create index erasure_items_by_message on erasure_items (tenant_id, message_id);

grant select, insert, update on erasures to memory_layer_tenant;
grant select, delete on erasures to memory_layer_worker;
alter table erasures enable row level security, force row level security;
create policy one_tenant on erasures to memory_layer_tenant
using (tenant_id = nullif(current_setting('memory.tenant_id', true), ''));
create policy every_tenant on erasures to memory_layer_worker using (true);

grant select, insert, delete on erasure_items to memory_layer_tenant;
grant select on erasure_items to memory_layer_worker;
alter table erasure_items enable row level security, force row level security;
create policy one_tenant on erasure_items to memory_layer_tenant
using (tenant_id = nullif(current_setting('memory.tenant_id', true), ''));
create policy every_tenant on erasure_items to memory_layer_worker using (true);

-- By which configuration a tenant's words are stored: a text-search configuration and the number of the rules by which texts
-- are read (`english/2`). Searches read `config`; where another is to take its place, whatever is stored is stored in
-- `next_config` too, and messages from before are filled in, to `filled_to` by now. `former` are to be removed.
create table tenant_vocabularies (
    tenant_id text collate "C" primary key,
    config text collate "C" not null,
    next_config text collate "C",
    filled_to uuid,
    former text[] not null default '{}',
    changed_at timestamptz not null default now()
);

create index tenant_vocabularies_changing on tenant_vocabularies (tenant_id)
where next_config is not null or former <> '{}';

grant select, insert, update, delete on tenant_vocabularies to memory_layer_tenant;
grant delete on revision_lexemes to memory_layer_tenant;
grant select on tenant_vocabularies to memory_layer_worker;
alter table tenant_vocabularies enable row level security, force row level security;
create policy one_tenant on tenant_vocabularies to memory_layer_tenant
using (tenant_id = nullif(current_setting('memory.tenant_id', true), ''));
create policy every_tenant on tenant_vocabularies to memory_layer_worker using (true);

-- What a text is found by: its words by a configuration, without accents, and what was found in it besides
-- (memory_grpc/ranking/lexemes.py). Stems first: some languages tell their endings by accents.
create function text_lexemes(config text, words text, others text) returns tsvector
language sql stable parallel safe
begin atomic
    select others::tsvector || case
            when octet_length(words) = length(words) then to_tsvector(split_part(config, '/', 1)::regconfig, words)
            else translate(
                normalize(
                    regexp_replace(
                        normalize(to_tsvector(split_part(config, '/', 1)::regconfig, words)::text, nfd),
                        '([a-zα-ωе])[\u0300-\u036f]+', '\1', 'g'
                    ),
                    nfc
                ),
                'øłđı', 'oldi'
            )::tsvector
        end;
end;

-- What the words of a message give away besides what they mean.
-- The bits (ranking/cues.py): 1, it has a word of time; 2, it speaks of its speaker; 4, it ends with a question mark; 8, an
-- assistant said it. English, as the hybrid ranking's recipe is.
create function message_cues(content text, role text) returns smallint
language sql immutable strict parallel safe
return (
    (content ~* '\y(yesterday|today|tonight|tomorrow|ago|last|next|recently|earlier|later|since|days?|weeks?|weekend|months?|years?|mornings?|evening|afternoon|night|monday|tuesday|wednesday|thursday|friday|saturday|sunday|january|february|march|april|may|june|july|august|september|october|november|december|spring|summer|autumn|fall|winter|(19|20)\d\d)\y')::integer
    + 2 * (content ~* '\y(i|me|my|mine|myself|we|us|our)\y')::integer
    + 4 * (right(rtrim(content, E' \t\r\n'), 1) = '?')::integer
    + 8 * (role = 'assistant')::integer
)::smallint;

revoke all on function message_cues from public;
grant execute on function message_cues to memory_layer_tenant, memory_layer_worker;
