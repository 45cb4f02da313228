"""The real model: everything here is held to SentenceTransformer.encode itself."""

import json
import shutil
from itertools import pairwise
from pathlib import Path
from types import FunctionType
from typing import Any, cast

import numpy as np
import pytest
import torch

from memory_grpc.embedding import bert, bert_forward, create_provider, model_files, sentence_transformer
from memory_grpc.embedding.prompts import Prompts
from memory_grpc.embedding.provider import Vectors
from memory_grpc.embedding.sentence_transformer import SentenceTransformerProvider
from memory_grpc.errors import EmbeddingUnavailable, StartupError
from memory_grpc.settings import Settings

MODEL = "sentence-transformers/all-MiniLM-L6-v2"
TEXTS = [
    "I love Python programming",
    "",
    " \n ",
    "hi",
    "Researching adoption agencies — it's been a dream to have a family 😊",
    "数据库 и память, naïve café",
    "a text that spells [SEP] and [PAD] itself",
    "The quick brown fox jumps over the lazy dog. " * 15,
    "Fits the window of 256 but not the packaged 128: " + "word " * 180,
    "far too long for one window " * 200,
]


@pytest.fixture(scope="module")
def provider() -> SentenceTransformerProvider:
    return SentenceTransformerProvider(MODEL)


@pytest.fixture(scope="module")
def reference() -> Any:
    from sentence_transformers import SentenceTransformer

    return SentenceTransformer(str(model_files.resolve(MODEL)), device="cpu")


@pytest.fixture(scope="module")
def expected(reference: Any) -> Vectors:
    vectors: Vectors = reference.encode(TEXTS, show_progress_bar=False)
    return vectors


def first_windows(provider: SentenceTransformerProvider) -> list[Any]:
    return [provider.windows(text)[0] for text in TEXTS]


def same(actual: Vectors, expected: Vectors) -> None:
    assert actual.dtype == np.float32 and actual.shape == expected.shape
    assert np.abs(actual - expected).max() < 1e-5
    assert (actual * expected).sum(axis=1).min() > 0.99999


def test_vectors_equal_sentence_transformers(provider: SentenceTransformerProvider, expected: Vectors) -> None:
    # A long text's first window is what SentenceTransformer.encode reads of it.
    same(np.concatenate([provider.encode([window]) for window in first_windows(provider)]), expected)


def test_a_vector_does_not_depend_on_its_batch(provider: SentenceTransformerProvider, expected: Vectors) -> None:
    windows = first_windows(provider)
    assert len({window.length for window in windows}) > 5  # so that nearly every row is padded
    same(provider.encode(windows), expected)
    same(provider.encode(windows[::-1])[::-1], expected)
    alone = np.concatenate([provider.encode([window]) for window in windows])
    assert np.abs(provider.encode(windows) - alone).max() < 1e-6


def test_few_tokens_take_the_graph_and_give_the_same_vectors(
    provider: SentenceTransformerProvider, expected: Vectors, monkeypatch: pytest.MonkeyPatch
) -> None:
    short = [at for at, window in enumerate(first_windows(provider)) if window.length <= 20][:3]
    windows = [first_windows(provider)[at] for at in short]
    assert len({window.length for window in windows}) > 1
    encoder = encoder_of(provider)
    monkeypatch.setattr(encoder, "_forward", None)  # it would fail
    same(provider.encode(windows), expected[short])
    same(provider.encode(windows[:1]), expected[short[:1]])
    with pytest.raises(EmbeddingUnavailable):
        provider.encode(first_windows(provider))


def test_weights_that_cannot_be_packed_give_the_same_vectors(
    monkeypatch: pytest.MonkeyPatch, expected: Vectors
) -> None:
    monkeypatch.setattr(bert_forward, "can_pack", lambda weight: False)
    plain = SentenceTransformerProvider(MODEL)
    same(plain.encode(first_windows(plain)), expected)


def encoder_of(provider: SentenceTransformerProvider) -> bert.BertEncoder:
    cells = cast(FunctionType, provider._forward).__closure__ or ()
    return next(c.cell_contents for c in cells if isinstance(c.cell_contents, bert.BertEncoder))


def forward_of(provider: SentenceTransformerProvider) -> Any:
    """What runs a batch: modules, compiled or not."""
    return encoder_of(provider)._forward


def test_a_batch_is_one_compiled_call(provider: SentenceTransformerProvider) -> None:
    assert isinstance(forward_of(provider), torch.jit.ScriptModule)


def test_what_cannot_be_compiled_is_run_by_python_with_the_same_vectors(
    monkeypatch: pytest.MonkeyPatch, expected: Vectors
) -> None:
    def refuses(module: Any) -> Any:
        raise RuntimeError("no TorchScript")

    monkeypatch.setattr(torch.jit, "script", refuses)
    slow = SentenceTransformerProvider(MODEL)
    assert isinstance(forward_of(slow), bert_forward.Forward)
    same(slow.encode(first_windows(slow)), expected)


def test_the_same_batch_gives_the_same_bits_each_time(provider: SentenceTransformerProvider) -> None:
    # TorchScript looks at the first runs of a graph and may change it for the later ones.
    fresh = SentenceTransformerProvider(MODEL)
    windows = first_windows(fresh)
    for given in (windows, windows[:1], windows[2:3]):
        runs = [fresh.encode(given) for _ in range(4)] + [provider.encode(given)]
        assert all((run == runs[0]).all() for run in runs)


def test_the_general_path_gives_the_same_vectors(monkeypatch: pytest.MonkeyPatch, expected: Vectors) -> None:
    monkeypatch.setattr(sentence_transformer.bert, "load", lambda *_: None)
    general = SentenceTransformerProvider(MODEL)
    windows = first_windows(general)
    same(general.encode(windows), expected)
    same(general.encode(windows[:1]), expected[:1])


def test_a_text_that_fits_is_one_window_with_specials(provider: SentenceTransformerProvider) -> None:
    (window,) = provider.windows("word " * 254)
    assert window.length == 256
    assert window.payload[0] == 101 and window.payload[-1] == 102


def test_a_long_text_is_cut_into_overlapping_windows_that_lose_nothing(provider: SentenceTransformerProvider) -> None:
    text = " ".join(str(i) for i in range(1000))
    whole = provider._tokens._tokenizer.encode(text, add_special_tokens=False).ids
    windows = provider.windows(text)
    assert len(windows) > 4 and all(window.length == 256 for window in windows)
    assert all(window.payload[0] == 101 and window.payload[-1] == 102 for window in windows)
    bodies = [window.payload[1:-1].tolist() for window in windows]
    rebuilt = bodies[0]
    for before, body in pairwise(bodies):
        shared = next(n for n in range(32, 255) if before[-n:] == body[:n])
        rebuilt = rebuilt + body[shared:]
    assert rebuilt == whole
    assert len(provider.windows("word " * 255)) == 2


def test_a_fact_at_the_end_of_a_long_text_is_in_its_last_window(provider: SentenceTransformerProvider) -> None:
    vectors = provider.encode(provider.windows("The weather was grey all day. " * 100 + "My cat is called Biscuit."))
    query = provider.encode(provider.windows("What is the cat's name?"))[0]
    assert int(np.argmax(vectors @ query)) == len(vectors) - 1


def test_identity_and_loading(provider: SentenceTransformerProvider) -> None:
    identity = provider.identity
    assert (identity.name, identity.precision, identity.dimensions) == (MODEL, "fp32", 384)
    assert identity.revision == model_files.BUNDLED_SHA256[:16]


def test_the_thread_count_is_one_in_an_inference_thread(provider: SentenceTransformerProvider) -> None:
    from concurrent.futures import ThreadPoolExecutor

    def run() -> int:
        provider.encode(provider.windows("hi"))
        return torch.get_num_threads()

    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(run).result() == 1


def test_bf16_is_near_fp32_and_another_identity(provider: SentenceTransformerProvider, expected: Vectors) -> None:
    half = SentenceTransformerProvider(MODEL, precision="bf16")
    assert half.identity.precision == "bf16" and half.identity != provider.identity
    vectors = half.encode(half.windows(TEXTS[0]))
    assert vectors.dtype == np.float32
    assert float(vectors[0] @ expected[0]) > 0.99


@pytest.mark.parametrize(("native", "precision"), [(True, "bf16"), (False, "fp32")])
def test_auto_takes_bf16_only_where_it_is_native(monkeypatch: pytest.MonkeyPatch, native: bool, precision: str) -> None:
    monkeypatch.setattr(sentence_transformer, "native_bf16", lambda device: native)
    assert SentenceTransformerProvider(MODEL, precision="auto").identity.precision == precision


@pytest.mark.parametrize(
    ("flags", "native"), [("fpu avx2 avx512_bf16", True), ("avx2 amx_bf16", True), ("avx2 avx512f", False)]
)
def test_native_bf16_reads_the_cpu_flags(monkeypatch: pytest.MonkeyPatch, flags: str, native: bool) -> None:
    monkeypatch.setattr(Path, "read_text", lambda self: f"processor\t: 0\nflags\t\t: {flags}\n")
    assert sentence_transformer.native_bf16("cpu") is native


def test_a_failing_model_is_embedding_unavailable(
    provider: SentenceTransformerProvider, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(windows: Any) -> Any:
        raise RuntimeError("secret words of a message")

    monkeypatch.setattr(provider, "_forward", broken)
    with pytest.raises(EmbeddingUnavailable) as caught:
        provider.encode(provider.windows("hi"))
    assert "secret" not in str(caught.value)


def test_another_dimension_than_configured_stops_the_start() -> None:
    settings = Settings(_env_file=None, embedding_dimensions=768)
    with pytest.raises(StartupError, match=r"384 dimensions, but MEMORY_EMBEDDING_DIMENSIONS is 768\.$"):
        create_provider(settings)


def test_a_model_that_gives_nan_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(self: Any, ids: torch.Tensor, lengths: list[int]) -> torch.Tensor:
        return torch.full((len(lengths), 384), float("nan"))

    monkeypatch.setattr(sentence_transformer.bert.BertEncoder, "__call__", broken)
    with pytest.raises(StartupError, match="cannot be loaded"):
        SentenceTransformerProvider(MODEL)


def test_an_unknown_device_stops_the_start_in_one_sentence() -> None:
    with pytest.raises(StartupError, match="cannot be loaded on nonsense") as caught:
        SentenceTransformerProvider(MODEL, device="nonsense")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("file", "change"),
    [
        ("1_Pooling/config.json", {"pooling_mode_mean_tokens": False, "pooling_mode_cls_token": True}),
        ("1_Pooling/config.json", {"pooling_mode_max_tokens": True}),
        ("config.json", {"model_type": "mpnet"}),
        ("config.json", {"hidden_act": "relu"}),
        ("sentence_bert_config.json", {"do_lower_case": True}),
        ("1_Pooling/config.json", {"include_prompt": False}),
    ],
)
def test_only_a_plain_bert_takes_the_short_path(tmp_path: Path, file: str, change: dict[str, Any]) -> None:
    folder = tmp_path / "model"
    shutil.copytree(model_files.resolve(MODEL), folder, ignore=shutil.ignore_patterns("*.safetensors"))
    (folder / "model.safetensors").touch()
    config = json.loads((folder / file).read_text())
    (folder / file).write_text(json.dumps(config | change))
    assert sentence_transformer.bert.load(folder, torch.device("cpu"), torch.float32, Prompts()) is None
