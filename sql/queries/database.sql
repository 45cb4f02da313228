-- name: database.ping
-- Says that the database answers.
select true as ok;

-- name: database.now
-- The database's clock, which rules over every server's.
select now() as now;

-- name: database.durability
-- What decides whether a commit that was acknowledged outlives a crash, as this role and database have it set.
select
    current_setting('fsync') as fsync,
    current_setting('full_page_writes') as full_page_writes,
    current_setting('synchronous_commit') as synchronous_commit;
