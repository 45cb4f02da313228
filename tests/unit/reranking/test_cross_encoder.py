"""A tiny cross-encoder of random weights in this process: no meaning is in it, and nobody is asked for it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from memory_grpc.errors import StartupError
from memory_grpc.reranking import RerankLate
from memory_grpc.reranking.cross_encoder import MOST_INSIDE, CrossEncoderReranker
from tests.tiny_models import tiny_cross_encoder

QUERY = "who plays the piano"
TEXTS = ["bread and butter", "Anna plays the piano " * 30, "", "the piano is out of tune", "a", *map(str, range(8))]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_cross_encoder(tmp_path_factory.mktemp("models") / "reranker")


@pytest.mark.asyncio
async def test_scores_are_those_of_sentence_transformers_whoever_is_read_beside(folder: Path) -> None:
    import torch
    from sentence_transformers import CrossEncoder

    reranker = CrossEncoderReranker(str(folder))
    scores = await reranker.scores(QUERY, TEXTS, 60)
    wanted = CrossEncoder(str(folder), device="cpu", local_files_only=True).predict(
        [(QUERY, text) for text in TEXTS], activation_fn=torch.nn.Sigmoid()
    )
    assert scores == pytest.approx(wanted.tolist(), abs=2e-6)
    assert len(set(scores)) > len(TEXTS) / 2, "a model that tells texts apart"
    assert await reranker.scores(QUERY, TEXTS, 60) == scores
    assert await reranker.scores(QUERY, TEXTS[::-1], 60) == scores[::-1], "the order they come in is nothing"
    alone = [(await reranker.scores(QUERY, [text], 60))[0] for text in TEXTS]
    assert alone == pytest.approx(scores, abs=2e-6)
    await reranker.close()


@pytest.mark.asyncio
async def test_searches_that_would_be_late_are_told_so(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reranker = CrossEncoderReranker(str(folder))
    batches = 0
    predict = reranker._model.predict

    def slow(*arguments: object, **options: object) -> object:
        nonlocal batches
        batches += 1
        asyncio.run_coroutine_threadsafe(release.wait(), loop).result()
        return predict(*arguments, **options)

    loop, release = asyncio.get_running_loop(), asyncio.Event()
    monkeypatch.setattr(reranker._model, "predict", slow)
    waiting = [asyncio.create_task(reranker.scores(QUERY, TEXTS, 0.05 if n else 60)) for n in range(MOST_INSIDE)]
    await asyncio.sleep(0)
    with pytest.raises(RerankLate):
        await reranker.scores(QUERY, TEXTS, 60)  # nobody else is let in
    first, *others = waiting
    assert [type(error) for error in await asyncio.gather(*others, return_exceptions=True)] == [RerankLate] * len(
        others
    )
    release.set()
    assert len(await first) == len(TEXTS)
    await reranker.close()
    assert batches == 2, "of those that were late nothing was read"


def test_what_is_no_reranker_stops_the_start(tmp_path: Path) -> None:
    with pytest.raises(StartupError, match="returns 2 scores for a pair"):
        CrossEncoderReranker(str(tiny_cross_encoder(tmp_path / "two", labels=2)))
    with pytest.raises(StartupError, match="The reranker 'nobody/has-this' was not found"):
        CrossEncoderReranker("nobody/has-this")
    with pytest.raises(StartupError, match="MEMORY_RERANK_MODEL must name"):
        CrossEncoderReranker("")
