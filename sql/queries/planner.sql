-- name: planner.sample
-- Samples a table's values anew.
analyze {table};
