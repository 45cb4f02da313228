-- The words of large tenants: how often each stands in a tenant, and a way to its word index.

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

create table tenant_words (
    tenant_id text collate "C" not null,
    config text collate "C" not null,
    word text collate "C" not null,
    frequency bigint not null,
    primary key (tenant_id, config, word),
    foreign key (tenant_id, config) references tenant_word_statistics (tenant_id, config) on delete cascade
);

create function tenant_matches(config text, query text, as_of timestamptz)
returns table (message_id uuid, conversation_id text, created_at timestamptz, length integer, lexemes tsvector)
language plpgsql stable security definer rows 2000 set search_path from current
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
