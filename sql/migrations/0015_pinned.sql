-- Pinned messages lead every context.
create index messages_pinned on messages (tenant_id, user_id, created_at, id) where pinned;
