-- name: models.active
-- The model whose embeddings searches read, if the database has one yet.
select id, name, revision, precision, dimensions from embedding_models where active;

-- name: models.activate_first
-- Makes a model the active one of a database that has none; does nothing when another server was first.
insert into embedding_models (name, revision, precision, dimensions, active)
values (%(name)s, %(revision)s, %(precision)s, %(dimensions)s, true)
on conflict do nothing;
