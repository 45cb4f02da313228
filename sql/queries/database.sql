-- name: database.ping
-- Says that the database answers.
select true as ok;

-- name: database.now
-- The database's clock, which rules over every server's.
select now() as now;
