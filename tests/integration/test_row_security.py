"""Row-level security stands behind the WHERE clauses: without them a tenant still reads and changes nothing foreign.

Every statement of sql/queries that touches a tenant's table is run with its tenant conditions taken out, and with
another tenant's name in its parameters, in a database of two tenants; and once more without the other tenant. If
anything of the other came through, the two answers would differ.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import numpy as np
import psycopg
import pytest
from pgvector import HalfVector
from pgvector.psycopg import register_vector
from psycopg import sql
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb
from psycopg.types.multirange import TimestamptzMultirange
from psycopg.types.range import Range

from memory_grpc.domain.policy import ScoreWeights
from memory_grpc.domain.search import SearchFilters
from memory_grpc.filtering import parse
from memory_grpc.ranking import HybridWeights, QueryPlan
from memory_grpc.resources import SQL
from memory_grpc.store.database import EVERY_TENANT, Database
from memory_grpc.store.filters import compiled
from memory_grpc.store.hybrid_columns import parts
from memory_grpc.store.queries import QUERIES, part, text
from memory_grpc.store.rank_request import HybridQuery, QueryWords, RankRequest, Word
from tests.chaos.harness import reported_each
from tests.unit.test_queries import READ, TENANT_TABLES, code

NOW = datetime(2026, 6, 1, tzinfo=UTC)
# Of one message of each tenant; no statement asks at a later time unless it says so.
EXPIRY = NOW + timedelta(days=36500)
OURS, THEIRS = "acme", "rival"
TABLES = TENANT_TABLES.split("|")

# Conditions on the tenant, as the queries write them. What remains afterwards may select or insert a tenant_id only.
CONDITION = re.compile(r"\b(?:\w+\.)?tenant_id\s*=\s*(?:%\(tenant_id\)s|any\(%\(tenant_ids\)s\)|\w+\.tenant_id)")
REMAINS = re.compile(r"tenant_id\s*(?:[=<>]|\bin\b|\bany\b|\blike\b|\bbetween\b)")
# Walks from one tenant to the next: a condition on tenants, but none that keeps to one.
WALKS = {"graphs.sizes"}
# Only the worker has the right to run these; for a tenant they must fail.
WORKERS_ONLY = {"models.forget_tenants", "models.forget_tenant", "models.set_tenant"}
WORKERS_ONLY |= {"audit.append"}
WORKERS_ONLY |= {"erasures.expire"}
WORKERS_ONLY |= {"reembedding.open", "reembedding.newest", "reembedding.get"}

# A part of a statement (hybrid.flags) is tested in it.
STATEMENT = re.compile(r"\s*(?:select|with|insert|update|delete)\b")
TOUCHING = sorted(
    name
    for name, text in QUERIES.items()
    if STATEMENT.match(code(text))
    and (READ.search(code(text)) or re.search(rf"\binto\s+({TENANT_TABLES})\b", code(text)))
)
# Begins with what tenant_matches or tenant_metadata_matches gives, which take the tenant from the transaction whatever
# the query says.
SAFE_BY_ITSELF = {"hybrid.matched", "hybrid.matched, filtered", "search.among, filtered", "hybrid.among, filtered"}
# The digest that it looks for holds the tenant.
SAFE_BY_ITSELF |= {"erasure.among"}
# The function that it asks takes the tenant from the transaction.
SAFE_BY_ITSELF |= {"listing.with_metadata"}
# Where a filter stands in a statement, it is run with one that looks at messages and at their metadata, too.
FILTERED = ", filtered"
TOUCHING += [name + FILTERED for name in TOUCHING if re.search(r"\{(filter|inline|late|metadata)\}", QUERIES[name])]

# The statements of retention are run with each of the walks that they are filled with.
DUE = {
    "retention.archive": (("due", part("retention.archive_by_age")), ("place", "created_at")),
    "retention.archive, by importance": (("due", part("retention.archive_by_importance")), ("place", "importance")),
    "retention.delete": (("due", part("retention.delete_by_archival")), ("place", "archived_at")),
    "retention.delete, by expiry": (("due", part("retention.delete_by_expiry")), ("place", "expires_at")),
}
TOUCHING += [name for name in DUE if name not in TOUCHING]


def base(name: str) -> str:
    """The name of a query in sql/queries, without the form of it that is run."""
    return name.partition(", ")[0]


def query_of(name: str) -> str:
    """The text of a query, in whatever form."""
    return QUERIES[base(name)]


READING = [
    name
    for name in TOUCHING
    if READ.search(code(query_of(name))) and name not in WORKERS_ONLY and name not in SAFE_BY_ITSELF
]


def ids(tenant: str, count: int = 6) -> list[UUID]:
    rng = random.Random(tenant)
    return [UUID(int=rng.getrandbits(128), version=4) for _ in range(count)]


LIVE, ARCHIVED = {t: ids(t)[:4] for t in (OURS, THEIRS)}, {t: ids(t)[4:] for t in (OURS, THEIRS)}
BOTH = [*ids(OURS), *ids(THEIRS)]
FRESH = ids("fresh", 2)
ERASURE, EMPTY = UUID(int=7), UUID(int=9)
VECTOR = HalfVector(np.ones(8, dtype=np.float32))

# Every parameter of every query, chosen so that without row-level security the other tenant's rows are reached. A query
# with a new parameter fails until it stands here.
DEFAULTS: dict[str, Any] = {
    "tenant_id": OURS,
    "tenant_ids": [OURS, THEIRS],
    "id": LIVE[THEIRS][0],
    "ids": BOTH,
    "message_ids": BOTH,
    "request_ids": BOTH,
    "body_digests": [b"digest"] * len(BOTH),
    "conversation_ids": ["c"] * len(BOTH),
    "created_ats": [NOW] * len(BOTH),
    "enqueued_ats": [NOW] * len(BOTH),
    "roles": ["user"] * len(BOTH),
    "names": ["Eve"] * len(BOTH),
    "user_ids": [None] * len(BOTH),
    "turns_before": [5] * len(BOTH),
    "turns_after": [5] * len(BOTH),
    "contents": ["a new word"] * len(BOTH),
    "metadatas": [Jsonb({})] * len(BOTH),
    "importances": [0.5] * len(BOTH),
    "embedding_statuses": ["pending"] * len(BOTH),
    "archived_ats": [None] * len(BOTH),
    "pinneds": [False] * len(BOTH),
    "expires_ats": [None] * len(BOTH),
    "revisions": [1] * len(BOTH),
    "chunks": [1] * len(BOTH),
    "embeddings": [VECTOR] * len(BOTH),
    "model_id": 1,
    "config": "simple",
    "status": "completed",
    "seconds": 60.0,
    "hours": 0.0,
    "changed": 0.1,
    "limit": 1000,
    "batch_size": 1000,
    "turns": 5,
    "as_of": None,
    "metadata": None,
    "candidate_limit": 1,
    "span_start": None,
    "span_end": None,
    "now": NOW,
    "max_age_days": 0.0,
    "importance_threshold": 0.0,
    "delete_after_days": 0.0,
    "query": VECTOR,
    "top_k": 1000,
    "scan_limit": 1000,
    "similarity_weight": 0.6,
    "importance_weight": 0.3,
    "decay_weight": 0.1,
    "languages": [None] * len(BOTH),
    "language": None,
    "text_config": None,
    "configs": Jsonb({}),
    "other": "simple/2",
    "words": "words said",
    "others": "'said':1",
    "next_config": "simple/2",
    "filled_to": None,
    "speaker_names": ["Ann"],
    "speaker_roles": ["u"],
    "date_ranges": TimestamptzMultirange([Range(NOW - timedelta(days=2), NOW)]),
    "previous": 0.5,
    "previous2": 0.25,
    "lift_weight": 0.4,
    "date_weight": 0.3,
    "search_ranking": "hybrid",
    "time_zone": "UTC",
    "graph_query": HalfVector(np.ones(10, dtype=np.float32)),
    "pool": 1000,
    "is_counted": True,
    "least": 1,
    "most": 1000,
    "piece": 4096,
    "index_name": "graph_new",
    "state": "ready",
    "messages": 1,
    "after": UUID(int=0),
    "attempts": 0,
    "max_attempts": 5,
    "model_ids": [1, 2],
    "graph_limit": 1000,
    "important_limit": 1000,
    "newest_limit": 1000,
    "dated_limit": 1000,
    "spoken_limit": 1000,
    "kept": 1000,
    "direction": HalfVector(np.ones(10, dtype=np.float32)),
    "only_dated": False,
    "only_spoken": False,
    "speakers": True,
    "sample": 1000,
    "newest_seconds": 1e9,
    "per_relevance": 0.5,
    "match": "'said'",
    "any_word": "'said'",
    "word_0": "'said'",
    "newest": 1000,
    "rare": 0,
    "actor": None,
    "action": None,
    "happened_after": None,
    "happened_before": None,
    "ages": [0.0] * len(BOTH),
    "actors": ["a"] * len(BOTH),
    "actions": ["b"] * len(BOTH),
    "outcomes": ["OK"] * len(BOTH),
    "event_tenants": [OURS] * 6 + [THEIRS] * 6,
    "event_requests": ["r"] * len(BOTH),
    "after_at": NOW - timedelta(days=1000),
    "after_id": UUID(int=0),
    "after_revision": 0,
    "after_place": NOW - timedelta(days=1000),
    "after_key": "",
    "most_bytes": 2**30,
    "most_users": 20,
    "compared": "words said by rival",
    "keys": [1, 2],
    "most_names": 1000,
    "most_rare": 1000,
    "most_compared": 1000,
    "most_measured": 1000,
    "revision": 8,
    "before": 10,
    "moment": NOW - timedelta(days=1000),
    "looked_back_to": NOW - timedelta(days=1000),
    "pins": [False] * len(BOTH),
    "ttls_seconds": [None] * len(BOTH),
    "kind": "message",
    "whose": "u",
    "looked_at": 1000,
    "longest": None,
    "archived_since": NOW - timedelta(days=1000),
    "said_by": NOW + timedelta(days=1000),
    "erasure_id": ERASURE,
    "scope": "user",
    "by": "none",
    "rows": Jsonb({}),
    "erased": 1,
    "error": "Trouble",
}
# What one query needs otherwise: an insert takes the ids of its own rows, and new ones where the key must be free.
FRESH_ROWS = {
    name: values[:2] for name, values in DEFAULTS.items() if isinstance(values, list) and len(values) == len(BOTH)
}
READ: dict[str, list[Any]] = {
    "text_configs": [None, None],
    "words": ["a new word"] * 2,
    "others": ["'new':1"] * 2,
}
READ_BOTH = {name: values * (len(BOTH) // 2) for name, values in READ.items()}
OF_ONE_QUERY: dict[str, dict[str, Any]] = {
    "messages.insert_many": FRESH_ROWS | {"ids": FRESH},
    "audit.of_tenant": {"after_at": None, "after_id": None},
    "audit.of_all": {"after_at": None, "after_id": None},
    # After the last of ours, before the last of theirs.
    "revisions.any_since": {"moment": NOW + timedelta(days=20)},
    "revisions.update": {
        "content": "words",
        "metadata": Jsonb({}),
        "name": None,
        "user_id": None,
        "importance": 0.5,
        "pinned": False,
        "expires_at": None,
        "embedding_status": "completed",
    },
    "transfer.insert_many": FRESH_ROWS | {"ids": FRESH},
    "transfer.insert_revisions": FRESH_ROWS
    | {"message_ids": LIVE[OURS][:2], "revisions": [9, 9], "valid_froms": [NOW] * 2, "valid_tos": [NOW] * 2},
    "transfer.insert_revision_vectors": FRESH_ROWS | {"message_ids": LIVE[OURS][:2], "revisions": [8, 8]},
    "transfer.revisions": {"afters": [0] * len(BOTH), "befores": [10] * len(BOTH)},
    "transfer.revision_vectors": {"revisions": [7] * len(BOTH)},
    "transfer.fitting": {"revisions": [8], "valid_froms": [NOW], "valid_tos": [NOW]},
    "duplicates.find": {
        "user_ids": ["u"] * len(BOTH),
        "contents": ["words said by rival"] * len(BOTH),
        "windows_seconds": [2**31 - 1] * len(BOTH),
    },
    "idempotency.claim_many": FRESH_ROWS | {"request_ids": FRESH, "kept": [False, False]},
    "idempotency.keep_many": FRESH_ROWS | {"request_ids": FRESH},
    # Of what another model made, or has yet to make.
    "embeddings.others": {"model_id": 2},
    "embeddings.remove_others": {"model_id": 2},
    "reembedding.missing": {"model_id": 2},
    "reembedding.refused": {"max_attempts": 0},
    "reembedding.get": {"id": 1},
    "hybrid.spoken": {"speaker_names": ["Ann", "Bea"]},
    "hybrid.important": {"important_limit": 3},
    "erasures.begin": {"erasure_id": UUID(int=8)},
    "erasures.choose": {"erasure_id": EMPTY},
    "erasures.apply": {"erasure_id": EMPTY},
    "erasures.advance": {"state": "cleaning"},
    "erasures.hold": {"state": "erasing"},
    "erasures.crowd_out": {"most": 0},
    "jobs.hold": {"tenant_ids": [OURS] * 6 + [THEIRS] * 6, "attempts": [0] * len(BOTH)},
    "lexical.insert_many": FRESH_ROWS | {"message_ids": LIVE[OURS][:2], "configs": ["english"]} | READ,
    "lexical.fill": {"config": "english"} | READ_BOTH,
    "lexical.insert_revisions": FRESH_ROWS
    | {"message_ids": LIVE[OURS][:2], "revisions": [8, 8], "configs": ["english"]}
    | READ,
    "vocabularies.begin": {"next_config": "german/2"},
}

# What one form of a query needs otherwise.
OF_ONE_FORM: dict[str, dict[str, Any]] = {
    "retention.archive, by importance": {"importance_threshold": 1.0, "after_place": -1.0},
    "retention.delete, by expiry": {"now": EXPIRY + timedelta(days=1)},
}


def params(name: str, **changes: Any) -> dict[str, Any]:
    """The parameters that a query asks for."""
    wanted = set(re.findall(r"%\((\w+)\)[sb]", filled_in(name)))
    policy = {p: None for p in wanted if name == "policy.set" and p not in DEFAULTS}
    values = DEFAULTS | policy | OF_ONE_QUERY.get(base(name), {}) | OF_ONE_FORM.get(name, {}) | changes
    values |= filtered.filter.params if name.endswith(FILTERED) else {}
    assert wanted <= values.keys(), f"this test has no value for {sorted(wanted - values.keys())}: give it one"
    return {p: values[p] for p in wanted}


def filled_in(name: str, dimensions: int = 8) -> str:
    """A query with its parts: for a number of dimensions, a graph's points have two more than the embeddings; of a
    filter that everything passes; and for one word."""
    of_filter = parts(filtered if name.endswith(FILTERED) else unfiltered, _hybrid)
    own = (("source", part("hybrid.scanned")), ("dimensions", str(dimensions + 2)))
    own += (("table", "messages"), ("column", "id"), ("whose", part("context.pinned_of_user")))
    own += (("when", "erased_at"),)
    own += DUE.get(name, ())
    listed = (("direction", "asc"), ("beyond", ">"), ("lists_live", "true"), ("lists_archived", "true"))
    listed += (("statement", "select id, content from messages"),)
    return text(base(name), (*own, *listed, ("of_metadata", ""), *of_filter))


def stripped(name: str) -> str:
    """A query without its conditions on the tenant."""
    text = CONDITION.sub("true", code(filled_in(name)))
    rest = REMAINS.search(text)
    assert rest is None or name in WALKS, f"a condition on the tenant that this test does not strip: {rest}"
    return text


_hybrid = HybridQuery(
    QueryPlan("", "", ("Ann",), ("user",), ()),
    QueryWords((Word("'said'", None),), None, None),
    HybridWeights(),
    "simple",
    NOW,
)


def asked(where: str) -> RankRequest:
    """A search of live and archived messages with a filter."""
    filters = SearchFilters(where=parse(where) if where else None, include_archived=True)
    return RankRequest(OURS, 1, np.ones(8, np.float32), compiled(filters), ScoreWeights(), 5)


unfiltered = asked("")
filtered = asked('metadata.kind = "said" AND metadata.tags:"x" AND NOT name = "Eve"')

Connection = psycopg.Connection[dict[str, Any]]


@pytest.fixture
def connection(dsn: str) -> Iterator[Connection]:
    """A superuser's connection in a transaction that is never committed, on a database of two tenants.

    In one transaction the database's clock stands still: what a statement answers can be compared to the byte.
    """
    with psycopg.connect(dsn, row_factory=dict_row) as opened:
        register_vector(opened)
        opened.execute(
            "insert into embedding_models (name, revision, precision, dimensions, active) "
            "values ('m', 'r', 'p', 8, true), ('n', 'r', 'p', 8, false)"
        )
        for tenant, name in ((OURS, "Ann"), (THEIRS, "Bea")):
            fill(opened, tenant, name)
        yield opened
        opened.rollback()


def fill(connection: Connection, tenant: str, name: str) -> None:
    """Rows of a tenant in every table: four live messages (one failed, one pending), two archived ones."""
    columns = "conversation_id, role, name, content, metadata, importance, embedding_status, created_at, updated_at"
    for number, id_ in enumerate(ids(tenant)):
        archived = id_ in ARCHIVED[tenant]
        status = ("completed", "completed", "failed", "pending")[number % 4]
        created_at = NOW - timedelta(hours=40 - number)
        archived_at = datetime.now(UTC) - timedelta(days=365) if archived else None
        row = (
            tenant,
            id_,
            "c",
            "user",
            name,
            f"words said by {tenant}",
            Jsonb({"kind": "said", "tags": ["x"]}),
            0.5,
            status,
            created_at,
            NOW,
            archived_at,
            number == 1,
            EXPIRY if number == 2 else None,
        )
        connection.execute(
            f"insert into messages (tenant_id, id, {columns}, archived_at, user_id, pinned, expires_at) "
            "values (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, 'u', %s, %s)".encode(),
            row,
        )
        connection.execute(
            "insert into message_embeddings values (%s, %s, %s, 0.5, text_key('c'), 0, 'infinity', 0, 1, %s, 'u', %s)",
            (tenant, id_, created_at, archived, HalfVector(np.arange(8) + number + len(tenant))),
        )
        connection.execute(
            "insert into message_lexemes "
            "select %s, %s, 'simple', part, 'c', %s, %s, 2, 8, to_tsvector('simple', 'words said'), %s "
            "from generate_series(0, 1) as parts (part)",
            (tenant, id_, created_at, name, archived),
        )
        for revision in (7, 8):
            connection.execute(
                "insert into message_revisions "
                "values (%s, %s, %s, %s, %s, 'u', null, %s, '{}', .5, 'completed', %s, false)",
                (
                    tenant,
                    id_,
                    revision,
                    created_at,
                    NOW + timedelta(revision + (30 if tenant == THEIRS else 0)),
                    f"said before by {tenant}",
                    NOW,
                ),
            )
        connection.execute("insert into revision_embeddings values (%s, %s, 7, 0, 1, %s)", (tenant, id_, VECTOR))
        connection.execute(
            "insert into revision_lexemes values (%s, %s, 7, 'simple', 0, 1, 4, to_tsvector('simple', 'said before'))",
            (tenant, id_),
        )
        if not archived:
            connection.execute(
                "insert into embedding_jobs values (%s, %s, 0, now() - interval '1 day', %s)",
                (tenant, id_, NOW),
            )
        connection.execute("insert into reembedding_backlog (tenant_id, message_id) values (%s, %s)", (tenant, id_))
        connection.execute(
            "insert into idempotency_keys values (%s, %s, 'digest', %s, now() - interval '1 day')", (tenant, id_, id_)
        )
    connection.execute("insert into tenant_policies (tenant_id, retention_max_age_days) values (%s, 7)", (tenant,))
    connection.execute("insert into tenant_models values (%s, %s)", (tenant, 1 if tenant == OURS else 2))
    connection.execute(
        "insert into tenant_word_statistics values (%s, 'simple', 4, 8, 6, 4, now() - interval '1 hour')", (tenant,)
    )
    used = "simple" if tenant == OURS else "simple/1"
    connection.execute("insert into tenant_vocabularies values (%s, %s, 'simple/2')", (tenant, used))
    connection.execute("insert into tenant_words values (%s, 'simple', 'said earlier', 4)", (tenant,))
    connection.execute(
        "insert into audit_events (id, actor, action, outcome, tenant_id) values (%s, 'a', 'b', 'OK', %s)",
        (ids(tenant)[0], tenant),
    )
    for erasure, state in ((ERASURE, "erasing"), (EMPTY, "planned")):
        connection.execute(
            "insert into erasures (tenant_id, id, scope, state, planned_by, expires_at, erased_at) "
            "values (%s, %s, 'user', %s, 'none', now() + interval '1 hour', now())",
            (tenant, erasure, state),
        )
    for kind, noted in (("message", [*BOTH, *FRESH]), ("request", [*ids(OURS)[:3], *ids(THEIRS)[:3]])):
        connection.execute(
            "insert into erased_messages "
            "select %s, erasure_digest(%s, id, %s), %s, now(), %s from unnest(%s) as erased (id)",
            (tenant, kind, tenant, kind, ERASURE, noted),
        )
    for id_ in ids(tenant):
        connection.execute("insert into erasure_items values (%s, %s, %s)", (tenant, ERASURE, id_))
    connection.execute("insert into tenant_graphs values (%s, 1, %s, 'ready', 4)", (tenant, f"graph_{tenant}"))


def as_tenant(connection: Connection, tenant: str | None) -> None:
    connection.execute("set local role memory_layer_tenant")
    if tenant is not None:
        connection.execute(sql.SQL("set local memory.tenant_id = {}").format(sql.Literal(tenant)))


def theirs(connection: Connection) -> list[Any]:
    """Everything that the other tenant has."""
    return [
        sorted(
            map(
                repr,
                connection.execute(f"select t::text as row from {table} t where tenant_id = %s".encode(), (THEIRS,)),
            )
        )
        for table in TABLES
    ]


def outcome(
    connection: Connection, text: str, values: Mapping[str, Any], *, role: bool, alone: bool = False
) -> tuple[Any, bool]:
    """What a statement answers (its rows, or the class of its error), and whether the other tenant's rows were changed.

    ``alone``: the other tenant is removed before. Everything is rolled back.
    """
    connection.execute("savepoint start")
    if alone:
        for table in reversed(TABLES):
            connection.execute(f"delete from {table} where tenant_id = %s".encode(), (THEIRS,))
    before = theirs(connection)
    try:
        connection.execute("savepoint statement")
        if role:
            as_tenant(connection, OURS)
        cursor = connection.execute(text.encode(), values)
        answer: Any = (cursor.rowcount, sorted(map(repr, cursor.fetchall())) if cursor.description else None)
        connection.execute("reset role")
    except psycopg.Error as error:
        connection.execute("rollback to savepoint statement")
        answer = type(error).__name__
    changed = theirs(connection) != before
    connection.execute("rollback to savepoint start")
    return answer, changed


def test_every_table_of_tenants_is_filled_and_touched(connection: Connection) -> None:
    assert all(theirs(connection))
    assert len(TOUCHING) > 20
    touched = " ".join(code(query_of(name)) for name in TOUCHING)
    assert all(re.search(rf"\b{table}\b", touched) for table in TABLES)


@pytest.mark.parametrize("name", TOUCHING)
@reported_each(11, "queries stripped of their tenant")
def test_without_its_where_clause_a_query_still_reads_and_changes_nothing_foreign(
    connection: Connection, name: str
) -> None:
    text, values = stripped(name), params(name)
    answer, changed = outcome(connection, text, values, role=True)
    assert not changed
    assert answer == outcome(connection, text, values, role=True, alone=True)[0]
    if name in WORKERS_ONLY:
        assert answer == "InsufficientPrivilege"
    else:
        assert not isinstance(answer, str), f"the statement failed: {answer}"


@pytest.mark.parametrize("name", READING)
def test_without_row_level_security_the_same_would_reach_the_other_tenant(connection: Connection, name: str) -> None:
    """So the test above tests something: by a superuser, whom no policy binds, the stripped query reads or changes."""
    text, values = stripped(name), params(name)
    answer, changed = outcome(connection, text, values, role=False)
    assert changed or answer != outcome(connection, text, values, role=False, alone=True)[0]


@pytest.mark.parametrize("name", [name for name in TOUCHING if "tenant_id" in params(name)])
@reported_each(11, "queries under another tenant's name")
def test_under_another_tenant_s_name_a_query_reads_and_changes_nothing_foreign(
    connection: Connection, name: str
) -> None:
    """The wrong tenant in a parameter: nothing is found, and what would be written is refused."""
    values = params(name, tenant_id=THEIRS)
    answer, changed = outcome(connection, filled_in(name), values, role=True)
    assert not changed
    assert answer == outcome(connection, filled_in(name), values, role=True, alone=True)[0]
    if re.search(r"\bselect %\(tenant_id\)s|values \(\s*%\(tenant_id\)s", code(query_of(name))):
        assert answer == "InsufficientPrivilege"


@pytest.mark.parametrize("tenant", [None, "", "nobody", f"{OURS} ", OURS.upper(), "%", "' or true --", "\\"])
def test_without_a_tenant_or_with_an_unknown_one_no_row_is_seen(connection: Connection, tenant: str | None) -> None:
    connection.execute("update tenant_policies set tenant_id = '' where tenant_id = %s", (THEIRS,))
    as_tenant(connection, tenant)
    for table in TABLES:
        assert connection.execute(f"select from {table}".encode()).rowcount == 0, table


@pytest.mark.parametrize("table", TABLES)
def test_a_row_cannot_be_given_to_another_tenant(connection: Connection, table: str) -> None:
    as_tenant(connection, OURS)
    privileges = {
        row["privilege_type"]
        for row in connection.execute(
            "select privilege_type from information_schema.role_table_grants where table_name = %s", (table,)
        )
    }
    assert privileges <= {"SELECT", "INSERT", "UPDATE", "DELETE"}
    if "UPDATE" in privileges:
        with pytest.raises(psycopg.errors.InsufficientPrivilege, match="row-level security"):
            connection.execute(f"update {table} set tenant_id = %s".encode(), (THEIRS,))


def test_the_look_up_of_metadata_takes_its_tenant_from_the_transaction(connection: Connection) -> None:
    """It works as the role that sees every tenant: nothing that it is given leads to another."""
    look_up = "select tenant_metadata_matches(%s, 1000) as id"
    for tenant, wanted in ((OURS, ids(OURS)), (THEIRS, ids(THEIRS)), ("nobody", []), ("", []), (None, [])):
        connection.execute("savepoint start")
        as_tenant(connection, tenant)
        for metadata in ({"kind": "said"}, {"tags": ["x"], "kind": "said"}, {}):
            rows = connection.execute(look_up, (Jsonb(metadata),)).fetchall()
            assert sorted(row["id"] for row in rows) == sorted(wanted), tenant
        for metadata in ({"kind": "other"}, {THEIRS: {"kind": "said"}}, {OURS: {"kind": "said"}}):
            assert connection.execute(look_up, (Jsonb(metadata),)).fetchall() == []
        connection.execute("rollback to savepoint start")


# --- the pool


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "tenant", ["acme", "o'brien; drop table messages; --", "back\\slash", "ünï 日本 %s {x}", "default"]
)
async def test_a_transaction_works_as_its_tenant_and_leaves_nothing_behind(database: Database, tenant: str) -> None:
    look = b"select current_user, session_user, current_setting('memory.tenant_id', true) as tenant"
    for _ in range(2):
        async with database.transaction(tenant=tenant) as tx:
            row = await (await tx._connection.execute(look)).fetchone()
            assert row is not None
            assert (row["current_user"], row["tenant"]) == ("memory_layer_tenant", tenant)
    async with database.transaction(tenant=EVERY_TENANT) as tx:
        row = await (await tx._connection.execute(look)).fetchone()
        assert row is not None
        assert (row["current_user"], row["tenant"] or "") == ("memory_layer_worker", "")
    async with database.maintenance() as owner:
        row = await (await owner.execute(look)).fetchone()
        assert row is not None
        assert (row["current_user"], row["tenant"] or "") == (row["session_user"], "")


@pytest.mark.asyncio
async def test_a_transaction_opens_in_one_round_trip(database: Database) -> None:
    text = database._opening("acme", 1000, plan="auto").as_string()
    assert text == (
        "begin; set local statement_timeout = 1000; set local idle_in_transaction_session_timeout = 10000; "
        "set local role memory_layer_tenant; set local memory.tenant_id = 'acme'"
    )


# --- the catalogue

# Tables without row-level security, and why.
OPEN_TABLES = {
    "api_keys": "looked up before it is known which tenant calls; a tenant has no right to it",
    "embedding_models": "names of models, of no tenant",
    "leases": "who sweeps, of no tenant",
    "reembeddings": "changes of model, of one tenant or of all; a tenant sees which model is coming",
    "retention_runs": "counts over all tenants; a tenant has no right to it",
    "schema_migrations": "the history of the schema; a tenant has no right to it",
}


def test_every_table_has_row_level_security_or_a_reason(connection: Connection) -> None:
    rows = connection.execute(
        "select relname, relrowsecurity and relforcerowsecurity as forced, exists (select from pg_attribute a "
        "where a.attrelid = c.oid and a.attname = 'tenant_id') as of_tenants "
        "from pg_class c where relnamespace = 'public'::regnamespace and relkind in ('r', 'p')"
    ).fetchall()
    assert {row["relname"] for row in rows if row["forced"]} == set(TABLES)
    assert {row["relname"] for row in rows if row["of_tenants"]} == set(TABLES)
    assert {row["relname"] for row in rows if not row["forced"]} == OPEN_TABLES.keys()


def test_every_table_of_tenants_has_the_same_two_policies(connection: Connection) -> None:
    rows = connection.execute(
        "select tablename, policyname, permissive, roles::text[], cmd, qual, with_check from pg_policies"
    ).fetchall()
    found = {(row.pop("tablename"), row.pop("policyname")): tuple(row.values()) for row in rows}
    one = "(tenant_id = NULLIF(current_setting('memory.tenant_id'::text, true), ''::text))"
    assert found == {
        (table, policy): ("PERMISSIVE", [role], "ALL", qual, None)
        for table in TABLES
        for policy, role, qual in (
            ("one_tenant", "memory_layer_tenant", one),
            ("every_tenant", "memory_layer_worker", "true"),
        )
    } | {
        # What is old goes by a function that works as the owner.
        ("audit_events", "expired"): (
            "PERMISSIVE",
            ["postgres"],
            "ALL",
            "(happened_at < (now() - '30 days'::interval))",
            None,
        )
    }


def test_the_roles_can_neither_log_in_nor_pass_a_policy_by_nor_change_the_schema(connection: Connection) -> None:
    rows = connection.execute(
        "select rolcanlogin or rolsuper or rolbypassrls or rolcreaterole or rolcreatedb or rolreplication as more, "
        "has_schema_privilege(oid, 'public', 'create') or has_database_privilege(oid, current_database(), 'create') "
        "as builds, exists (select from pg_auth_members where member = r.oid) as member, "
        "exists (select from pg_class where relowner = r.oid) as owns "
        "from pg_roles r where rolname in ('memory_layer_tenant', 'memory_layer_worker')"
    ).fetchall()
    assert [set(row.values()) for row in rows] == [{False}, {False}]


def test_the_worker_changes_nothing_that_was_said(connection: Connection) -> None:
    said = ["messages", "message_embeddings", "message_lexemes"]
    connection.execute("set local role memory_layer_worker")
    for table in (*said, "tenant_policies"):
        assert connection.execute(f"select from {table}".encode()).rowcount > 1
        for verb in ("insert", "update", "delete", "truncate"):
            row = connection.execute("select has_table_privilege(%s, %s) as may", (table, verb)).fetchone()
            assert row == {"may": False}, (table, verb)


def test_the_roles_of_the_migration_are_those_of_the_service() -> None:
    text = (SQL / "migrations" / "0004_row_security.sql").read_text(encoding="utf-8")
    assert set(re.findall(r"memory_layer_\w+", text)) == {"memory_layer_tenant", "memory_layer_worker"}
