-- How many tenants a sweep could not sweep to the end.
alter table retention_runs add column failed integer not null default 0;
