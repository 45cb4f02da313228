-- The words of large tenants: how often they stand there, and a way to the tenant's word index.

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
returns table (message_id uuid, conversation_id text, created_at timestamptz, length integer, lexemes tsvector)
language plpgsql stable security definer rows 1000
as $$
begin
    if query = '' then
        return;
    end if;
    return query execute format(
        'select message_id, conversation_id, created_at, length, lexemes from message_lexemes '
        'where tenant_id = %L and config = %L and lexemes @@ %L::tsquery and coalesce(created_at <= $1, true)',
        nullif(current_setting('memory.tenant_id', true), ''), config, query
    ) using as_of;
end
$$;

revoke all on function tenant_matches from public;
grant execute on function tenant_matches to memory_layer_tenant;

do $$
begin
    execute format('alter function tenant_matches set search_path = pg_catalog, %I, pg_temp', current_schema());
    -- A function is given only to one who may make functions there.
    execute format('grant create on schema %I to memory_layer_worker', current_schema());
    alter function tenant_matches owner to memory_layer_worker;
    execute format('revoke create on schema %I from memory_layer_worker', current_schema());
end
$$;
