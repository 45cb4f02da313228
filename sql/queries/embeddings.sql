-- name: embeddings.insert_many
-- Stores the vectors of messages that are stored already, in this transaction or before; messages that retention has
-- deleted in the meantime are passed over. The arrays run in step, one element a window. The lock waits for a retention
-- that holds the message, and sees what it did. It also keeps each message a lookup of its own: one plan serves tenants of
-- any size, and a join would read all messages of a tenant that is far above the average.
insert into message_embeddings (
    tenant_id, message_id, created_at, importance, conversation_key, user_key, expires_at, chunk, model_id, archived, role,
    embedding
)
select m.tenant_id, m.id, m.created_at, m.importance, text_key(m.conversation_id), coalesce(text_key(m.user_id), 0),
    coalesce(m.expires_at, 'infinity'), new.chunk, %(model_id)s, m.archived_at is not null, m.role::"char", new.embedding
from unnest(%(message_ids)s::uuid[], %(chunks)s::integer[], %(embeddings)b::halfvec[])
    as new (message_id, chunk, embedding)
cross join lateral (
    select * from messages where tenant_id = %(tenant_id)s and id = new.message_id for key share
) as m
on conflict (tenant_id, message_id, chunk, model_id) do nothing;

-- name: embeddings.others
-- The next messages after `after`, in order of their ids, that have vectors of other models than `model_id`.
select distinct message_id
from message_embeddings
where tenant_id = %(tenant_id)s and message_id > %(after)s and model_id <> %(model_id)s
order by message_id
limit %(limit)s;

-- name: embeddings.remove_others
-- Removes the vectors of some messages that other models than `model_id` made.
delete from message_embeddings
where tenant_id = %(tenant_id)s and message_id = any(%(message_ids)s) and model_id <> %(model_id)s;
