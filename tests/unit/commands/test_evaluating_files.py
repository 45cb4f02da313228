"""Several files at once, intervals, and two runs compared question by question."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from memory_grpc.cli import app
from memory_grpc.commands.eval_app import Dataset, sources
from memory_grpc.commands.evaluating.comparing import paired
from memory_grpc.commands.evaluating.intervals import interval
from memory_grpc.commands.evaluating.metrics import score
from memory_grpc.commands.evaluating.report import summary
from memory_grpc.commands.evaluating.run import Answer, Variant
from memory_grpc.commands.evaluating.sources import Source, read_all
from memory_grpc.commands.failure import CommandError
from tests.unit.commands.test_evaluating import Question, sample
from tests.unit.commands.test_evaluating_jsonl import message, question, written


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with data of both formats."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "locomo.json").write_text(json.dumps([sample()]))
    written(tmp_path / "own.jsonl", [question(), question(category=5)])
    written(tmp_path / "own-messages.jsonl", [message("D1:1")])
    return tmp_path


def test_files_of_both_formats_are_one_evaluation(folder: Path) -> None:
    data, budgets = sources(["locomo.json", "own.jsonl", "500"], None, [Path("own-messages.jsonl")], [250])
    assert data == [Source(Path("locomo.json")), Source(Path("own.jsonl"), Path("own-messages.jsonl"))]
    assert budgets == [250, 500]
    found = read_all(data, prefix="p-", limit=1)
    assert [(one.set, one.tenant_id, one.number) for one in found.questions] == [
        ("locomo", "p-s-1", 1),
        ("own", "p-ann", 1),
    ]
    assert set(found.memories) == {"p-s-1", "p-ann"}


@pytest.mark.parametrize(
    ("files", "dataset", "messages", "said"),
    [
        (["7"], None, [], "numbers follow --budget"),
        (["missing.json"], None, [], "no file missing.json"),
        (["own.jsonl"], None, [], "need --messages FILE, once for each file of questions .0 given"),
        (["own.jsonl", "own.jsonl"], None, ["own-messages.jsonl"], "once for each file of questions .1 given"),
        (["locomo.json"], Dataset.JSONL, [], "need --messages"),
        (["locomo.json"], None, ["own-messages.jsonl"], "belongs to no file"),
        ([], None, [], "name a file"),
    ],
)
def test_files_that_do_not_fit_are_refused(
    folder: Path, files: list[str], dataset: Dataset | None, messages: list[str], said: str
) -> None:
    with pytest.raises(typer.BadParameter, match=said):
        sources(files, dataset, [Path(one) for one in messages], None)


def test_two_files_may_not_share_a_tenant(folder: Path) -> None:
    (folder / "again.json").write_text(json.dumps([sample()]))
    with pytest.raises(CommandError, match="s-1 is a tenant of another file"):
        read_all([Source(folder / "locomo.json"), Source(folder / "again.json")])


def test_an_interval_holds_the_mean_and_is_the_same_each_time() -> None:
    values = [1.0] * 300 + [0.0] * 100
    low, high = interval(values)
    # The normal approximation: .75 ± 1.96 · sqrt(.75 · .25 / 400).
    assert (low, high) == pytest.approx((0.7076, 0.7924), abs=0.006)
    assert interval(values) == (low, high)
    assert interval([0.25]) == (0.25, 0.25)


def answer(of_set: str, number: int, *hits: str) -> Answer:
    asked = Question("t", number, "What?", 4, ("a", "b"), set=of_set)
    return Answer(Variant("hybrid", "hybrid"), asked, hits, score(hits, asked.evidence))


def test_figures_are_by_set_and_do_not_depend_on_the_order_of_answers() -> None:
    answers = [answer("one", 1, "a", "b"), answer("one", 2, "x"), answer("one", 3, "a"), answer("two", 4, "x")]
    rows = summary(answers)
    assert [(row["set"], row["category"], row["recall_10"]) for row in rows] == [
        ("one", 4, 50.0),
        ("one", None, 50.0),
        ("two", 4, 0.0),
        ("two", None, 0.0),
    ]
    assert rows[2]["recall_10_interval"] == [0.0, 0.0]
    assert summary([answers[2], answers[0], answers[1], answers[3]]) == rows


def lines(path: Path, *answers: Answer) -> Path:
    path.write_text("".join(json.dumps(one.as_line()) + "\n" for one in answers))
    return path


def compared(*arguments: Any) -> Any:
    return CliRunner().invoke(app, ["eval", "--compare", *map(str, arguments)])


def test_two_runs_are_compared_question_by_question(tmp_path: Path) -> None:
    first = lines(tmp_path / "first.jsonl", answer("one", 1, "a", "b"), answer("one", 2, "a"), answer("one", 3))
    second = lines(
        tmp_path / "second.jsonl",
        answer("one", 4),
        answer("one", 3, "a", "b"),
        answer("one", 2, "a"),
        answer("one", 1, "a"),
    )
    done = compared(first, second, "--json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert found["in_one_run"] == 1
    assert [(one["number"], one["first"], one["second"]) for one in found["changed"]] == [(1, 100, 50), (3, 0, 100)]
    whole = found["rows"][-1]
    assert {name: whole[name] for name in ("set", "ranking", "category", "questions", "better", "worse")} == {
        "set": "one",
        "ranking": "hybrid",
        "category": None,
        "questions": 3,
        "better": 1,
        "worse": 1,
    }
    assert (whole["first"], whole["second"], whole["difference"]) == (50, 66.67, 16.67)
    assert whole["interval"] == [-50, 100]
    shown = compared(first, second)
    assert shown.exit_code == 0
    assert "Greatest losses" in shown.stdout and "100.0 →  50.0  t 1, hybrid: What?" in shown.stdout
    assert "In only one of the runs: 1 question." in shown.stdout


def test_runs_of_other_data_are_not_compared(tmp_path: Path) -> None:
    first = lines(tmp_path / "first.jsonl", answer("one", 1))
    other = compared(first, lines(tmp_path / "second.jsonl", answer("two", 1)))
    assert other.exit_code != 0 and "in common" in str(other.exception)
    broken = written(tmp_path / "broken.jsonl", [{"tenant_id": "t"}])
    assert "line 1: not a line" in str(compared(first, broken).exception)
    line = answer("one", 1).as_line()
    key = ("one", "t", 1, "hybrid", 0)
    with pytest.raises(CommandError, match="other evidence"):
        paired({key: line}, {key: line | {"evidence": ["a"]}})
