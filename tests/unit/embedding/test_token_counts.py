"""Who counts tokens, and how many there are."""

from __future__ import annotations

from pathlib import Path

import pytest
from tokenizers import Tokenizer, models, pre_tokenizers

from memory_grpc.embedding.token_counts import TokenCounter
from memory_grpc.errors import StartupError


def words() -> Tokenizer:
    tokenizer = Tokenizer(models.WordLevel({"[UNK]": 0, "bread": 1}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    return tokenizer


def test_a_file_goes_before_the_models_own_and_is_named_without_its_folder(tmp_path: Path) -> None:
    file = tmp_path / "tokenizer.json"
    tokenizer = words()
    tokenizer.enable_truncation(2)
    tokenizer.enable_padding()
    tokenizer.save(str(file))
    counter = TokenCounter.of(file, "a model", words())
    assert counter.name == "tokenizer.json"
    assert counter.counts(["one two three four", "", "bread"]) == [4, 0, 1], "neither cut nor padded"


def test_the_models_own_goes_before_an_estimate() -> None:
    assert TokenCounter.of(None, "a model", words()).name == "a model"
    estimate = TokenCounter.of(None, "a model", None)
    assert estimate.name == "4 bytes a token"
    assert estimate.counts(["", "a", "abcd", "abcde", "\u6211"]) == [0, 1, 1, 2, 1]


@pytest.mark.parametrize("content", [None, b"", b"{}", b"\xff\xfe"])
def test_a_file_that_is_no_tokenizer_stops_the_start(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "tokenizer.json"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(StartupError, match="MEMORY_CONTEXT_TOKENIZER"):
        TokenCounter.of(file, "a model", None)
