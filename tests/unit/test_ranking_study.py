"""The study of the ranking's weights (bench/ranking)."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from memory_grpc.settings import Settings

MODEL: dict[str, Any] = {
    "embedding_provider": "sentence_transformer",
    "embedding_model_name": "sentence-transformers/all-MiniLM-L6-v2",
    "embedding_dimensions": 384,
    "embedding_query_prompt": "",
    "embedding_document_prompt": "",
    "embedding_precision": "fp32",
}
BENCH = Path(__file__).resolve().parents[2] / "bench"


def module(monkeypatch: pytest.MonkeyPatch, name: str) -> ModuleType:
    monkeypatch.syspath_prepend(str(BENCH))
    monkeypatch.syspath_prepend(str(BENCH / "ranking"))
    for one in ("asking", "candidates", "collect", "learn"):
        monkeypatch.delitem(sys.modules, one, raising=False)
    return importlib.import_module(name)


@pytest.mark.parametrize(
    "changes",
    [
        {"embedding_provider": "hashing"},
        {"embedding_model_name": "intfloat/e5-small-v2"},
        {"embedding_dimensions": 128},
        {"embedding_query_prompt": "query: "},
        {"embedding_document_prompt": "passage: "},
        {"embedding_precision": "bf16"},
    ],
)
def test_another_model_has_a_folder_of_its_own(monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any]) -> None:
    folder_of = module(monkeypatch, "collect").folder_of
    kept = Path("kept")
    assert folder_of(kept, Settings(**MODEL, grpc_port=1)) == folder_of(kept, Settings(**MODEL, grpc_port=2))
    assert folder_of(kept, Settings(**MODEL | changes)) != folder_of(kept, Settings(**MODEL))


def question(learn: ModuleType, messages: int, sample: str = "a") -> Any:
    """One piece of evidence that only its speaker tells from more similar messages."""
    terms = np.zeros((messages, 1 + len(learn.REACH)))
    terms[:, 0] = np.linspace(0.5, 0.6, messages)
    terms[0, 1 + list(learn.REACH).index("speaker")] = 0.2
    wanted = np.arange(messages) == 0
    return learn.Listed("set", sample, 1, terms, np.zeros(messages), wanted)


@pytest.mark.parametrize("messages", [1, 2, 8, 9, 12])
def test_a_memory_of_few_messages_is_learned_from(monkeypatch: pytest.MonkeyPatch, messages: int) -> None:
    learn = module(monkeypatch, "learn")
    weights = learn.learned([question(learn, messages)], {"speaker"})
    assert np.isfinite(weights).all()
    # Ten or fewer are all found, whatever the weights: a message at the eighth place of the others costs a little.
    is_moved = bool((weights != learn.first()).any())
    assert is_moved == (messages > 8)


def test_few_messages_beside_many_do_not_change_what_the_many_teach(monkeypatch: pytest.MonkeyPatch) -> None:
    learn = module(monkeypatch, "learn")
    many = [question(learn, 40)]
    speaker = list(learn.REACH).index("speaker")
    both = learn.learned([*many, question(learn, 3)], {"speaker"})
    assert both[speaker] > learn.first()[speaker]
    assert learn.learned(many, {"speaker"})[speaker] > learn.first()[speaker]


def test_without_questions_nothing_is_learned(monkeypatch: pytest.MonkeyPatch) -> None:
    learn = module(monkeypatch, "learn")
    assert (learn.learned([], {"speaker"}) == learn.first()).all()
