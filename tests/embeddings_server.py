"""A real HTTP server on loopback that speaks the embeddings API, with an embedder behind it."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from memory_grpc.embedding.provider import EmbeddingProvider

Reply = tuple[int, dict[str, str], Any]


class Server(ThreadingHTTPServer):
    """Speaks POST …/embeddings; ``replies`` go before the embedder behind it."""

    daemon_threads = True

    def __init__(self, embedder: EmbeddingProvider) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.embedder = embedder
        self.replies: list[Reply] = []
        self.requests: list[tuple[str, dict[str, str], dict[str, Any]]] = []
        self.hold: threading.Event | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def answer(self, body: dict[str, Any]) -> Reply:
        windows = [self.embedder.windows(text)[0] for text in body["input"]]
        vectors = self.embedder.encode(windows) * 3  # not every service normalises
        data = [{"object": "embedding", "index": i, "embedding": v.tolist()} for i, v in enumerate(vectors)]
        return 200, {}, {"object": "list", "model": body["model"], "data": data[::-1]}

    def handle_error(self, *_: Any) -> None:
        """A client that hung up (the timeout test) is no news."""


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.requests.append((self.path, {k.lower(): v for k, v in self.headers.items()}, body))
        if self.server.hold is not None:
            self.server.hold.wait(10)
        status, headers, reply = self.server.replies.pop(0) if self.server.replies else self.server.answer(body)
        content = reply if isinstance(reply, bytes) else json.dumps(reply).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass
