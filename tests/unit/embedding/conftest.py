"""A service that speaks the embeddings API, and providers that ask it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from memory_grpc.embedding.hashing import HashingProvider
from memory_grpc.embedding.openai_compatible import OpenAICompatibleProvider
from tests.embeddings_server import Server


@pytest.fixture
def server() -> Iterator[Server]:
    with Server(HashingProvider(64)) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def make(server: Server) -> Iterator[Callable[..., OpenAICompatibleProvider]]:
    """Makes providers that do not wait between two tries."""
    made: list[OpenAICompatibleProvider] = []

    def make(**changes: Any) -> OpenAICompatibleProvider:
        arguments: dict[str, Any] = {"base_url": server.url, "model": "m", "dimensions": 64, "sleep": lambda _: None}
        made.append(OpenAICompatibleProvider(**arguments | changes))
        return made[-1]

    yield make
    for provider in made:
        provider.close()
