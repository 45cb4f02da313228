"""Metrics, evidence, names and rankings of ``eval``, on small data made by hand."""

from __future__ import annotations

import asyncio
import json
import math
from datetime import datetime
from pathlib import Path
from typing import Any

import grpc
import pytest

from memory_grpc.commands.configuration import Target
from memory_grpc.commands.evaluating.caller import Caller
from memory_grpc.commands.evaluating.dataset import Dataset, Memory, Question, parse_evidence, read, strip_names
from memory_grpc.commands.evaluating.loading import load, stored
from memory_grpc.commands.evaluating.metrics import mean, score
from memory_grpc.commands.evaluating.report import summary, table
from memory_grpc.commands.evaluating.run import Answer, Variant, ask_all, warn
from memory_grpc.commands.failure import CommandError
from memory_grpc.commands.importing.records import Mark
from memory_layer.v1 import admin_service_pb2, policy_pb2
from memory_layer.v1 import memory_service_pb2 as pb
from tests.unit.commands.test_sender import failure

OTHERS = [f"x{n}" for n in range(40)]


def test_everything_on_top_is_one() -> None:
    scores = score(["a", "b", *OTHERS], {"a", "b"})
    assert (scores.recall_5, scores.recall_10, scores.recall_25, scores.ndcg_10, scores.reciprocal_rank) == (1,) * 5


def test_nothing_found_is_zero() -> None:
    scores = score(OTHERS, {"a"})
    assert (scores.recall_25, scores.ndcg_10, scores.reciprocal_rank) == (0, 0, 0)
    assert score([], {"a"}) == scores


def test_recall_counts_evidence_up_to_each_cutoff() -> None:
    hits = [*OTHERS[:4], "a", *OTHERS[4:8], "b", *OTHERS[8:22], "c", "d"]  # ranks 5, 10, 25, 26
    scores = score(hits, {"a", "b", "c", "d"})
    assert (scores.recall_5, scores.recall_10, scores.recall_25) == (0.25, 0.5, 0.75)
    assert scores.reciprocal_rank == pytest.approx(1 / 5)


def test_ndcg_discounts_by_rank_against_the_best_order() -> None:
    scores = score(["x", "a", "y", "b"], {"a", "b"})
    best = 1 + 1 / math.log2(3)
    assert scores.ndcg_10 == pytest.approx((1 / math.log2(3) + 1 / math.log2(5)) / best)


def test_ndcg_looks_at_ten_and_expects_no_more_than_ten() -> None:
    evidence = [f"e{n}" for n in range(12)]
    assert score(evidence, evidence).ndcg_10 == pytest.approx(1)
    assert score([*OTHERS[:10], "a"], {"a"}).ndcg_10 == 0


def test_a_hit_that_comes_again_counts_once() -> None:
    scores = score(["a", "a", "b"], {"a", "c"})
    assert scores.recall_5 == 0.5
    assert scores.ndcg_10 == pytest.approx(1 / (1 + 1 / math.log2(3)))


def test_mean_weighs_every_question_the_same() -> None:
    means = mean([score(["a"], {"a"}), score(["x", "a"], {"a", "b", "c", "d"})])
    assert means.recall_5 == pytest.approx((1 + 0.25) / 2)
    assert means.reciprocal_rank == pytest.approx((1 + 0.5) / 2)


@pytest.mark.parametrize(
    ("entries", "found"),
    [
        (["D1:1"], ["D1:1"]),
        (["D8:6; D9:17"], ["D8:6", "D9:17"]),
        (["D8:6 D9:17"], ["D8:6", "D9:17"]),
        (["D:11:26"], ["D11:26"]),
        (["D08:06"], ["D8:6"]),
        (["D1:1", "D1:1; D8:6"], ["D1:1", "D8:6"]),
        (["D99:1", "D", "", "session 8:6"], []),
        ([], []),
    ],
)
def test_evidence_is_every_pair_that_exists(entries: list[str], found: list[str]) -> None:
    assert list(parse_evidence(entries, {"D1:1", "D8:6", "D9:17", "D11:26"})) == found


@pytest.mark.parametrize(
    ("question", "rest"),
    [
        ("What did Anna Berg's brother cook?", "What did brother cook?"),
        ("When did Berg and ANNA meet?", "When did and meet?"),
        ("What did James’ dog eat, Anna?", "What did dog eat,?"),
        ("Who is Annabel?", "Who is Annabel?"),
        ("Anna?", "?"),
    ],
)
def test_names_go_with_what_hangs_on_them(question: str, rest: str) -> None:
    assert strip_names(question, {"Anna Berg", "James"}) == rest


def test_without_names_a_question_stays_as_it_is() -> None:
    assert strip_names("What  did Anna eat ?", ()) == "What  did Anna eat ?"


def sample(tenant: str = "s-1") -> dict[str, Any]:
    """Two sessions of Anna and Ben, and questions of every kind."""
    return {
        "sample_id": tenant,
        "conversation": {
            "speaker_a": "Anna",
            "speaker_b": "Ben",
            "session_1_date_time": "1:56 pm on 8 May, 2023",
            "session_1": [
                {"speaker": "Anna", "dia_id": "D1:1", "text": "I bought a kite."},
                {"speaker": "Ben", "dia_id": "D1:2", "text": " "},
            ],
            "session_2_date_time": "9:00 am on 2 June, 2023",
            "session_2": [{"speaker": "Ben", "dia_id": "D2:1", "text": "My boat sank."}],
        },
        "qa": [
            {"question": "What did Anna buy?", "answer": "a kite", "evidence": ["D1:1"], "category": 4},
            {"question": "What sank?", "answer": "a boat", "evidence": ["D2:1; D1:1"], "category": 1},
            {"question": "Who sang?", "answer": "?", "evidence": ["D7:1"], "category": 2},
            {"question": "Did Ben fly?", "adversarial_answer": "yes", "evidence": ["D1:1"], "category": 5},
        ],
    }


def write(path: Path, *samples: dict[str, Any]) -> Path:
    """A LoCoMo file."""
    file = path / "locomo.json"
    file.write_text(json.dumps(samples))
    return file


def test_a_file_is_read_as_an_import_would(tmp_path: Path) -> None:
    dataset = read(write(tmp_path, sample()))
    memory = dataset.memories["s-1"]
    assert list(memory.turns) == ["D1:1", "D2:1"]
    assert memory.as_of == datetime(2023, 6, 3, 9, 0)
    assert memory.names == {"Anna", "Ben"}
    assert [(q.number, q.category, q.evidence) for q in dataset.questions] == [
        (1, 4, ("D1:1",)),
        (2, 1, ("D2:1", "D1:1")),
    ]
    assert dataset.dropped == 1


def test_a_prefix_makes_other_tenants_and_other_request_ids(tmp_path: Path) -> None:
    file = write(tmp_path, sample())
    plain, prefixed, again = read(file), read(file, prefix="try-"), read(file, prefix="try-")

    def ids(dataset: Dataset, tenant: str) -> list[str]:
        return [turn.request.request_id for turn in dataset.memories[tenant].turns.values() if turn.request]

    assert ids(prefixed, "try-s-1") == ids(again, "try-s-1")
    assert not set(ids(prefixed, "try-s-1")) & set(ids(plain, "s-1"))
    assert {question.tenant_id for question in prefixed.questions} == {"try-s-1"}


def test_a_limit_keeps_only_the_tenants_that_are_asked(tmp_path: Path) -> None:
    dataset = read(write(tmp_path, sample("s-1"), sample("s-2")), limit=1, without_names=True)
    assert list(dataset.memories) == ["s-1"]
    assert [question.text for question in dataset.questions] == ["What did buy?"]


@pytest.mark.parametrize("text", ["{", "[]", '[{"sample_id": "s", "conversation": {}}]', '{"a": 1}'])
def test_another_file_is_a_sentence(tmp_path: Path, text: str) -> None:
    file = tmp_path / "other.json"
    file.write_text(text)
    with pytest.raises(CommandError):
        read(file)
    with pytest.raises(CommandError):
        read(tmp_path / "missing.json")


class Service(Caller):
    """A server in memory whose searches find D1:1; nobody may change a policy."""

    def __init__(self) -> None:
        self.own = policy_pb2.TenantPolicy(tenant_id="t")

    async def memory(self, method: str, request: Any) -> Any:
        assert method == "SearchMemories"
        hit = pb.MemoryHit()
        hit.metadata["dia_id"] = "D1:1"
        return pb.SearchMemoriesResponse(items=[hit])

    async def admin(self, method: str, request: Any) -> Any:
        assert method == "GetHealth"
        return admin_service_pb2.GetHealthResponse()

    async def policy(self, method: str, request: Any) -> Any:
        assert method == "GetTenantPolicy"
        return self.own


DATASET = Dataset(
    {"t": Memory("t", as_of=datetime(2023, 6, 3))},
    [Question("t", 1, "What?", 4, ("D1:1",)), Question("t", 2, "Who?", 1, ("D2:1", "D1:1"))],
    0,
)


def test_every_ranking_asks_every_question() -> None:
    answers = list[Answer]()
    rankings = [Variant(name, name) for name in ("semantic", "hybrid")]
    asyncio.run(ask_all(DATASET, rankings, Service(), 2, answers.append))
    rows = summary(answers)
    assert [(row["ranking"], row["category"], row["questions"]) for row in rows[:3]] == [
        ("semantic", 1, 1),
        ("semantic", 4, 1),
        ("semantic", None, 2),
    ]
    assert (rows[2]["recall_10"], rows[2]["reciprocal_rank"]) == (75.0, 100.0)
    assert table(rows, "title").row_count == len(rows)
    assert answers[0].as_line()["hits"] == ["D1:1"]


def test_what_the_figures_will_be_those_of_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    service = Service()
    service.own.overrides[:] = ["retention.max_age_days", "score_weights.decay", "hybrid_weights.names_to_i", "ranking"]
    service.own.score_weights.decay = 0.25
    asyncio.run(warn(DATASET, service))
    assert capsys.readouterr().err == (
        "Warning: t has weights of its own: score_weights.decay=0.25, hybrid_weights.names_to_i=0.\n"
    )


def test_what_is_stored_is_told_from_what_is_not(tmp_path: Path) -> None:
    memory = read(write(tmp_path, sample())).memories["s-1"]

    class Stocked(Service):
        async def memory(self, method: str, request: Any) -> Any:
            assert (request.tenant_id, request.top_k, request.include_archived) == ("s-1", 1000, True)
            response = pb.SearchMemoriesResponse()
            for dia_id in ("D1:1", "D1:1", "D5:5", ""):
                hit = response.items.add()
                if dia_id:
                    hit.metadata["dia_id"] = dia_id
            response.items[1].archived_at.FromSeconds(1)
            return response

    [found] = asyncio.run(stored([memory], Stocked(), 1.0))
    assert dict(found.turns) == {"D1:1": 2}
    assert (found.archived, found.foreign) == (1, 2)


def test_only_what_is_missing_is_sent_and_oddities_are_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sent: list[str] = []

    class Import:
        stopped = False

        def __init__(self, source: Any, *_: Any) -> None:
            sent.extend(record.request.content for record in source.records(Mark()))

        async def run(self) -> None:
            """Sends nothing."""

    monkeypatch.setattr("memory_grpc.commands.evaluating.loading.Import", Import)
    [memory] = read(write(tmp_path, sample())).memories.values()

    def loaded() -> int:
        return asyncio.run(load([memory], Service(), Target("localhost:1", 1.0), "file", 1.0))

    loaded()  # Service has D1:1
    assert sent == ["My boat sank."]
    memory.turns.pop("D2:1")
    assert loaded() == 0
    memory.turns.clear()
    loaded()
    assert capsys.readouterr().err == "Warning: s-1 holds 1 message of another file.\n"


def test_the_rate_limit_is_waited_out(monkeypatch: pytest.MonkeyPatch) -> None:
    failures = [failure(grpc.StatusCode.RESOURCE_EXHAUSTED, "RATE_LIMITED", retry_after="7")]
    waits, notes = list[float](), list[str]()
    now = 100.0

    async def sleep(seconds: float) -> None:
        nonlocal now
        waits.append(seconds)
        now += seconds

    async def method(*_: Any, **__: Any) -> str:
        if failures:
            raise failures.pop()
        return "answer"

    monkeypatch.setattr("memory_grpc.commands.evaluating.caller.asyncio.sleep", sleep)
    monkeypatch.setattr("memory_grpc.commands.evaluating.caller.time.monotonic", lambda: now)
    caller = Caller(None, Target("localhost:1", 1.0), notes.append)  # type: ignore[arg-type]
    assert asyncio.run(caller._call(method, None)) == "answer"
    assert waits == [7.0]
    assert len(notes) == 1
    assert "MEMORY_GLOBAL_RATE_LIMIT=" in notes[0]
