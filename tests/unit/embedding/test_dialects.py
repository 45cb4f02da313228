"""Services that are not quite OpenAI's, as their documents and their users describe them: what they ask for, how they
refuse, and how they answer."""

import re
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import numpy as np
import pytest
from pydantic import SecretStr

from memory_grpc.embedding.openai_compatible import OpenAICompatibleProvider
from memory_grpc.embedding.prompts import Prompts
from memory_grpc.errors import EmbeddingUnavailable, ProviderDown
from tests.embeddings_server import Reply, Server

Make = Callable[..., OpenAICompatibleProvider]
ENGLISH, CHINESE = "the quick brown fox " * 150, "我昨天在市场上买了苹果" * 60


def tokens(text: str) -> int:
    """A model's count, roughly: one for an ideograph, one for four other characters."""
    wide = sum(character > "\u2e80" for character in text)
    return wide + (len(text) - wide) // 4


def encode(provider: OpenAICompatibleProvider, *texts: str, is_query: bool = False) -> Any:
    return provider.encode([provider.windows(text, is_query=is_query)[0] for text in texts])


def expected(server: Server, *texts: str) -> Any:
    return server.embedder.encode([server.embedder.windows(text)[0] for text in texts])


TOO_LONG: dict[str, Callable[[int], tuple[int, dict[str, Any]]]] = {
    "OpenAI": lambda given: (
        400,
        {"error": {"message": f"Invalid 'input[0]': maximum input length is 512 tokens, not {given}.", "code": None}},
    ),
    "Azure": lambda given: (
        400,
        {"error": {"message": f"This model's maximum context length is 512 tokens, however you requested {given}."}},
    ),
    "vLLM": lambda given: (
        400,
        {"object": "error", "message": f"This model's maximum context length is 512 tokens. You requested {given}."},
    ),
    "TEI": lambda given: (
        413,
        {"message": f"Input validation error: `inputs` must have less than 512 tokens. Given: {given}", "code": 413},
    ),
    "Ollama": lambda given: (500, {"error": {"message": "the input length exceeds the context length"}}),
    "Ollama, a later one": lambda given: (400, {"error": "the input length exceeds the context length"}),
    "llama.cpp": lambda given: (
        500,
        {"error": {"code": 500, "message": "input is too large to process. increase the physical batch size"}},
    ),
    "LiteLLM": lambda given: (
        400,
        {"error": {"message": f"litellm.ContextWindowExceededError: {given} tokens", "type": None, "code": "400"}},
    ),
    "Voyage": lambda given: (
        400,
        {"detail": "The example at index 0 has too many tokens and does not fit into the model's context window."},
    ),
    "a proxy": lambda given: (413, {}),
}


@pytest.mark.parametrize("service", TOO_LONG)
@pytest.mark.parametrize("text", [ENGLISH, CHINESE])
def test_a_text_that_is_too_long_is_embedded_in_pieces(service: str, text: str, make: Make, server: Server) -> None:
    answers = server.answer

    def answer(body: dict[str, Any]) -> Reply:
        longest = max(tokens(text) for text in body["input"])
        if longest <= 512:
            return answers(body)
        status, said = TOO_LONG[service](longest)
        return status, {}, said

    server.answer = answer  # type: ignore[method-assign]
    vectors = encode(make(prompts=Prompts(document="said: ")), "hello", text, "bye")
    # The others' vectors are those that they have alone.
    np.testing.assert_allclose(vectors[[0, 2]], expected(server, "said: hello", "said: bye"), atol=1e-6)
    assert vectors.shape == (3, 64) and len(server.requests) < 9
    half = -(-len(text) // 2)
    halves = expected(server, f"said: {text[:half]}", f"said: {text[half:]}")
    mean = np.average(halves, axis=0, weights=[half, len(text) - half])
    np.testing.assert_allclose(vectors[1], mean / np.linalg.norm(mean), atol=1e-6)


def test_what_is_too_long_however_short_is_refused(make: Make, server: Server) -> None:
    server.replies = [(413, {}, {"message": "too large"})] * 20
    with pytest.raises(EmbeddingUnavailable, match=r"refused the request \(HTTP 413\)") as caught:
        encode(make(), ENGLISH)
    assert not isinstance(caught.value, ProviderDown) and len(server.requests) < 9


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (422, {"message": "batch size 64 > maximum allowed batch size 32", "type": "Validation"}),  # TEI
        (400, {"message": "invalid request: total number of texts must be at most 32"}),  # Cohere
        (400, {"error": {"message": "batch size is invalid, it should not be larger than 32.: input.contents"}}),
    ],
)
def test_too_many_texts_are_sent_in_several_requests_and_then_no_more(
    status: int, said: dict[str, Any], make: Make, server: Server
) -> None:
    answers = server.answer
    server.answer = lambda body: answers(body) if len(body["input"]) <= 32 else (status, {}, said)  # type: ignore[method-assign]
    provider, texts = make(), [f"text {n}" for n in range(64)]
    for _ in range(2):
        np.testing.assert_allclose(encode(provider, *texts), expected(server, *texts), atol=1e-6)
    assert [len(body["input"]) for _, _, body in server.requests] == [64, 32, 32, 32, 32]


@pytest.mark.parametrize(
    ("field", "status", "said"),
    [
        ("dimensions", 400, 'Model "m" does not support matryoshka representation, changing output dimensions will'),
        ("dimensions", 400, "dimensions is currently not supported"),
        ("dimensions", 500, "litellm.UnsupportedParamsError: Setting dimensions is not supported for OpenAI `text-"),
        ("encoding_format", 400, "vertex_ai does not support parameters: {'encoding_format': 'float'}, for model=m"),
    ],
)
def test_a_field_that_a_service_does_not_know_is_left_out_from_then_on(
    field: str, status: int, said: str, make: Make, server: Server
) -> None:
    answers = server.answer
    server.answer = lambda body: (status, {}, {"error": {"message": said}}) if field in body else answers(body)  # type: ignore[method-assign]
    provider = make()
    for _ in range(2):
        np.testing.assert_allclose(encode(provider, "one"), expected(server, "one"), atol=1e-6)
    assert [field in body for _, _, body in server.requests] == [True, False, False]


def test_a_field_is_asked_for_again_when_leaving_it_out_did_not_help(make: Make, server: Server) -> None:
    said = {"error": {"message": "dimensions of something do not match"}}
    server.replies = [(400, {}, said)] * 2
    provider = make(max_retries=0)
    with pytest.raises(EmbeddingUnavailable):
        encode(provider, "one")
    encode(provider, "one")
    assert "dimensions" in server.requests[-1][2]


@pytest.mark.parametrize("said", ["CUDA error while processing batch", "tensor dimension mismatch: 384, 768"])
def test_a_service_that_breaks_down_has_not_refused_its_texts(said: str, make: Make, server: Server) -> None:
    server.replies = [(500, {}, {"error": {"message": said}})]
    with pytest.raises(ProviderDown, match="HTTP 500"):
        encode(make(max_retries=0), "one", "two", "three")
    assert len(server.requests) == 1


def test_what_a_service_repeats_of_a_text_is_not_taken_for_its_own_words(make: Make, server: Server) -> None:
    text = "the batch was too long, it exceeds the context length, and so do its dimensions"
    server.replies = [(422, {}, {"detail": [{"loc": ["body", "user"], "msg": "field required", "input": text}]})]
    with pytest.raises(EmbeddingUnavailable, match="HTTP 422"):
        encode(make(), text)
    assert len(server.requests) == 1


@pytest.mark.parametrize("index", [lambda n: {}, lambda n: {"index": None}, lambda n: {"index": 0}])
def test_vectors_without_places_are_in_the_order_asked(
    index: Callable[[int], dict[str, Any]], make: Make, server: Server
) -> None:
    texts = ["one fish", "two fish", "red fish"]
    data = [{"embedding": v.tolist(), **index(n)} for n, v in enumerate(expected(server, *texts))]
    server.replies = [(200, {}, {"data": data})]
    np.testing.assert_allclose(encode(make(), *texts), expected(server, *texts), atol=1e-6)


@pytest.mark.parametrize("places", [[0, 0, 1], [0, 2, None], [1, 1, 1], [0, 1], [3, 1, 2], ["0", "1", "2"]])
def test_places_that_make_no_order_are_refused(places: list[Any], make: Make, server: Server) -> None:
    server.replies = [(200, {}, {"data": [{"index": place, "embedding": [1.0] * 64} for place in places]})]
    with pytest.raises(EmbeddingUnavailable, match="cannot be read"):
        encode(make(), "one", "two", "three")


def recorded(base_url: str, **changes: Any) -> tuple[OpenAICompatibleProvider, list[httpx.Request]]:
    """A provider of a host that is not here, and what it sends."""
    sent: list[httpx.Request] = []

    async def body() -> AsyncIterator[bytes]:
        yield b'{"data": [{"embedding": [1.0, 1.0, 1.0], "index": 0}]}'

    def answer(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        return httpx.Response(200, content=body())

    transport = httpx.MockTransport(answer)
    provider = OpenAICompatibleProvider(
        base_url=base_url, model="m", dimensions=3, api_key=SecretStr("secret"), transport=transport, **changes
    )
    return provider, sent


@pytest.mark.parametrize(
    ("base", "url"),
    [
        (
            "https://x.openai.azure.com/openai/deployments/d?api-version=2024-10-21",
            "https://x.openai.azure.com/openai/deployments/d/embeddings?api-version=2024-10-21",
        ),
        ("https://x.openai.azure.com/openai/v1/", "https://x.openai.azure.com/openai/v1/embeddings"),
    ],
)
def test_azure_gets_its_header_and_keeps_its_query(base: str, url: str) -> None:
    provider, sent = recorded(base)
    encode(provider, "one")
    assert str(sent[0].url) == url
    assert sent[0].headers["api-key"] == "secret" and "authorization" not in sent[0].headers


def test_voyage_is_told_whether_it_is_a_query_and_must_not_cut() -> None:
    provider, sent = recorded("https://api.voyageai.com/v1")
    encode(provider, "one")
    encode(provider, "two", is_query=True)
    common = '"model":"m","truncation":false,"output_dimension":3'
    bodies = [re.sub(r"\s", "", request.content.decode()) for request in sent]
    assert bodies == [
        f'{{{common},"input":["one"],"input_type":"document"}}',
        f'{{{common},"input":["two"],"input_type":"query"}}',
    ]
    assert sent[0].headers["authorization"] == "Bearer secret"


def test_voyage_with_prompts_of_ones_own_adds_none() -> None:
    provider, sent = recorded("https://api.voyageai.com/v1", prompts=Prompts("q: ", ""))
    encode(provider, "two", is_query=True)
    assert b'"q: two"' in sent[0].content and b"input_type" not in sent[0].content
    encode(provider, "one")  # a query prompt leaves what is stored as it was
    assert b'"input_type":"document"' in sent[1].content.replace(b" ", b"")
