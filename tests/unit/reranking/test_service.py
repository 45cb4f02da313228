"""A reranker over HTTP against a real server on loopback, made after the services' documents."""

import asyncio
import json
import resource
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import SecretStr

from memory_grpc.errors import StartupError
from memory_grpc.reranking import RerankFailed, RerankLate, RerankPaused
from memory_grpc.reranking.service import RerankService
from tests.bad_answers import ENDLESS, STATUS, answering, endless, packed
from tests.rerank_server import KEY, Server, overlap, reranking

SHAPES = ["cohere", "jina", "tei", "voyage"]
QUERY = "who plays the piano"
TEXTS = ["bread and butter", "Anna plays the piano", "the piano is out of tune", "who knows"]
WANTED = [round(overlap(QUERY, text), 6) for text in TEXTS]


@pytest.fixture(params=["cohere"])
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    with reranking(request.param) as server:
        yield server


def service(server: Server, **changes: Any) -> RerankService:
    given: dict[str, Any] = {"url": server.url, "model": "some-model", "api_key": SecretStr(KEY), "timeout_seconds": 5}
    return RerankService(server.shape, **given | changes)


@pytest.mark.parametrize("server", SHAPES, indirect=True)
@pytest.mark.asyncio
async def test_scores_come_in_the_order_asked_whatever_the_service_is(server: Server) -> None:
    reranker = service(server)
    assert await reranker.scores(QUERY, TEXTS, 5) == WANTED
    await reranker.close()
    texts = "texts" if server.shape == "tei" else "documents"
    assert (server.requests[0]["query"], server.requests[0][texts]) == (QUERY, TEXTS)


@pytest.mark.parametrize("server", ["tei"], indirect=True)
@pytest.mark.asyncio
async def test_a_service_that_takes_fewer_texts_is_asked_in_portions_from_then_on(server: Server) -> None:
    reranker = service(server, model="")
    texts = [f"{TEXTS[n % 4]} {n}" for n in range(50)]
    wanted = [round(overlap(QUERY, text), 6) for text in texts]
    assert await reranker.scores(QUERY, texts, 5) == wanted
    assert await reranker.scores(QUERY, texts, 5) == wanted
    await reranker.close()
    assert [len(body["texts"]) for body in server.requests] == [50, 25, 25, 25, 25]


@pytest.mark.asyncio
async def test_texts_that_are_refused_as_too_long_are_cut(server: Server) -> None:
    server.replies = [(400, {"message": "This model's maximum context length is 512 tokens."})]
    reranker = service(server)
    assert await reranker.scores(QUERY, ["Anna plays the piano " * 50, *TEXTS], 5) == [0.75, *WANTED]
    await reranker.close()
    assert [max(map(len, body["documents"])) for body in server.requests] == [1050, 525]


@pytest.mark.parametrize(
    "reply",
    [
        (200, b"<html>"),
        (200, {"results": []}),
        (200, {"results": [{"index": n, "relevance_score": float("nan")} for n in range(4)]}),
        (200, {"results": [{"index": 0, "relevance_score": 1.0}] * 4}),
        (200, {"results": [{"index": n, "relevance_score": "high"} for n in range(4)]}),
        (200, {"results": [{"index": n, "relevance_score": "0.5"} for n in range(4)]}),
        (200, {"results": [{"index": n, "relevance_score": True} for n in range(4)]}),
        (200, {"results": [{"index": str(n), "relevance_score": 0.5} for n in range(4)]}),
        (200, {"results": [{"index": n, "relevance_score": 10**400} for n in range(4)]}),
        (200, {"results": [{"index": [n], "relevance_score": 0.5} for n in range(4)]}),
        (400, {"message": f"bad: {TEXTS[1]}"}),
        (500, {"message": f"bad: {TEXTS[1]}"}),
    ],
)
@pytest.mark.asyncio
async def test_what_cannot_be_read_or_is_refused_has_no_scores_and_repeats_nothing(server: Server, reply: Any) -> None:
    server.replies = [reply]
    reranker = service(server)
    with pytest.raises(RerankFailed) as failed:
        await reranker.scores(QUERY, TEXTS, 5)
    await reranker.close()
    assert TEXTS[1] not in str(failed.value)
    assert KEY not in str(failed.value)


@pytest.mark.asyncio
async def test_scores_outside_0_to_1_are_cut(server: Server) -> None:
    given = [-0.5, 1.5, 0.25, 0.1234567]
    server.replies = [(200, {"results": [{"index": n, "relevance_score": score} for n, score in enumerate(given)]})]
    reranker = service(server)
    assert await reranker.scores(QUERY, TEXTS, 5) == [0.0, 1.0, 0.25, 0.123457]
    await reranker.close()


@pytest.mark.asyncio
async def test_a_service_that_is_late_is_left_alone_after_a_while(server: Server) -> None:
    server.hold = threading.Event()
    now = 0.0
    reranker = service(server, timeout_seconds=0.05, breaker_threshold=2, clock=lambda: now)
    for _ in range(2):
        with pytest.raises(RerankLate):
            await reranker.scores(QUERY, TEXTS, 0.05)
    with pytest.raises(RerankPaused, match="calls to it are paused"):
        await reranker.scores(QUERY, TEXTS, 0.05)
    server.hold.set()
    now = 16.0
    assert await reranker.scores(QUERY, TEXTS, 5) == WANTED
    await reranker.close()


@pytest.mark.parametrize(
    "reply",
    [
        (200, b"<html>"),
        (200, b""),
        (200, {"results": []}),
        (200, [{"index": n, "score": 0.5} for n in range(4)]),
        (204, b""),
        (302, b""),
        (401, {"message": "no valid api key supplied"}),
        (404, b"<html>"),
        (422, {"detail": "unknown field encoding_format"}),
        (500, {"message": "out of memory"}),
    ],
)
@pytest.mark.asyncio
async def test_so_is_one_that_does_not_give_what_was_asked_for(server: Server, reply: Any) -> None:
    now = 0.0
    reranker = service(server, breaker_threshold=2, clock=lambda: now)
    server.replies = [reply] * 2
    for _ in range(2):
        with pytest.raises(RerankFailed, match=r"refused|cannot be read"):
            await reranker.scores(QUERY, TEXTS, 5)
    for moment in (0.0, 14.9):
        now = moment
        with pytest.raises(RerankPaused):
            await reranker.scores(QUERY, TEXTS, 5)
    now = 15.0
    assert await reranker.scores(QUERY, TEXTS, 5) == WANTED
    await reranker.close()


@pytest.mark.parametrize(
    "reply",
    [
        (400, {"message": "The query breaks a rule."}),
        (413, b""),
        (422, {"error": "the input has too many tokens"}),
        (500, {"error": "input is too large to process, exceeds the context size"}),
    ],
)
@pytest.mark.asyncio
async def test_a_refusal_of_texts_pauses_nothing_for_others(server: Server, reply: Any) -> None:
    reranker = service(server, breaker_threshold=2, clock=lambda: 0.0)
    server.replies = [reply] * 3
    for _ in range(3):
        with pytest.raises(RerankFailed, match="refused"):
            await reranker.scores(QUERY, ["a text"], 5)
    assert await reranker.scores(QUERY, TEXTS, 5) == WANTED
    await reranker.close()


@pytest.mark.asyncio
async def test_a_caller_with_less_time_says_nothing_about_the_service(server: Server) -> None:
    server.hold = threading.Event()
    reranker = service(server, breaker_threshold=1)
    with pytest.raises(RerankLate):
        await reranker.scores(QUERY, TEXTS, 0.01)
    server.hold.set()
    assert await reranker.scores(QUERY, TEXTS, 5) == WANTED
    await reranker.close()


@pytest.mark.asyncio
async def test_whoever_goes_away_takes_the_request_along(server: Server) -> None:
    server.hold = threading.Event()
    reranker = service(server)
    asking = asyncio.create_task(reranker.scores(QUERY, TEXTS, 5))
    while not server.requests:
        await asyncio.sleep(0.001)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    await reranker.close()


@pytest.mark.asyncio
async def test_a_body_that_is_not_what_its_headers_say_is_a_failure() -> None:
    async def broken(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 4\r\n\r\nnone")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(broken, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    reranker = RerankService("tei", url=f"http://127.0.0.1:{port}/rerank")
    with pytest.raises(RerankFailed):
        await reranker.scores(QUERY, TEXTS, 5)
    await reranker.close()
    server.close()


@pytest.mark.asyncio
@pytest.mark.parametrize("kind", ENDLESS)
async def test_an_answer_that_goes_on_and_on_is_given_up(kind: str) -> None:
    with answering(endless(kind), 0.05) as url:
        reranker = RerankService("tei", url=url)
        began = time.monotonic()
        with pytest.raises(RerankLate):
            await reranker.scores(QUERY, TEXTS, 0.3)
        assert time.monotonic() - began < 2
        await reranker.close()


@pytest.mark.asyncio
@pytest.mark.parametrize(
    "parts",
    [
        [packed(b" " * (400 << 20), layers=2)],
        [STATUS + b"\r\n", *[b" " * (1 << 20)] * 280],
        [STATUS + b"\r\n[", *[b"[]," * 300_000] * 10, b"0]"],
    ],
    ids=["packed twice", "large", "many parts"],
)
async def test_what_is_too_much_holds_up_nobody(parts: list[bytes]) -> None:
    before, longest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, 0.0

    async def others() -> None:
        nonlocal longest
        while True:
            since = time.monotonic()
            await asyncio.sleep(0.01)
            longest = max(longest, time.monotonic() - since)

    with answering(parts) as url:
        reranker = RerankService("tei", url=url)
        served = asyncio.create_task(others())
        with pytest.raises(RerankFailed):
            await reranker.scores(QUERY, TEXTS, 5)
        await asyncio.sleep(0.02)
        served.cancel()
        await reranker.close()
    assert longest < 0.4
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50 * 1024


# 50 messages of the length that is sent at most, in the alphabets that JSON may write at length.
FULL_SIZE = [["word " * 800] * 50, ["слово " * 666] * 50, ["\U0001f600" * 4000] * 50, ["\x01" * 4000] * 50]


@pytest.mark.asyncio
@pytest.mark.parametrize("texts", FULL_SIZE, ids=["latin", "cyrillic", "emoji", "controls"])
async def test_an_answer_that_repeats_the_texts_is_read(server: Server, texts: list[str]) -> None:
    rows = [{"index": at, "document": {"text": text}, "relevance_score": 0.5} for at, text in enumerate(texts)]
    server.replies = [(200, json.dumps({"results": rows}, indent=4).encode())]
    reranker = service(server)
    assert await reranker.scores(QUERY, texts, 5) == [0.5] * 50
    await reranker.close()


@pytest.mark.asyncio
@pytest.mark.parametrize("texts", FULL_SIZE[:2], ids=["latin", "cyrillic"])
async def test_an_answer_of_many_parts_for_full_texts_is_not_read(server: Server, texts: list[str]) -> None:
    sent = sum(len(text.encode()) for text in texts)
    server.replies = [(200, b"[" + b"[]," * (5 * sent // 3) + b"0]")]
    reranker = service(server)
    with pytest.raises(RerankFailed, match="too large"):
        await reranker.scores(QUERY, texts, 5)
    await reranker.close()


@pytest.mark.asyncio
async def test_closing_ends_what_is_waited_for() -> None:
    with answering(endless("body"), 0.05) as url:
        reranker = RerankService("tei", url=url)
        asking = asyncio.create_task(reranker.scores(QUERY, TEXTS, 60))
        await asyncio.sleep(0.2)
        began = time.monotonic()
        await reranker.close()
        with pytest.raises(RerankFailed):
            await asking
        assert time.monotonic() - began < 2
    with pytest.raises(RerankFailed):
        await reranker.scores(QUERY, TEXTS, 60)


@pytest.mark.asyncio
async def test_nobody_there_is_a_failure() -> None:
    with reranking("cohere") as server:
        url = server.url
    reranker = RerankService("cohere", url=url, model="m")
    with pytest.raises(RerankFailed, match="does not answer"):
        await reranker.scores(QUERY, TEXTS, 5)
    await reranker.close()


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"url": "api.cohere.com"}, "MEMORY_RERANK_URL must be"),
        ({"model": ""}, "MEMORY_RERANK_MODEL must name"),
        ({"api_key": SecretStr("schlüssel ☃")}, "MEMORY_RERANK_API_KEY contains characters"),
    ],
)
def test_settings_that_cannot_work_stop_the_start(changes: dict[str, Any], said: str) -> None:
    given = {"url": "https://api.cohere.com/v2/rerank", "model": "m"}
    with pytest.raises(StartupError, match=said):
        RerankService("cohere", **given | changes)
