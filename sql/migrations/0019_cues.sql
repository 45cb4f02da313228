-- What the words of a message give away besides what they mean.
-- The bits (ranking/cues.py): 1, it has a word of time; 2, it speaks of its speaker; 4, it ends with a question mark; 8, an
-- assistant said it. English, as the hybrid ranking's recipe is.
create function message_cues(content text, role text) returns smallint
language sql immutable strict parallel safe
return (
    (content ~* '\y(yesterday|today|tonight|tomorrow|ago|last|next|recently|earlier|later|since|days?|weeks?|weekend|months?|years?|mornings?|evening|afternoon|night|monday|tuesday|wednesday|thursday|friday|saturday|sunday|january|february|march|april|may|june|july|august|september|october|november|december|spring|summer|autumn|fall|winter|(19|20)\d\d)\y')::integer
    + 2 * (content ~* '\y(i|me|my|mine|myself|we|us|our)\y')::integer
    + 4 * (right(rtrim(content, E' \t\r\n'), 1) = '?')::integer
    + 8 * (role = 'assistant')::integer
)::smallint;

revoke all on function message_cues from public;
grant execute on function message_cues to memory_layer_tenant, memory_layer_worker;

alter table message_lexemes add column cues smallint not null default 0;
alter table revision_lexemes add column cues smallint not null default 0;

-- Of what is stored. Row security hides it from its owner too, unless that is not forced.
alter table messages no force row level security;
alter table message_lexemes no force row level security;
alter table message_revisions no force row level security;
alter table revision_lexemes no force row level security;

update message_lexemes l
set cues = message_cues(m.content, m.role)
from messages m
where m.tenant_id = l.tenant_id and m.id = l.message_id;

update revision_lexemes l
set cues = message_cues(r.content, m.role)
from message_revisions r
join messages m on m.tenant_id = r.tenant_id and m.id = r.message_id
where r.tenant_id = l.tenant_id and r.message_id = l.message_id and r.revision = l.revision;

alter table messages force row level security;
alter table message_lexemes force row level security;
alter table message_revisions force row level security;
alter table revision_lexemes force row level security;

-- The scan reads them, too.
drop index message_lexemes_scan;

create index message_lexemes_scan
on message_lexemes (tenant_id, config, archived, conversation_id, created_at, message_id, part)
include (name, parts, length, cues, lexemes);

alter table tenant_policies
add column hybrid_recipe text collate "C" check (hybrid_recipe in ('surroundings', 'conversation')),
add column hybrid_near_weight double precision,
add column hybrid_coverage_weight double precision,
add column hybrid_asks_when_weight double precision,
add column hybrid_first_person_weight double precision,
add column hybrid_question_weight double precision,
add column hybrid_assistant_weight double precision;
