"""Posting to a model's service: what is under way at once, what a name server may do, and how it ends."""

import asyncio
import socket
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from memory_grpc.embedding.http_client import MOST_AT_ONCE, Posting, Variables
from memory_grpc.whole_answer import Answer, NoAnswerError, TooSlowError
from tests.bad_answers import STATUS, answering, without_names

NAMES = Variables("URL", "KEY")


def posting(url: str, transport: httpx.AsyncBaseTransport | None = None) -> Posting:
    return Posting(httpx.URL(url), "", NAMES, transport)


class _Nothing(httpx.AsyncByteStream):
    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield b""


@pytest.mark.parametrize("part", [b"1,", b"[],", b"{},", b'"",'])
def test_no_more_parts_of_an_answer_are_parsed_than_anyone_waits_for(part: bytes) -> None:
    for many, is_read in ((100_000, True), (300_000, False)):
        answer = Answer(200, httpx.Headers(), b"[" + part * many + b"0]")
        if is_read:
            assert len(answer.json()) == many + 1
        else:
            with pytest.raises(ValueError, match="too many parts"):
                answer.json()


def test_no_more_are_under_way_at_once_than_a_pool_of_connections_bears() -> None:
    under_way = most = 0

    async def held(_: httpx.Request) -> httpx.Response:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        try:
            await asyncio.sleep(0.05)
        finally:
            under_way -= 1
        return httpx.Response(200, stream=_Nothing())

    service = posting("http://model.example", httpx.MockTransport(held))
    answers = [service.post({}, seconds=60, repeated=1, besides=0) for _ in range(3 * MOST_AT_ONCE)]
    assert {answer.result(60).status for answer in answers} == {200}
    service.close()
    assert most == MOST_AT_ONCE


def test_whoever_waits_for_others_waits_no_longer_than_it_may() -> None:
    async def held(_: httpx.Request) -> httpx.Response:
        await asyncio.sleep(60)
        return httpx.Response(200, json={})

    service = posting("http://model.example", httpx.MockTransport(held))
    before = [service.post({}, seconds=None, repeated=1, besides=0) for _ in range(MOST_AT_ONCE)]
    with pytest.raises(TooSlowError):
        service.post({}, seconds=0.1, repeated=1, besides=0).result(5)
    service.close()
    assert {str(answer.exception()) for answer in before} == {"closed"}


def test_a_close_amid_cancelled_posts_leaves_nothing_behind() -> None:
    program = (
        "import gc, sys, time, httpx; from memory_grpc.embedding.http_client import Posting, Variables\n"
        "service = Posting(httpx.URL(sys.argv[1]), '', Variables('URL', 'KEY'))\n"
        "answers = [service.post({}, seconds=None, repeated=1, besides=0) for _ in range(20)]\n"
        "time.sleep(0.3)\n"
        "service._is_closed = True  # as close() begins\n"
        "[answer.cancel() for answer in answers]\n"
        "time.sleep(0.3)\n"
        "service._is_closed = False\n"
        "service.close()\n"
        "del answers\n"
        "gc.collect()"
    )
    with answering([STATUS + b"content-length: 9999\r\n\r\n", *[b" "] * 20], 0.05) as url:
        done = subprocess.run([sys.executable, "-c", program, url], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_an_answer_that_is_cut_off_leaves_nothing_behind() -> None:
    program = (
        "import sys, httpx; from memory_grpc.embedding.http_client import Posting, Variables\n"
        "service = Posting(httpx.URL(sys.argv[1]), '', Variables('URL', 'KEY'))\n"
        "print(service.post({}, seconds=5, repeated=1, besides=0).exception())\n"
        "service.close()"
    )
    with answering([STATUS + b"\r\n", *[b" " * 200_000] * 9]) as url:
        done = subprocess.run([sys.executable, "-c", program, url], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("too large\n", "")


def test_a_name_server_that_hangs_is_asked_once_and_holds_up_neither_a_close_nor_the_end() -> None:
    done = without_names(
        "import httpx\n"
        "from memory_grpc.embedding.http_client import Posting, Variables\n"
        "service = Posting(httpx.URL('http://model.example'), '', Variables('URL', 'KEY'))\n"
        "answers = [service.post({}, seconds=0.3, repeated=1, besides=0) for _ in range(3)]\n"
        "print(*[answer.exception() for answer in answers], len(asked))\n"
        "service.close()"
    )
    assert (done.stdout, done.stderr) == ("too slow too slow too slow 1\n", "")


def test_a_name_is_looked_up_anew_each_time(monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[Any] = [socket.gaierror(-3, "none"), [(2, 1, 6, "", ("127.0.0.1", 80))]]
    asked: list[str] = []

    def looked_up(host: Any, *_: Any, **__: Any) -> Any:
        asked.append(threading.current_thread().name)
        answer = found[len(asked) - 1]
        if isinstance(answer, Exception):
            raise answer
        return answer

    with answering([STATUS + b"content-length: 2\r\n\r\n{}"]) as url:
        port = httpx.URL(url).port
        found[1] = [(2, 1, 6, "", ("127.0.0.1", port))]
        service = posting(f"http://model.example:{port}")
        with monkeypatch.context() as patched:
            patched.setattr(socket, "getaddrinfo", looked_up)
            with pytest.raises(NoAnswerError, match="ConnectError"):
                service.post({}, seconds=5, repeated=1, besides=0).result(5)
            assert service.post({}, seconds=5, repeated=1, besides=0).result(5).json() == {}
        service.close()
    assert len(asked) == 2
