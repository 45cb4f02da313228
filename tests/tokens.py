"""An identity provider of the tests' own: keys, tokens signed by them, and a web server that publishes the keys."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import get_default_algorithms

ISSUER, AUDIENCE = "https://login.example", "memory-layer"


@cache
def private_key(algorithm: str, number: int = 0) -> Any:
    """A private key; the same one for the same number."""
    if algorithm == "ES256":
        return ec.generate_private_key(ec.SECP256R1())
    if algorithm == "EdDSA":
        return ed25519.Ed25519PrivateKey.generate()
    return rsa.generate_private_key(65537, 1024 if algorithm == "weak" else 2048)


def jwk(algorithm: str = "RS256", number: int = 0, **changes: Any) -> dict[str, Any]:
    """The public half, as a key set has it."""
    kind = get_default_algorithms()["RS256" if algorithm == "weak" else algorithm]
    public: dict[str, Any] = json.loads(kind.to_jwk(private_key(algorithm, number).public_key()))  # type: ignore[attr-defined]
    public |= {"kid": f"{algorithm}-{number}", "use": "sig"} | changes
    return {name: value for name, value in public.items() if value is not None}


def key_set(*keys: dict[str, Any]) -> dict[str, Any]:
    """A JSON Web Key Set."""
    return {"keys": list(keys)}


def claims(**changes: Any) -> dict[str, Any]:
    """What a good token says; None takes a claim out."""
    now = int(time.time())
    said = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "ann",
        "iat": now,
        "exp": now + 600,
        "memory_role": "reader",
        "memory_tenants": ["acme"],
    } | changes
    return {name: value for name, value in said.items() if value is not None}


def token(algorithm: str = "RS256", number: int = 0, *, headers: dict[str, Any] | None = None, **changes: Any) -> str:
    """A signed token."""
    signed_by = "RS256" if algorithm == "weak" else algorithm
    named = {"kid": f"{algorithm}-{number}"} | (headers or {})
    return jwt.encode(claims(**changes), private_key(algorithm, number), algorithm=signed_by, headers=named)


class Provider:
    """What the web server answers: by path, a status and a body. It counts what it was asked."""

    def __init__(self) -> None:
        self.answers: dict[str, tuple[int, bytes]] = {}
        self.asked: list[str] = []
        self.address = ""
        self.may_answer = threading.Event()
        self.may_answer.set()

    def publish(self, *keys: dict[str, Any]) -> None:
        """A key set, and where it is."""
        about = {"issuer": self.address, "jwks_uri": f"{self.address}/keys"}
        self.answers["/.well-known/openid-configuration"] = (200, json.dumps(about).encode())
        self.answers["/keys"] = (200, json.dumps(key_set(*keys)).encode())

    def fail(self) -> None:
        """From now on it answers nothing but errors."""
        self.answers = {}


@contextmanager
def provider() -> Iterator[Provider]:
    """A provider on a port of loopback."""
    here = Provider()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            here.asked.append(self.path)
            here.may_answer.wait(60)
            status, body = here.answers.get(self.path, (503, b"down"))
            self.send_response(status)
            if 300 <= status < 400:
                self.send_header("location", body.decode())
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        here.address = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield here
        server.shutdown()
        thread.join()
