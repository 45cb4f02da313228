-- The parts of the hybrid ranking that a policy could not weigh yet.
alter table tenant_policies
add column hybrid_previous_weight double precision,
add column hybrid_names_to_i boolean;
