"""Prompts and shorter vectors, held to SentenceTransformer.encode_query and encode_document on tiny models."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from memory_grpc.embedding import Embedder, create_provider, prompts
from memory_grpc.embedding.prompts import Prompts
from memory_grpc.embedding.sentence_transformer import SentenceTransformerProvider
from memory_grpc.errors import StartupError
from memory_grpc.settings import Settings
from tests.tiny_models import Kind, tiny_model

TEXTS = ["what did she say?", "", " two  blanks", "naïve café 数据库", "a fox and a dog " * 40]
E5 = {"query": "query: ", "document": "passage: "}
QWEN = {"query": "Instruct: Given a question, retrieve\nQuery:", "document": ""}
FAMILIES: list[tuple[Kind, dict[str, str], dict[str, Any]]] = [
    ("bert", E5, {}),
    ("bert", {"query": "Represent this sentence for searching relevant passages: "}, {"pooling": "cls"}),
    ("xlm-roberta", E5, {}),
    ("qwen3", QWEN, {"pooling": "lasttoken"}),
    ("bert", E5, {"include_prompt": False}),
]


def reference(folder: Path) -> Any:
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(str(folder), device="cpu")


def encode(provider: SentenceTransformerProvider, texts: list[str], *, is_query: bool) -> Any:
    return provider.encode([provider.windows(text, is_query=is_query)[0] for text in texts])


@pytest.mark.parametrize(("kind", "own", "more"), FAMILIES)
def test_queries_and_messages_are_read_with_the_models_own_prompts(
    kind: Kind, own: dict[str, str], more: dict[str, Any], tmp_path: Path
) -> None:
    folder = tiny_model(tmp_path / "model", kind, prompts=own, **more)
    provider, model = SentenceTransformerProvider(str(folder)), reference(folder)
    expected = {True: model.encode_query(TEXTS), False: model.encode_document(TEXTS)}
    for is_query, vectors in expected.items():
        np.testing.assert_allclose(encode(provider, TEXTS, is_query=is_query), vectors, atol=1e-5)
    # Where there are no prompts, this would show nothing.
    assert np.abs(expected[True] - expected[False]).max() > 1e-3


@pytest.mark.parametrize("kind", ["bert", "xlm-roberta", "qwen3"])
def test_every_window_of_a_long_text_begins_with_the_prompt(kind: Kind, tmp_path: Path) -> None:
    provider = SentenceTransformerProvider(str(tiny_model(tmp_path / "model", kind, prompts=E5)))
    text = " ".join(str(n) for n in range(200))
    windows = provider.windows(text)
    whole = provider.tokenizer.encode("passage: " + text).ids
    start = provider.windows("a")[0].payload[: provider._tokens.prompt_length(is_query=False) - 1].tolist()
    assert len(windows) > 4 and len(start) >= 2 - (kind == "qwen3")
    assert all(window.payload[: len(start)].tolist() == start for window in windows)
    assert {window.length for window in windows} == {64}
    told = {int(token) for window in windows for token in window.payload}
    assert told == set(whole)
    assert windows[-1].payload[-10:].tolist() == whole[-10:]


def test_settings_go_before_the_models_prompts_and_none_is_no_prompt(tmp_path: Path) -> None:
    folder = tiny_model(tmp_path / "model", prompts=E5)
    model = reference(folder)
    provider = SentenceTransformerProvider(str(folder), query_prompt="ask: ", document_prompt="none")
    np.testing.assert_allclose(encode(provider, TEXTS, is_query=True), model.encode(TEXTS, prompt="ask: "), atol=1e-5)
    np.testing.assert_allclose(encode(provider, TEXTS, is_query=False), model.encode(TEXTS, prompt=""), atol=1e-5)


def test_the_documents_prompt_is_part_of_the_model_and_the_querys_is_not(tmp_path: Path) -> None:
    folder = str(tiny_model(tmp_path / "model", prompts=E5))
    own = SentenceTransformerProvider(folder).identity
    assert SentenceTransformerProvider(folder, query_prompt="ask: ").identity == own
    assert SentenceTransformerProvider(folder, document_prompt="passage: ").identity == own
    without = SentenceTransformerProvider(folder, document_prompt="none").identity
    assert own.revision.startswith(f"{without.revision}-") and len(without.revision) == 16
    assert SentenceTransformerProvider(folder, document_prompt="said: ").identity not in (own, without)


def test_a_prompt_that_fills_the_window_stops_the_start(tmp_path: Path) -> None:
    folder = str(tiny_model(tmp_path / "model", length=32))
    with pytest.raises(
        StartupError, match=r"A prompt of 16 tokens is too long: the embedding model reads at most 32\.$"
    ):
        SentenceTransformerProvider(folder, query_prompt="word " * 16)
    SentenceTransformerProvider(folder, query_prompt="word " * 15)


@pytest.mark.parametrize(
    ("named", "default", "expected"),
    [
        ({}, None, Prompts()),
        ({"query": "q: ", "passage": "p: "}, None, Prompts("q: ", "p: ")),
        ({"query": "q: ", "document": "", "corpus": "c: "}, None, Prompts("q: ", "c: ")),
        ({"query": "q: "}, "query", Prompts("q: ", "")),
        ({"query": "", "document": "", "sts": "s: "}, "sts", Prompts("s: ", "s: ")),
        ({"sts": "s: "}, None, Prompts()),
    ],
)
def test_the_names_under_which_models_keep_their_prompts(
    named: dict[str, str], default: str | None, expected: Prompts, tmp_path: Path
) -> None:
    (tmp_path / "config_sentence_transformers.json").write_text(
        json.dumps({"prompts": named, "default_prompt_name": default})
    )
    assert prompts.of_model(tmp_path) == expected


def test_a_model_without_a_configuration_has_no_prompts(tmp_path: Path) -> None:
    assert prompts.of_model(tmp_path) == Prompts()


def settings(folder: Path, **changes: Any) -> Settings:
    return Settings(_env_file=None, embedding_model_name=str(folder), **changes)


def test_vectors_are_cut_to_the_dimensions_that_were_set(tmp_path: Path) -> None:
    folder = tiny_model(tmp_path / "model", prompts=E5)
    provider = create_provider(settings(folder, embedding_dimensions=8))
    assert isinstance(provider, SentenceTransformerProvider) and provider.identity.dimensions == 8
    vectors = encode(provider, TEXTS, is_query=False)
    expected = reference(folder).encode_document(TEXTS, truncate_dim=8, normalize_embeddings=True)
    np.testing.assert_allclose(vectors, expected, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)


def test_the_default_dimensions_cut_nothing(tmp_path: Path) -> None:
    folder = tiny_model(tmp_path / "model", width=400)
    with pytest.raises(StartupError, match=r"400 dimensions, but .* is 384 by default: set it to that"):
        create_provider(settings(folder))


def test_the_next_model_has_its_own_prompts_and_dimensions() -> None:
    now = {"embedding_query_prompt": "q: ", "embedding_document_prompt": "d: ", "embedding_dimensions": 256}
    other = Settings(_env_file=None, **now, embedding_next_model_name="other").with_next_model  # type: ignore[arg-type]
    assert other is not None and (other.embedding_query_prompt, other.embedding_document_prompt) == ("", "")
    assert "embedding_dimensions" not in other.model_fields_set
    same = Settings(_env_file=None, **now, embedding_next_document_prompt="none").with_next_model  # type: ignore[arg-type]
    assert same is not None and (same.embedding_query_prompt, same.embedding_document_prompt) == ("q: ", "none")
    assert "embedding_dimensions" in same.model_fields_set
    longer = Settings(_env_file=None, embedding_next_model_name="other", embedding_next_dimensions=384).with_next_model
    assert longer is not None and "embedding_dimensions" in longer.model_fields_set
    # Asking in another way is no other model.
    assert Settings(_env_file=None, embedding_next_query_prompt="q: ").with_next_model is None


@pytest.mark.asyncio
async def test_the_embedder_asks_for_queries_and_for_messages(tmp_path: Path) -> None:
    folder = tiny_model(tmp_path / "model", prompts=E5)
    embedder, model = Embedder(SentenceTransformerProvider(str(folder)), workers=1), reference(folder)
    await embedder.start()
    try:
        query = await embedder.embed_query(TEXTS[0])
        ((message,),) = await embedder.embed_messages([TEXTS[0]])
    finally:
        await embedder.close()
    np.testing.assert_allclose(query, model.encode_query(TEXTS[0]), atol=1e-5)
    np.testing.assert_allclose(message, model.encode_document(TEXTS[0]), atol=1e-5)
