"""A real HTTP server on loopback that reranks, and speaks as the documents of one service say that it does."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Reply = tuple[int, Any]
KEY = "rerank-very-secret"
# What Text Embeddings Inference takes in one request unless it is told otherwise.
TEI_MOST = 32


def overlap(query: str, text: str) -> float:
    """The share of the query's words that stand in the text: what the server makes of a pair."""
    words = set(query.lower().split())
    return len(words & set(text.lower().split())) / len(words)


class Server(ThreadingHTTPServer):
    """``replies`` go before what it would answer; ``hold`` makes it wait."""

    daemon_threads = True

    def __init__(self, shape: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.shape = shape
        self.replies: list[Reply] = []
        self.requests: list[dict[str, Any]] = []
        self.hold: threading.Event | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1/rerank"

    def answer(self, body: dict[str, Any], authorization: str | None) -> Reply:
        if authorization != f"Bearer {KEY}":
            return 401, {"message": "no valid api key supplied"}
        tei = self.shape == "tei"
        wanted = {"query", "texts"} if tei else {"model", "query", "documents"}
        if not wanted <= body.keys():
            return 422, {"detail": "field required"}
        texts = body["texts" if tei else "documents"]
        if tei and len(texts) > TEI_MOST:
            said = f"batch size {len(texts)} > maximum allowed batch size {TEI_MOST}"
            return 422, {"error": said, "error_type": "Validation"}
        found = sorted(((overlap(body["query"], text), at) for at, text in enumerate(texts)), reverse=True)
        if tei:
            return 200, [{"index": at, "score": score} for score, at in found]
        results: list[dict[str, Any]] = [{"index": at, "relevance_score": score} for score, at in found]
        if self.shape == "jina" and body.get("return_documents", True):
            results = [row | {"document": {"text": texts[row["index"]]}} for row in results]
        if self.shape == "voyage":
            return 200, {"object": "list", "data": results, "model": body["model"], "usage": {"total_tokens": 1}}
        return 200, {"id": "0738", "results": results, "meta": {"api_version": {"version": "2"}}}

    def handle_error(self, *_: Any) -> None:
        """A client that hung up is no news."""


class _Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.requests.append(body)
        if self.server.hold is not None:
            self.server.hold.wait(10)
        answer = self.server.answer(body, self.headers["authorization"])
        status, reply = self.server.replies.pop(0) if self.server.replies else answer
        content = reply if isinstance(reply, bytes) else json.dumps(reply).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def reranking(shape: str) -> Iterator[Server]:
    """A server that answers inside the block."""
    with Server(shape) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            if server.hold is not None:
                server.hold.set()
            server.shutdown()
            thread.join()
