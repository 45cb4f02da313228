-- name: database.ping
-- Says that the database answers.
select true as ok;

-- name: database.now
-- The database's clock, which rules over every server's.
select now() as now;

-- name: database.roles_within_reach
-- How many of some roles the user of this connection can take.
select count(*) as reached from pg_roles where rolname = any(%(roles)s) and pg_has_role(oid, 'set');
