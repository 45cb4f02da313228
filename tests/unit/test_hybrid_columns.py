"""How the words of a query are counted in a turn."""

from __future__ import annotations

import pytest

from memory_grpc.store.hybrid_columns import _counts


@pytest.mark.parametrize("words", [1, 8, 9, 64])
def test_whether_a_turn_holds_any_word_is_asked_once_for_all(words: int) -> None:
    text = _counts(words)
    assert text.count("%(any_word)s") == 1
    assert all(f"%(word_{word})s" in text for word in range(words)) and f"%(word_{words})s" not in text
    assert text.count("int8send(") == -(-words // 8)


def test_without_words_nothing_is_counted() -> None:
    assert _counts(0) == ""
