-- Calls a minute that a key may make; 0: no limit of its own.
alter table api_keys add column rate_limit integer not null default 0 check (rate_limit >= 0);
