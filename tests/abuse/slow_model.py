"""``memory-grpc serve`` with a model that takes as long as a real one: ``python -m tests.abuse.slow_model``."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence

from memory_grpc.embedding.hashing import HashingProvider
from memory_grpc.embedding.provider import Vectors, Window

WINDOW_SECONDS = 0.005
"""A window of 256 words; shorter ones take less."""
_WORDS = 256
_encode = HashingProvider.encode


def _slowly(self: HashingProvider, windows: Sequence[Window]) -> Vectors:
    time.sleep(WINDOW_SECONDS * sum(window.length for window in windows) / _WORDS)
    return _encode(self, windows)


def main() -> None:
    """Slows the model down and serves."""
    HashingProvider.encode = _slowly  # type: ignore[method-assign]
    sys.argv[1:] = ["serve"]
    from memory_grpc.cli import main as serve

    serve()


if __name__ == "__main__":
    main()
