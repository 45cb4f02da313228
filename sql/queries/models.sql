-- name: models.active
-- The deployment's model, if the database has one yet: searches read its embeddings, unless their tenant has its own.
select id, name, revision, precision, dimensions from embedding_models where active;

-- name: models.activate_first
-- Makes a model the active one of a database that has none; does nothing when another server was first.
insert into embedding_models (name, revision, precision, dimensions, active)
values (%(name)s, %(revision)s, %(precision)s, %(dimensions)s, true)
on conflict do nothing;

-- name: models.register
-- Gives a model a number, unless it has one.
insert into embedding_models (name, revision, precision, dimensions, active)
select %(name)s, %(revision)s, %(precision)s, %(dimensions)s, false
where not exists (
    select from embedding_models
    where name = %(name)s and revision = %(revision)s and precision = %(precision)s and dimensions = %(dimensions)s
)
on conflict do nothing;

-- name: models.all
-- Every model that has a number here.
select id, name, revision, precision, dimensions, active from embedding_models order by id;

-- name: models.of_tenants
-- The models that tenants have as their own.
select distinct model_id from tenant_models;

-- name: models.of_tenant
-- Whose vectors a tenant's searches read now: its own model's, or the deployment's.
select coalesce(own.model_id, active.id) as model_id, own.model_id is not null as own
from (select id from embedding_models where active) as active
left join tenant_models as own on own.tenant_id = %(tenant_id)s;

-- name: models.to_write
-- As models.of_tenant, and the model of an open re-embedding that takes the tenant in, if there is one. Run it after
-- models.lock_shared, in a statement of its own, so that it sees what was committed before the lock was had.
select coalesce(own.model_id, active.id) as model_id, own.model_id is not null as own,
    (
        select r.model_id
        from reembeddings r
        where r.state in ('running', 'ready') and (r.only_tenant is null or r.only_tenant = %(tenant_id)s)
    ) as next_model_id
from (select id from embedding_models where active) as active
left join tenant_models as own on own.tenant_id = %(tenant_id)s;

-- name: models.lock_shared
-- Keeps every tenant's model as it is until the transaction ends. Whoever stores vectors holds it, many at once; a
-- cut-over, and the start of a re-embedding, wait for them. 7206 is the number of this lock, chosen freely.
select pg_advisory_xact_lock_shared(7206, 0);

-- name: models.lock_timeout
-- How long this transaction waits for a lock.
select set_config('lock_timeout', %(milliseconds)s::text, true);

-- name: models.lock_exclusive
-- As models.lock_shared, alone.
select pg_advisory_xact_lock(7206, 0);

-- name: models.lock_tenant_shared
-- Keeps a tenant's messages where they are, live or archived, until the transaction ends: whoever adds vectors to
-- messages stored before holds it. Archiving sees the vectors of its moment only, so one that came during it would be
-- left behind. 7207 is the number of this lock.
select pg_advisory_xact_lock_shared(7207, hashtext(%(tenant_id)s));

-- name: models.lock_tenant_exclusive
-- As models.lock_tenant_shared, alone: for archiving.
select pg_advisory_xact_lock(7207, hashtext(%(tenant_id)s));

-- name: models.deactivate
-- The first half of giving the deployment another model.
update embedding_models set active = false where active;

-- name: models.activate
-- The second half.
update embedding_models set active = true where id = %(model_id)s;

-- name: models.forget_tenants
-- No tenant has a model of its own any more.
delete from tenant_models;

-- name: models.forget_tenant
-- This tenant has no model of its own any more.
delete from tenant_models where tenant_id = %(tenant_id)s;

-- name: models.set_tenant
-- Gives a tenant a model of its own, unless it is the deployment's.
insert into tenant_models (tenant_id, model_id)
select %(tenant_id)s, id from embedding_models where id = %(model_id)s and not active
on conflict (tenant_id) do update set model_id = excluded.model_id;
