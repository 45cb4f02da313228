-- fragment: reembedding.columns
-- A re-embedding as the service shows it. What was refused too often waits in the backlog.
id, only_tenant as tenant_id, previous_model_id, model_id, state, keep_old, total, embedded,
    case when state in ('running', 'ready') then
        (select count(*)::integer from reembedding_backlog b where b.attempts >= %(max_attempts)s)
    else 0 end as refused,
    last_error, started_at, ready_at, cut_over_at, finished_at

-- name: reembedding.start
-- Opens a re-embedding; a unique index refuses a second one.
insert into reembeddings (only_tenant, previous_model_id, model_id, state, keep_old)
values (%(tenant_id)s, %(previous_model_id)s, %(model_id)s, 'running', %(keep_old)s)
returning id;

-- name: reembedding.open
-- The re-embedding that is open, if there is one.
select {{reembedding.columns}} from reembeddings where state in ('running', 'ready', 'cut_over');

-- name: reembedding.newest
-- The newest re-embedding, whatever its state.
select {{reembedding.columns}} from reembeddings order by id desc limit 1;

-- name: reembedding.get
-- One re-embedding.
select {{reembedding.columns}} from reembeddings where id = %(id)s;

-- name: reembedding.measure
-- Notes how far a re-embedding is, after a batch that went well; null leaves a number as it is. No row when it is not
-- being worked on any more.
update reembeddings
set embedded = coalesce(%(embedded)s, embedded) + %(more)s,
    total = greatest(coalesce(%(total)s, total) + %(new)s, coalesce(%(embedded)s, embedded) + %(more)s),
    last_error = null
where id = %(id)s and state in ('running', 'ready')
returning id;

-- name: reembedding.note_error
-- Notes the class of what a worker met last.
update reembeddings set last_error = %(error)s where id = %(id)s and state in ('running', 'ready', 'cut_over');

-- name: reembedding.advance
-- Brings a re-embedding from one state to the next, once; no row when it is in another state.
update reembeddings
set state = %(state)s,
    ready_at = case when %(state)s = 'ready' then clock_timestamp() else ready_at end,
    cut_over_at = case when %(state)s = 'cut_over' then clock_timestamp() else cut_over_at end,
    finished_at = case when %(state)s in ('done', 'cancelled') then clock_timestamp() else finished_at end
where id = %(id)s and state = any(%(before)s)
returning id;

-- name: reembedding.count
-- How many messages of a tenant have vectors, and how many of them the new model's.
select count(*)::integer as total,
    (count(*) filter (where exists (
        select from message_embeddings e
        where e.tenant_id = %(tenant_id)s and e.message_id = m.id and e.chunk = 0 and e.model_id = %(model_id)s
    )))::integer as embedded
from messages m
where tenant_id = %(tenant_id)s and embedding_status = 'completed';

-- name: reembedding.missing
-- The next embedded messages of a tenant after `after`, in order of their ids, that lack the new model's vectors.
select m.id, m.content
from messages m
where m.tenant_id = %(tenant_id)s and m.id > %(after)s and m.embedding_status = 'completed' and not exists (
    select from message_embeddings e
    where e.tenant_id = %(tenant_id)s and e.message_id = m.id and e.chunk = 0 and e.model_id = %(model_id)s
)
order by m.id
limit %(limit)s;

-- name: reembedding.contents
-- The texts of messages; those that were deleted are missing.
select id, content from messages where tenant_id = %(tenant_id)s and id = any(%(message_ids)s);

-- name: reembedding.note_many
-- Puts messages of one tenant into the backlog, after so many refusals.
insert into reembedding_backlog (tenant_id, message_id, attempts)
select %(tenant_id)s, message_id, %(attempts)s from unnest(%(message_ids)s::uuid[]) as new (message_id)
on conflict do nothing;

-- name: reembedding.backlog
-- The messages of the backlog that were not refused too often, those that never were first.
select tenant_id, message_id, attempts
from reembedding_backlog
where attempts < %(max_attempts)s
order by attempts, tenant_id, message_id
limit %(limit)s;

-- name: reembedding.refused
-- The messages of the backlog that were refused too often.
select tenant_id, message_id, attempts from reembedding_backlog where attempts >= %(max_attempts)s;

-- name: reembedding.bump
-- Counts one more refusal of a message in the backlog.
update reembedding_backlog
set attempts = attempts + 1
where tenant_id = %(tenant_id)s and message_id = any(%(message_ids)s);

-- name: reembedding.settle
-- Takes messages out of the backlog.
delete from reembedding_backlog where tenant_id = %(tenant_id)s and message_id = any(%(message_ids)s);

-- name: reembedding.clear
-- Empties the backlog: nothing is re-embedded any more.
delete from reembedding_backlog;

-- name: reembedding.sample
-- Some of a tenant's own user messages, to be used as queries: always the same ones while none are added.
select m.id, m.content
from (
    select id from messages
    where tenant_id = %(tenant_id)s and role = 'user' and embedding_status = 'completed' and archived_at is null
        and (expires_at is null or expires_at > now())
    order by md5(id::text), id
    limit %(limit)s
) as chosen
join messages m on m.tenant_id = %(tenant_id)s and m.id = chosen.id
order by md5(m.id::text), m.id;
