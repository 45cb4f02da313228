-- Lists of conversations and of users count from the index alone: whether a message is archived or expired stands there.
drop index messages_by_conversation;

create index messages_by_conversation on messages (tenant_id, conversation_id, created_at, id)
include (archived_at, expires_at, user_id);

drop index messages_by_user;

create index messages_by_user on messages (tenant_id, user_id, created_at, id) include (archived_at, expires_at)
where user_id is not null;

-- What has expired, for the sweep.
create index messages_by_expiry on messages (tenant_id, expires_at) where expires_at is not null;
