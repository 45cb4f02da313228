-- Calls a minute that a key may make; 0: no limit of its own.
alter table api_keys add column rate_limit integer not null default 0 check (rate_limit >= 0);

-- How much a tenant may store; null: as the deployment says. 0: no limit.
alter table tenant_policies add column quota_max_messages bigint check (quota_max_messages >= 0);
alter table tenant_policies add column quota_max_bytes bigint check (quota_max_bytes >= 0);
