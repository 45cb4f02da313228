"""Long texts for a model that is elsewhere: by characters, or by the tokens of a tokenizer that is named."""

from pathlib import Path

import pytest
from tokenizers import Tokenizer

from memory_grpc.embedding import create_provider, model_files
from memory_grpc.embedding.prompts import Prompts
from memory_grpc.embedding.text_windows import MARGIN_TOKENS, TextWindows
from memory_grpc.errors import StartupError
from memory_grpc.settings import Settings

FILE = model_files.resolve("all-MiniLM-L6-v2") / "tokenizer.json"


def cut(windows: TextWindows, text: str, *, is_query: bool = False) -> list[str]:
    return [window.payload for window in windows.windows(text, is_query=is_query)]


@pytest.mark.parametrize(
    ("text", "lengths"),
    [
        ("", [0]),
        ("x" * 24_000, [24_000]),
        ("x" * 50_000, [24_000, 24_000, 4_000]),
        ("中" * 9_000, [8_000, 2_000]),
        # Nothing is reckoned with the average: what is dense is cut short.
        ("x" * 12_000 + "中" * 8_000, [16_000, 5_000]),
        ("д" * 8_001, [8_000, 1_001]),
    ],
)
def test_without_a_tokenizer_long_texts_are_cut_by_characters(text: str, lengths: list[int]) -> None:
    assert [len(piece) for piece in cut(TextWindows(None, 8_000 + MARGIN_TOKENS, Prompts()), text)] == lengths


# Numbered, so that each piece is in one place only.
@pytest.mark.parametrize("each", ["The fox jumps over {}. ", "我在{}年买了三斤苹果。", "a-b_c{}", "😊 {} 😊 "])
def test_with_one_no_window_has_more_tokens_than_the_model_reads(each: str) -> None:
    text = "".join(each.format(n) for n in range(400))
    tokenizer = Tokenizer.from_file(str(FILE))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    pieces = cut(TextWindows(tokenizer, 512, Prompts(document="passage: ")), text)
    assert len(pieces) > 1 and all(piece.startswith("passage: ") for piece in pieces)
    counts = [len(tokenizer.encode(piece).ids) for piece in pieces]
    assert max(counts) <= 512 and min(counts) > 512 - 4 * MARGIN_TOKENS
    # Nothing between two windows is lost: each begins inside the one before.
    at = 0
    for piece in (piece.removeprefix("passage: ") for piece in pieces):
        found = text.index(piece)
        assert found <= at
        at = max(at, found + len(piece))
    assert at >= len(text.rstrip())


def test_a_text_that_fits_is_sent_as_it_is() -> None:
    tokenizer = Tokenizer.from_file(str(FILE))
    assert cut(TextWindows(tokenizer, 512, Prompts(query="q: ")), "  as it is \n", is_query=True) == [
        "q:   as it is \n"
    ]


def test_the_settings_name_the_tokenizer(tmp_path: Path) -> None:
    settings = Settings(
        _env_file=None,
        embedding_provider="openai",
        openai_base_url="http://h/v1",
        embedding_tokenizer=FILE,
        embedding_max_tokens=64,
    )
    provider = create_provider(settings)
    assert provider.tokenizer is not None
    # The file says that it cuts at 128, which must not count.
    assert len(provider.windows("word " * 300)) == 7
    provider.close()
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(StartupError, match=r"^MEMORY_EMBEDDING_TOKENIZER: .*tokenizer\.json is not"):
        create_provider(settings.model_copy(update={"embedding_tokenizer": tmp_path / "tokenizer.json"}))


@pytest.mark.parametrize("tokenizer", [None, FILE])
def test_a_prompt_leaves_half_of_a_window_at_least(tokenizer: Path | None) -> None:
    read = Tokenizer.from_file(str(tokenizer)) if tokenizer else None
    if read is not None:
        read.no_padding()
    TextWindows(read, 64, Prompts(document="word " * 15))
    for prompts in (Prompts(document="word " * 40), Prompts(query="word " * 40)):
        with pytest.raises(StartupError, match="more than half"):
            TextWindows(read, 64, prompts)
