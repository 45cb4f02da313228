-- fragment: search.scope
-- The windows of a tenant that a search may rank: of live messages, archived ones or both, said by as_of and not expired then.
-- A bound that is null becomes an endless one, because the index can stop at that, where a condition with `or` would be
-- asked of every row.
{{search.unbounded}}
            and created_at <= coalesce(%(as_of)s::timestamptz, 'infinity')

-- fragment: search.scanned
-- The same, where all of them are read. Postgres is not to know how far the bound reaches: where a tenant is most of the
-- table, it would take the table, by the primary key, for as quick as the index that holds all that is asked for. And in a
-- plan for any values the index can stop at a sub-select, as it cannot at `coalesce`, which row-level security distrusts.
{{search.unbounded}}
            and created_at <= (select coalesce(%(as_of)s::timestamptz, 'infinity'))

-- fragment: search.unbounded
-- The same, whenever they were said.
tenant_id = %(tenant_id)s
            and model_id = %(model_id)s
            and {archived}
            and expires_at > (select coalesce(%(as_of)s::timestamptz, now()))

-- fragment: search.messages
-- The same of messages `m` that are embedded, and pass the filter.
m.tenant_id = %(tenant_id)s
            and {archived_messages}
            and m.embedding_status = 'completed'
            and m.created_at <= coalesce(%(as_of)s::timestamptz, 'infinity')
            and (m.expires_at is null or m.expires_at > coalesce(%(as_of)s::timestamptz, now()))
            and {filter}

-- fragment: search.wanted
-- The ids of the messages that pass, one more than `most` at most, found by whatever index leads to them; and how many they
-- are. Metadata is looked up first: what its index gives is not complete where that is more than `most`.
matched as materialized (
    select {metadata} as ids
), wanted as materialized (
    select m.id
    from messages m
    where {{search.messages}} {matching} and coalesce((select cardinality(ids) <= %(most)s from matched), true)
    limit %(most)s::bigint + 1
), passing as materialized (
    select case when cardinality(ids) > %(most)s then %(most)s::bigint + 1 else (select count(*) from wanted) end as passing
    from matched
)

-- fragment: search.similarity
-- Cosine of the query and a window.
(1 - (embedding <=> %(query)b::halfvec))

-- fragment: search.decay
-- exp(-age in days / 7), of an age of 0 at least. Postgres refuses to underflow: past 13 years it is 1e-304 instead of
-- less. The sub-select is worked out once, not once a row.
exp(greatest(-700, least(0, date_part('epoch', created_at) - (
            select date_part('epoch', coalesce(%(as_of)s::timestamptz, now()))
        )) / 604800))

-- fragment: search.score
-- The documented score of a window.
%(similarity_weight)s * {{search.similarity}} + %(importance_weight)s * importance
            + %(decay_weight)s * {{search.decay}}

-- name: search.scan
-- The documented score over a tenant. An index-only scan of message_embeddings_scan scores every window; the best
-- `scan_limit` windows are kept, those whose messages pass what only the message can tell are taken, and the best windows of
-- their messages are returned, best first. `windows` says how many windows were kept: fewer than scan_limit means that there
-- are no more. The scan_limit-th best of the newest few is a floor that the best of all do not go below. Most windows would
-- stay below it were they new: they are neither scored nor sorted.
with floor as materialized (
    select score
    from (
        select {{search.score}} as score
        from (
            select *
            from message_embeddings e
            where {{search.scanned}}
            order by created_at desc, message_id desc
            limit %(newest)s
        ) as e
        where {inline}
    ) as newest
    order by score desc
    offset %(scan_limit)s - 1
    limit 1
), best as materialized (
    select message_id, chunk, created_at, {{search.score}} as score, importance, embedding
    from message_embeddings e
    where {{search.scanned}} and {inline}
        and %(similarity_weight)s * {{search.similarity}} + %(importance_weight)s * importance + %(decay_weight)s
            >= coalesce((select score from floor), '-infinity')
    order by score desc, created_at desc, message_id desc, chunk
    limit %(scan_limit)s
)
select message_id, created_at, score, {{search.similarity}} as similarity, importance, {{search.decay}} as decay,
    (select count(*) from best) as windows
from (
    -- Sorted before they are checked: no more are than it takes.
    select *
    from (select distinct on (message_id) * from best order by message_id, score desc, chunk) as messages_best
    order by score desc, created_at desc, message_id desc
    offset 0
) as e
where {late}
limit %(top_k)s;

-- name: search.scan_messages
-- The same where messages have many windows each: the best window of every message, in one pass however many windows stand
-- before the last hit's, and of these messages the best that pass, best first.
with scanned as materialized (
    select message_id, created_at, importance, max({{search.similarity}}) as similarity
    from message_embeddings e
    where {{search.scanned}} and {inline}
    group by message_id, created_at, importance
), scored as (
    select message_id, created_at, similarity, importance, {{search.decay}} as decay from scanned
)
select *
from (
    select *, %(similarity_weight)s * similarity + %(importance_weight)s * importance + %(decay_weight)s * decay as score
    from scored
    order by score desc, created_at desc, message_id desc
    offset 0
) as e
where {late}
limit %(top_k)s;

-- name: search.among
-- The documented score over the messages that pass a filter, if they are not more than `most`: each is looked up by itself.
-- The first row says how many they are, and holds no message.
with {{search.wanted}}, scored as materialized (
    select e.*
    from wanted
    cross join lateral (
        select message_id, created_at, {{search.similarity}} as similarity, importance, {{search.decay}} as decay
        from message_embeddings
        where {{search.scope}} and message_id = wanted.id
        offset 0
    ) as e
    where (select passing from passing) <= %(most)s
)
select null::uuid as message_id, null::timestamptz as created_at, null::double precision as score,
    null::double precision as similarity, null::double precision as importance, null::double precision as decay, passing
from passing
union all
(
    select message_id, created_at, score, similarity, importance, decay, null
    from (
        select distinct on (message_id) *,
            %(similarity_weight)s * similarity + %(importance_weight)s * importance + %(decay_weight)s * decay as score
        from scored
        order by message_id, similarity desc
    ) as messages_best
    order by score desc, created_at desc, message_id desc
    limit %(top_k)s
);

-- name: search.pooled
-- The documented score over a pool of a large tenant's windows that pass the filters: from its graph, the `pool` best by
-- similarity and importance together; and the newest, which the graph cannot know, as far as their decay still counts and
-- not more than `newest`: of those, what is as good as the best of the graph. `windows` says how many the graph gave: fewer
-- than `pool` means that the filters leave so few that they are to be looked up. `candidates` is counted where `is_counted`
-- asks for it.
with graph as materialized (
    select message_id, created_at, {{search.similarity}} as similarity, importance, {{search.decay}} as decay
    from message_embeddings e
    where {{search.scope}} and {inline} and {late}
    order by (
        (l2_normalize(embedding) || array[importance, sqrt(greatest(0, 1 - importance * importance))]::halfvec)
        ::halfvec({dimensions})
    ) <=> %(graph_query)b::halfvec
    limit %(pool)s
), graph_best as materialized (
    select *, %(similarity_weight)s * similarity + %(importance_weight)s * importance + %(decay_weight)s * decay as score
    from graph
), floor as materialized (
    select coalesce((
        select max(score) as score from graph_best group by message_id order by score desc offset %(top_k)s - 1 limit 1
    ), '-infinity') as score
), newest_best as materialized (
    -- Most would stay below the floor were they new: their decay is not worked out.
    select *
    from (
        select message_id, created_at, {{search.similarity}} as similarity, importance, {{search.decay}} as decay,
            {{search.score}} as score
        from (
            select message_id, created_at, importance, embedding
            from message_embeddings e
            where {{search.scope}} and {inline} and {{search.newest}}
            order by created_at desc, message_id desc
            limit %(newest)s
        ) as newest
        where %(similarity_weight)s * {{search.similarity}} + %(importance_weight)s * importance + %(decay_weight)s
                >= (select score from floor)
            and {{search.score}} >= (select score from floor)
        offset 0
    ) as e
    where {late}
)
select message_id, created_at, score, similarity, importance, decay, (select count(*) from graph) as windows,
    case when %(is_counted)s then (
        select count(*)
        from (
            select message_id from graph
            union
            (
                select message_id
                from message_embeddings e
                where {{search.scope}} and {inline} and {{search.newest}}
                order by created_at desc, message_id desc
                limit %(newest)s
            )
        ) as messages
    ) end as candidates
from (
    select distinct on (message_id) *
    from (select * from graph_best union all select * from newest_best) as windows
    order by message_id, score desc
) as messages_best
order by score desc, created_at desc, message_id desc
limit %(top_k)s;

-- fragment: search.newest
-- Windows whose decay still counts. A sub-select, for row-level security lets no index stop at a coalesce.
created_at > (select coalesce(%(as_of)s::timestamptz, now()) - make_interval(secs => %(newest_seconds)s))

-- name: search.oldest_candidate
-- The `candidate_limit`-th newest message that passes; no row where there are fewer.
select m.created_at, m.id
from messages m
where {{search.messages}}
order by m.created_at desc, m.id desc
offset %(candidate_limit)s::bigint - 1
limit 1;

-- name: search.selected
-- How many messages the most selective terms of a filter leave, counted to `most`: mostly from an index alone.
select count(*) as selected
from (
    select
    from messages m
    where m.tenant_id = %(tenant_id)s and {archived_messages} and {selective}
    limit %(most)s::bigint + 1
) as selected;

-- name: search.sampled
-- How many of the newest messages pass.
select count(*) as sampled, count(*) filter (where {filter}) as passing
from (
    select *
    from messages m
    where m.tenant_id = %(tenant_id)s and {archived_messages}
        and m.created_at <= coalesce(%(as_of)s::timestamptz, 'infinity')
    order by m.created_at desc, m.id desc
    limit %(sample)s
) as m;

-- name: search.spanned
-- How many messages lie between two times, counted to `most`.
select count(*) as spanned
from (
    select
    from messages m
    where m.tenant_id = %(tenant_id)s and {archived_messages}
        and m.created_at >= coalesce(%(span_start)s::timestamptz, '-infinity')
        and m.created_at <= coalesce(least(%(span_end)s::timestamptz, %(as_of)s::timestamptz), 'infinity')
    limit %(most)s::bigint + 1
) as spanned;

-- name: search.found
-- The messages of some ids that still pass and are not longer than `longest` bytes, in no order; each looked up by itself, as
-- in messages.get_many. Vectors know conversations and users by keys, which two might share: here they are compared as they
-- are.
select found.*
from unnest(%(ids)s::uuid[]) as wanted (id)
cross join lateral (
    select {{messages.columns}}
    from messages m
    where m.tenant_id = %(tenant_id)s and m.id = wanted.id and {filter}
        and octet_length(m.content) <= coalesce(%(longest)s::integer, 2147483647)
    limit 1
) as found;

-- name: search.passing
-- The ids of those that still pass, looked up as in search.found.
select found.id
from unnest(%(ids)s::uuid[]) as wanted (id)
cross join lateral (
    select m.id
    from messages m
    where m.tenant_id = %(tenant_id)s and m.id = wanted.id and {filter}
    limit 1
) as found;

-- name: search.texts
-- What stands for the texts of some messages, and whether each is a given one; each looked up by itself, as in
-- messages.get_many.
select found.*
from unnest(%(ids)s::uuid[]) as wanted (id)
cross join lateral (
    select m.id, sha256(convert_to(m.content, 'UTF8')) as digest, m.content = %(compared)s::text as is_the_same
    from messages m
    where m.tenant_id = %(tenant_id)s and m.id = wanted.id
    limit 1
) as found;

-- name: search.passages
-- Who says what in some messages, of long texts the beginning; each looked up by itself, as in messages.get_many.
select found.*
from unnest(%(ids)s::uuid[]) as wanted (id)
cross join lateral (
    select m.id, m.name, left(m.content, %(longest)s) as beginning
    from messages m
    where m.tenant_id = %(tenant_id)s and m.id = wanted.id
    limit 1
) as found;

-- name: search.count
-- How many messages a search with these filters ranks.
select count(*) as candidates from messages m where {{search.messages}};

-- name: search.pending
-- How many messages pass the filters and have no embedding, counted to 10,000.
select count(*)::integer as pending
from (
    select
    from messages m
    where m.tenant_id = %(tenant_id)s
        and {archived_messages}
        and m.embedding_status <> 'completed'
        and m.created_at <= coalesce(%(as_of)s::timestamptz, 'infinity')
        and (m.expires_at is null or m.expires_at > coalesce(%(as_of)s::timestamptz, now()))
        and {filter}
    limit 10000
) as pending;

-- name: search.live
-- Parts of the statements above, `{archived}` and `{archived_messages}` there: which messages are looked at.
archived = false;

-- name: search.archived
-- The archive alone.
archived = true;

-- name: search.live_and_archived
-- All.
archived in (false, true);

-- name: search.live_and_archived_messages
-- The same of messages `m`.
true;

-- name: search.live_messages
-- The same of messages `m`.
m.archived_at is null;

-- name: search.archived_messages
-- The archive alone.
m.archived_at is not null;

-- name: search.matching
-- A part of search.wanted, `{matching}` there, where metadata is looked up.
and m.id = any((select ids from matched)::uuid[]);

-- name: search.metadata
-- The same, `{metadata}` there.
array(select tenant_metadata_matches(%(metadata)s::jsonb, %(most)s::integer + 1));

-- name: search.no_metadata
-- The same, where it is not.
null::uuid[];

-- name: search.late
-- A part of the statements above, `{late}` there, where only the message of a window `e` tells whether it passes. By
-- `offset` each is looked up by itself: as a join the planner would read all that pass for a few windows.
exists (select from messages m where m.tenant_id = %(tenant_id)s and m.id = e.message_id and {filter} offset 0);

-- name: search.all_late
-- The same in hybrid.all, which looks up once what passes.
e.message_id in (select id from wanted);

-- name: search.bound
-- A part of filters: not older than the oldest candidate. Of windows.
(e.created_at, e.message_id) >= (%(oldest_at)s::timestamptz, %(oldest_id)s::uuid);

-- name: search.bound_messages
-- The same of messages `m`.
(m.created_at, m.id) >= (%(oldest_at)s::timestamptz, %(oldest_id)s::uuid);
