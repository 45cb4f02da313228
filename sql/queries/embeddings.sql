-- name: embeddings.insert_many
-- Stores the vectors of messages that are stored already, in this transaction or before; messages that retention has
-- taken away in the meantime are passed over. The arrays run in step, one element a window.
insert into message_embeddings (
    tenant_id, message_id, chunk, model_id, created_at, importance, conversation_id, role, embedding
)
select m.tenant_id, m.id, new.chunk, %(model_id)s, m.created_at, m.importance, m.conversation_id, m.role, new.embedding
from unnest(%(message_ids)s::uuid[], %(chunks)s::integer[], %(embeddings)s::halfvec[])
    as new (message_id, chunk, embedding)
join messages m on m.tenant_id = %(tenant_id)s and m.id = new.message_id
on conflict (tenant_id, message_id, chunk, model_id) do nothing;
