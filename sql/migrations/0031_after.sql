-- The weight of the turn right after.
alter table tenant_policies add column hybrid_after_weight double precision;
