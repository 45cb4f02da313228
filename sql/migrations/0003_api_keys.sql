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
    revoked_at timestamptz
);

-- Every call finds its key by the prefix. Not unique: two keys may share one, and both hold.
create index api_keys_by_prefix on api_keys (prefix);

-- The list of keys, in pages.
create index api_keys_by_age on api_keys (created_at, id);
