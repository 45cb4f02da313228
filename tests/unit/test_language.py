"""Which configuration reads a language."""

from __future__ import annotations

import pytest

from memory_grpc.domain.language import is_tag, text_config, text_configs


@pytest.mark.parametrize(
    ("tag", "config"),
    [
        ("de", "german"), ("de-CH", "german"), ("PT-br", "portuguese"), ("en", "english"), ("nb", "norwegian"),
        ("pl", "simple"), ("xx", "simple"), ("zh", None), ("zh-Hant-TW", None), ("th", None), (None, None),
    ],
)  # fmt: skip
def test_the_first_part_of_a_tag_decides(tag: str | None, config: str | None) -> None:
    assert text_config(tag) == config


@pytest.mark.parametrize("tag", ["de", "de-CH", "zh-Hant-TW", "en-GB-oxendict", "sl-rozaj-biske-1994"])
def test_tags_have_parts_of_letters_and_digits(tag: str) -> None:
    assert is_tag(tag)


@pytest.mark.parametrize("tag", ["", "d", "german", "de_CH", "de-", "-de", "1a", "de CH", "de-abcdefghi", "dé", "de\n"])
def test_anything_else_is_no_tag(tag: str) -> None:
    assert not is_tag(tag)


def test_every_known_language_has_a_configuration_or_leaves_it() -> None:
    known = text_configs()
    assert (known["de"], known["zh"]) == ("german", None)
    assert "simple" not in known.values()
