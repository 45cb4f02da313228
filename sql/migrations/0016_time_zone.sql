-- Whose days the dates of a tenant's queries are.
alter table tenant_policies add column time_zone text collate "C";
