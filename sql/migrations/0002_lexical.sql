-- The words of messages, for the hybrid ranking.

-- Who speaks in a tenant: the distinct names, found by skipping from one to the next.
create index messages_by_speaker on messages (tenant_id, name, role);

-- The words of every message as a text-search configuration makes them, the speaker's name among them, narrow and apart
-- from the text. `config` names the configuration: words of two never mix, as vectors of two models never do. Most
-- messages are one row, part 0; the words of a long one go on in further rows, because an index entry ends at 2,704
-- bytes. What the ranking reads besides the words is repeated here, so that one index answers the whole scan.
create table message_lexemes (
    tenant_id text collate "C" not null,
    message_id uuid not null,
    config text collate "C" not null,
    part integer not null check (part >= 0),
    conversation_id text collate "C" not null,
    created_at timestamptz not null,
    name text collate "C",
    -- Of the whole message: how many rows its words take, and how many words it has, repeats counted.
    parts integer not null check (parts > 0),
    length integer not null check (length >= 0),
    -- External: never compressed, in the index neither, where unpacking would cost more than the space.
    lexemes tsvector storage external not null,
    primary key (tenant_id, message_id, config, part),
    foreign key (tenant_id, message_id) references messages (tenant_id, id) on delete cascade
)
-- Index-only scans need the visibility map: vacuum after inserts long before a fifth of the table is new.
with (autovacuum_vacuum_insert_scale_factor = 0.02, autovacuum_vacuum_scale_factor = 0.02);

-- The exact scan of a tenant, in the order of its conversations, so that the turn before is the entry before.
create index message_lexemes_scan on message_lexemes (tenant_id, config, conversation_id, created_at, message_id)
include (name, parts, length, lexemes) where part = 0;
