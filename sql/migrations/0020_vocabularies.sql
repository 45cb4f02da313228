-- Words are read by other rules: compounds by their parts, scripts without spaces by their characters.
-- What is stored stays in use until the service has made all of a tenant's words anew, in the background.

-- What language a message is in, and a tenant's messages are that do not say: a tag of BCP 47.
alter table messages add column language text collate "C";
alter table tenant_policies add column language text collate "C";

-- By which configuration a tenant's words are stored: a text-search configuration and the number of the rules by which texts
-- are read (`english/2`). Searches read `config`; where another is to take its place, whatever is stored is stored in
-- `next_config` too, and messages from before are filled in, to `filled_to` by now. `former` are to be removed.
create table tenant_vocabularies (
    tenant_id text collate "C" primary key,
    config text collate "C" not null,
    next_config text collate "C",
    filled_to uuid,
    former text[] not null default '{}',
    changed_at timestamptz not null default now()
);

create index tenant_vocabularies_changing on tenant_vocabularies (tenant_id)
where next_config is not null or former <> '{}';

grant select, insert, update, delete on tenant_vocabularies to memory_layer_tenant;
grant delete on revision_lexemes to memory_layer_tenant;
grant select on tenant_vocabularies to memory_layer_worker;

-- What a text is found by: its words by a configuration, without accents, and what was found in it besides
-- (memory_grpc/ranking/lexemes.py). Stems first: some languages tell their endings by accents.
create function text_lexemes(config text, words text, others text) returns tsvector
language sql stable parallel safe
begin atomic
    select others::tsvector || case
            when octet_length(words) = length(words) then to_tsvector(split_part(config, '/', 1)::regconfig, words)
            else translate(
                normalize(
                    regexp_replace(
                        normalize(to_tsvector(split_part(config, '/', 1)::regconfig, words)::text, nfd),
                        '([a-zα-ωе])[\u0300-\u036f]+', '\1', 'g'
                    ),
                    nfc
                ),
                'øłđı', 'oldi'
            )::tsvector
        end;
end;

-- Who stored words in several configurations is searched in the one that has most, and keeps the others until then.
alter table message_lexemes no force row level security;

insert into tenant_vocabularies (tenant_id, config, former)
select tenant_id, (array_agg(config order by messages desc, config))[1],
    (array_agg(config order by messages desc, config))[2:]
from (
    select tenant_id, config, count(*) as messages from message_lexemes where part = 0 group by tenant_id, config
) as stored
group by tenant_id;

alter table message_lexemes force row level security;

alter table tenant_vocabularies enable row level security, force row level security;
create policy one_tenant on tenant_vocabularies to memory_layer_tenant
using (tenant_id = nullif(current_setting('memory.tenant_id', true), ''));
create policy every_tenant on tenant_vocabularies to memory_layer_worker using (true);
