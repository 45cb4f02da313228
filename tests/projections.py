"""What vectors and words repeat of their messages is what those say."""

from __future__ import annotations

# How many vectors and words say something else than their messages, or have none. Citus takes no select without a
# column.
ADRIFT = """
select count(*)
from (
    select 1
    from message_embeddings e
    left join messages m on m.tenant_id = e.tenant_id and m.id = e.message_id
    where m.id is null or (
        e.archived, e.created_at, e.importance, e.conversation_key, e.user_key, e.expires_at, e.role
    ) is distinct from (
        m.archived_at is not null, m.created_at, m.importance, text_key(m.conversation_id),
        coalesce(text_key(m.user_id), 0), coalesce(m.expires_at, 'infinity'), m.role::"char"
    )
    union all
    select 1
    from message_lexemes l
    left join messages m on m.tenant_id = l.tenant_id and m.id = l.message_id
    where m.id is null or (l.archived, l.created_at, l.conversation_id, l.name) is distinct from (
        m.archived_at is not null, m.created_at, m.conversation_id, m.name
    )
) as adrift
"""
