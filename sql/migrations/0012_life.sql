-- Lists of conversations and of users count from the index alone: whether a message is archived or expired stands there.
drop index messages_by_conversation;

create index messages_by_conversation on messages (tenant_id, conversation_id, created_at, id)
include (archived_at, expires_at, user_id);

drop index messages_by_user;

create index messages_by_user on messages (tenant_id, user_id, created_at, id) include (archived_at, expires_at)
where user_id is not null;

-- What has expired, for the sweep.
create index messages_by_expiry on messages (tenant_id, expires_at) where expires_at is not null;

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

-- The words of a message that is updated are made anew.
grant delete on message_lexemes to memory_layer_tenant;
