-- fragment: keys.columns
-- What is told of a key; its digest is not among it.
id, prefix, label, role, tenant_ids, created_at, expires_at, revoked_at, rate_limit

-- name: keys.insert
-- Stores a key, unless it has expired before it began: then there is no row.
insert into api_keys (id, prefix, digest, label, role, tenant_ids, expires_at, rate_limit)
select %(id)s, %(prefix)s, %(digest)s, %(label)s, %(role)s, %(tenant_ids)s, %(expires_at)s, %(rate_limit)s
where coalesce(%(expires_at)s::timestamptz > now(), true)
returning {{keys.columns}};

-- name: keys.of_prefix
-- The keys of a prefix that hold now, with their digests.
select id, digest, role, tenant_ids, rate_limit from api_keys
where prefix = %(prefix)s and revoked_at is null and coalesce(expires_at > now(), true);

-- name: keys.any
-- Whether a key was ever made, revoked and expired ones included.
select exists(select from api_keys) as found;

-- name: keys.lock_first
-- Lets one caller at a time look whether a key was ever made, and make the first: held until the transaction ends. 7208
-- is the number of this lock, chosen freely.
select pg_advisory_xact_lock(7208, 0);

-- name: keys.page
-- Up to `limit` keys after a place, in the order in which they were made.
select {{keys.columns}} from api_keys
where %(after_at)s::timestamptz is null or (created_at, id) > (%(after_at)s, %(after_id)s::uuid)
order by created_at, id
limit %(limit)s;

-- name: keys.revoke
-- Revokes a key; one that is revoked already keeps its time.
update api_keys set revoked_at = coalesce(revoked_at, now())
where id = %(id)s
returning {{keys.columns}};
