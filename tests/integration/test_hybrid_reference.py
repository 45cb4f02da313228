"""The hybrid ranking against its recipe (docs/ranking.md) written out in plain Python over what the database holds."""

from __future__ import annotations

import math
import random
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from memory_grpc.ranking import HybridWeights, Participants, plan_query
from memory_grpc.ranking.lexemes import lexemes
from memory_grpc.ranking.weights import Recipe
from memory_layer.v1 import admin_service_pb2 as admin
from memory_layer.v1 import memory_service_pb2 as pb
from memory_layer.v1 import policy_pb2, policy_service_pb2
from tests.conftest import RunningServer
from tests.integration.test_search import NOW, fill, message, query

Rows = Callable[..., list[tuple[Any, ...]]]
FREQUENT = ["bread", "music", "garden", "python", "travel"]
RARE = ["zugzwang", "quetzal", "marzipan", "o'clock", "back\\slash", "naïve"]
NAMES = ["Ann", "Bob", None]
WORDS = "select lexeme, cardinality(positions) from unnest(text_lexemes('english', %s, %s))"


@dataclass
class Turn:
    """A message with all that the recipe looks at."""

    id: str
    conversation_id: str
    created_at: datetime
    name: str | None
    role: str
    importance: float
    content: str
    words: Counter[str] = field(default_factory=Counter)
    similarity: float = -2.0


def words_of(rows: Rows, *texts: str) -> list[tuple[Any, ...]]:
    """The words of texts that are found together, and how often each stands there."""
    read = lexemes(*texts)
    return rows(WORDS, read.words, read.others)


def turns_of(rows: Rows, asked: np.ndarray, *, archive: bool) -> list[Turn]:
    """What is stored, with the similarity of each message's best window."""
    turns: dict[Any, Turn] = {}
    only = "" if archive else "where archived_at is null"
    for row in rows(f"select id, conversation_id, created_at, name, role, importance, content from messages {only}"):
        turns[row[0]] = Turn(str(row[0]), *row[1:])
    for message_id, content, name in rows(f"select id, content, name from messages {only}"):
        turns[message_id].words += Counter(dict(words_of(rows, content, name or "")))
    only = only.replace("archived_at is null", "not archived")
    for message_id, text in rows(f"select message_id, embedding::text from message_embeddings {only}"):
        vector = np.array([float(number) for number in text[1:-1].split(",")])
        cosine = float(vector @ asked / np.linalg.norm(vector) / np.linalg.norm(asked))
        turns[message_id].similarity = max(turns[message_id].similarity, cosine)
    return list(turns.values())


def expected(
    turns: list[Turn], asked_words: list[str], plan: Any, as_of: datetime, weights: HybridWeights
) -> list[tuple[str, float, float]]:
    """(id, score, lexical) of every message, best first, as the recipe has it."""
    conversations: dict[str, list[Turn]] = defaultdict(list)
    for turn in sorted(turns, key=lambda turn: (turn.created_at, turn.id)):
        conversations[turn.conversation_id].append(turn)
    tf: dict[str, dict[str, float]] = {}
    length: dict[str, float] = {}
    for said in conversations.values():
        for place, turn in enumerate(said):
            shares = [(1.0, turn)]
            shares += [(weights.previous, said[place - 1])] if place > 0 else []
            shares += [(weights.previous / 2, said[place - 2])] if place > 1 else []
            tf[turn.id] = {word: sum(share * t.words[word] for share, t in shares) for word in asked_words}
            length[turn.id] = sum(share * t.words.total() for share, t in shares)
    count, mean = len(turns), sum(length.values()) / len(turns)
    frequency = {word: sum(word in turn.words for turn in turns) for word in asked_words}
    idf = {word: math.log(1 + (count - df + 0.5) / (df + 0.5)) for word, df in frequency.items()}
    lexical, own = {}, {}
    for turn in turns:
        norm = weights.k1 * (1 - weights.b + weights.b * length[turn.id] / mean)
        bm25 = sum(idf[word] * n * (weights.k1 + 1) / (n + norm) for word, n in tf[turn.id].items() if n)
        lexical[turn.id] = bm25 / math.log(count + 1)
        own[turn.id] = turn.similarity + weights.lexical * lexical[turn.id]
    best = {name: max(own[turn.id] for turn in said) for name, said in conversations.items()}
    near, after, coverage = surroundings(list(conversations.values()), lexical, idf, frequency, weights)
    relevance = {}
    for turn in turns:
        dated = any(
            (start is None or start <= turn.created_at) and (end is None or turn.created_at < end)
            for start, end in plan.date_ranges
        )
        if weights.graded_dates:
            dated = max((fit(turn.created_at, start, end) for start, end in plan.dates), default=0)
        speaks = turn.name in plan.speaker_names if turn.name else turn.role in plan.speaker_roles
        relevance[turn.id] = (
            own[turn.id]
            + weights.conversation * best[turn.conversation_id]
            + weights.date * dated
            + weights.speaker * speaks
            + weights.near * near[turn.id]
            + weights.after * after[turn.id]
            + weights.coverage * coverage[turn.id]
            + weights.asks_when * (plan.asks_when and "yesterday" in turn.content)
            + weights.first_person * (" my " in f" {turn.content} ")
            + weights.question * turn.content.endswith("?")
            + weights.assistant * (turn.role == "assistant")
        )
    top = max(relevance.values())
    scores = []
    for turn in turns:
        decay = math.exp(-(as_of - turn.created_at).total_seconds() / 86400 / 7)
        score = 0.6 * max(relevance[turn.id], 0) / top + 0.3 * turn.importance + 0.1 * decay
        scores.append((turn.id, score, lexical[turn.id]))
    return sorted(scores, key=lambda scored: -scored[1])


def surroundings(
    conversations: list[list[Turn]],
    lexical: dict[str, float],
    idf: dict[str, float],
    frequency: dict[str, int],
    weights: HybridWeights,
) -> tuple[dict[str, float], dict[str, float], dict[str, float]]:
    """The best turn within three of each, the turn right after, and the share of the words within two."""
    near, after, coverage = {}, {}, {}
    known = [word for word in idf if frequency[word]]
    for said in conversations:
        for place, turn in enumerate(said):
            three, two = said[max(0, place - 3) : place + 4], said[max(0, place - 2) : place + 3]
            near[turn.id] = max(t.similarity + weights.near_words * lexical[t.id] for t in three)
            following = said[place + 1 : place + 2]
            after[turn.id] = sum(t.similarity + weights.near_words * lexical[t.id] for t in following)
            there = sum(idf[word] for word in known if any(t.words[word] for t in two))
            coverage[turn.id] = there / sum(idf[word] for word in known) if known else 0.0
    return near, after, coverage


def fit(created_at: datetime, start: datetime | None, end: datetime | None) -> float:
    """How well a date fits, as docs/ranking.md has it."""
    days = 3650.0 if start is None or end is None else min(max((end - start) / timedelta(days=1), 1), 3650)
    late = 0.0 if end is None else max(0.0, (created_at - end) / timedelta(days=1))
    early = 0.0 if start is None else max(0.0, (start - created_at) / timedelta(days=1))
    return math.exp(-late / 7 - 3 * early) / (1 + math.log(days) / math.log(365))


def random_turns(count: int, seed: int) -> list[pb.IngestMessageRequest]:
    """Short turns, some that repeat themselves, up to dozens of times, some of no word at all, and a few so long that
    their words take several rows and their vectors several windows."""
    rng = random.Random(seed)
    made = []
    for number in range(count):
        said = rng.choices(FREQUENT + RARE[:2], k=rng.randint(0, 9)) + rng.choices(RARE, k=rng.random() < 0.1)
        if number % 25 == 0:
            said += ["".join(rng.choices("abcdefghijklmnop", k=7)) for _ in range(rng.randint(100, 700))]
            said += ["marzipan", "music", "music"]
        if number % 30 == 1:
            said += ["music"] * rng.randint(20, 60)
        rng.shuffle(said)
        said += ["yesterday"] * (number % 4 == 0) + ["my"] * (number % 5 == 0) + ["bread?"] * (number % 7 == 0)
        made.append(
            message(
                " ".join(said) or "?!",
                NOW - timedelta(seconds=rng.randint(0, 60 * 86400)),
                conversation_id=f"c{rng.randint(1, 12)}",
                role=rng.choice(["user", "assistant"]),
                importance_override=rng.random(),
                **({"name": name} if (name := rng.choice(NAMES)) else {}),
            )
        )
    return made


def _days_ago(moment: datetime) -> int:
    return (datetime.now(UTC) - moment).days


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("recipe", "archive"), [("conversation", False), ("conversation", True), ("surroundings", False)]
)
async def test_sql_and_the_recipe_agree_on_every_score(
    server: RunningServer, rows: Rows, recipe: Recipe, archive: bool
) -> None:
    weights = HybridWeights.of(recipe)
    await server.policy.SetTenantPolicy(
        policy_service_pb2.SetTenantPolicyRequest(
            tenant_id="acme", hybrid_weights=policy_pb2.HybridWeights(recipe=recipe)
        )
    )
    await fill(server, random_turns(300, seed=3))
    if archive:
        older = policy_pb2.RetentionPolicy(max_age_days=_days_ago(NOW) + 30, importance_threshold=0)
        await server.policy.SetTenantPolicy(
            policy_service_pb2.SetTenantPolicyRequest(
                tenant_id="acme", retention=older, hybrid_weights=policy_pb2.HybridWeights(recipe=recipe)
            )
        )
        await server.admin.RunRetention(admin.RunRetentionRequest(tenant_id="acme", actions=["archive"]))
        assert 0 < rows("select count(*) from messages where archived_at is not null")[0][0] < 300
    live = rows("select name, role from messages where archived_at is null")
    participants = Participants(
        tuple(sorted({name for name, _ in live if name})), tuple(sorted({role for name, role in live if not name}))
    )
    model = await server.application.operations.search._models.of("acme")
    embed = model.embedder.embed_query
    for text in (
        "music and the zugzwang",
        "Did Ann like the marzipan and the music in February 2026?",
        "What did the user say to Bob of python, bread, travel and garden at ten o'clock with a back\\slash?",
        "What did the user say about bread?",
        "What was said of bread before last week?",
        "naïve",
        "When did my bread and the zugzwang of last week come to Bob?",
        "nothing that was said",
    ):
        plan = plan_query(text, participants, NOW, weights)
        asked = (await embed(plan.embedding_text)).astype(np.float16).astype(float)
        asked_words = [word for word, _ in words_of(rows, text)]
        wanted = expected(turns_of(rows, asked, archive=archive), asked_words, plan, NOW, weights)
        found = await server.memory.SearchMemories(
            query(text, ranking="hybrid", top_k=1000, explain=True, include_archived=archive)
        )
        assert found.explanation.candidates == len(wanted) == len(found.items)
        scores = {message_id: (score, lexical) for message_id, score, lexical in wanted}
        for hit, (_, score, _) in zip(found.items, wanted, strict=True):
            terms = {term.name: term.value for term in hit.explanation.terms}
            assert hit.score == pytest.approx(score, abs=1e-6), "the best are in the same places"
            assert (hit.score, terms["lexical"]) == pytest.approx(scores[hit.message_id], abs=1e-6)
        few = await server.memory.SearchMemories(
            query(text, ranking="hybrid", top_k=7, explain=True, include_archived=archive)
        )
        assert list(few.items) == list(found.items[:7])
        assert few.explanation.candidates == len(wanted)
