"""A service that answers, but not with what was asked for, is as good as down: it is left alone for a while. What may
be one text's fault says nothing about the others'."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from memory_grpc.embedding.openai_compatible import OpenAICompatibleProvider
from memory_grpc.errors import EmbeddingUnavailable, ProviderDown
from tests.embeddings_server import Reply, Server

THRESHOLD = 3
Make = Callable[..., OpenAICompatibleProvider]


def vector(*numbers: float | None) -> dict[str, Any]:
    return {"data": [{"index": 0, "embedding": [*numbers]}]}


USELESS: dict[str, Reply] = {
    "a page": (200, {"content-type": "text/html"}, b"<html>Please log in</html>"),
    "nothing": (200, {}, b""),
    "a list": (200, {}, b"[]"),
    "an error": (200, {}, {"error": "no such model"}),
    "no vector": (200, {}, {"data": []}),
    "too many": (200, {}, {"data": [{"index": at, "embedding": [1.0] * 64} for at in range(2)]}),
    "words": (200, {}, {"data": [{"index": 0, "embedding": ["x"] * 64}]}),
    "base64": (200, {}, {"data": [{"index": 0, "embedding": "AACAPw=="}]}),
    "another length": (200, {}, vector(*[1.0] * 63)),
    "no content": (204, {}, b""),
    "a redirect": (302, {"location": "/login"}, b""),
    "unknown key": (401, {}, {"error": "key"}),
    "no such path": (404, {}, b"<html>"),
    "no such method": (405, {}, b""),
}
A_TEXTS: dict[str, Reply] = {
    "too long": (400, {}, {"error": {"message": "This model's maximum context length is 8192 tokens."}}),
    "too large": (413, {}, b""),
    "refused": (422, {}, {"error": "the text breaks a rule"}),
    "NaN": (200, {}, vector(float("nan"), *[1.0] * 63)),
    "null, which JSON has for NaN": (200, {}, vector(None, *[1.0] * 63)),
    "infinity": (200, {}, vector(float("inf"), *[1.0] * 63)),
    "zeros": (200, {}, vector(*[0.0] * 64)),
}


def encode(provider: OpenAICompatibleProvider, *texts: str) -> Any:
    return provider.encode([provider.windows(text)[0] for text in texts])


@pytest.mark.parametrize("kind", USELESS)
def test_a_service_that_does_not_give_what_was_asked_for_is_left_alone(kind: str, make: Make, server: Server) -> None:
    now = 0.0
    provider = make(breaker_threshold=THRESHOLD, breaker_cooldown_seconds=10, clock=lambda: now)
    server.replies = [USELESS[kind]] * (THRESHOLD + 1)
    for _ in range(THRESHOLD):
        with pytest.raises(EmbeddingUnavailable) as failed:
            encode(provider, "one")
        assert "paused" not in str(failed.value)
    with pytest.raises(ProviderDown, match="calls to it are paused"):
        encode(provider, "one")
    assert len(server.requests) == THRESHOLD, "each is asked once: the next try would be answered the same"
    now = 10.0
    with pytest.raises(EmbeddingUnavailable):
        encode(provider, "one")
    with pytest.raises(ProviderDown, match="paused"):
        encode(provider, "one")
    now = 20.0
    encode(provider, "one")
    encode(provider, "one")


@pytest.mark.parametrize("kind", A_TEXTS)
def test_what_may_be_one_texts_fault_closes_the_door_to_no_other(kind: str, make: Make, server: Server) -> None:
    provider = make(breaker_threshold=THRESHOLD, clock=lambda: 0.0)
    server.replies = [A_TEXTS[kind]] * 2 * THRESHOLD
    for _ in range(2 * THRESHOLD):
        with pytest.raises(EmbeddingUnavailable) as failed:
            encode(provider, "one")
        assert not isinstance(failed.value, ProviderDown)
    assert encode(provider, "another").shape == (1, 64)
    assert len(server.requests) == 2 * THRESHOLD + 1


def test_a_firewalls_word_on_one_text_closes_the_door_to_no_other(make: Make, server: Server) -> None:
    provider = make(breaker_threshold=THRESHOLD, clock=lambda: 0.0)
    server.replies = [(403, {}, b"<html>")] * 2 * THRESHOLD
    for _ in range(2 * THRESHOLD):
        with pytest.raises(ProviderDown, match="HTTP 403"):
            encode(provider, "one")
    assert encode(provider, "another").shape == (1, 64)


def test_a_useless_answer_to_some_is_forgotten_with_a_good_one(make: Make, server: Server) -> None:
    provider = make(breaker_threshold=2, clock=lambda: 0.0)
    for _ in range(3):
        server.replies = [USELESS["a page"]]
        with pytest.raises(EmbeddingUnavailable, match="cannot be read") as failed:
            encode(provider, "one")
        # The text may be what a gateway between takes offence at, so that each caller's is tried alone.
        assert not isinstance(failed.value, ProviderDown)
        encode(provider, "another")


def test_halves_of_different_lengths_are_an_error_like_another(make: Make, server: Server) -> None:
    server.replies = [
        (400, {}, {"error": "batch size 2 > maximum 1"}),
        (200, {}, vector(*[1.0] * 64)),
        (200, {}, vector(*[1.0] * 63)),
    ]
    with pytest.raises(EmbeddingUnavailable, match="of 63 dimensions; 64 are configured"):
        encode(make(), "one", "two")


def test_the_pause_is_of_fifteen_seconds(make: Make, server: Server) -> None:
    now = 0.0
    provider = make(max_retries=0, clock=lambda: now)
    server.replies = [(503, {}, {})] * 5
    for _ in range(5):
        with pytest.raises(ProviderDown, match="HTTP 503"):
            encode(provider, "one")
    for moment in (0.0, 14.9):
        now = moment
        with pytest.raises(ProviderDown, match="paused"):
            encode(provider, "one")
    now = 15.0
    assert encode(provider, "one").shape == (1, 64)
