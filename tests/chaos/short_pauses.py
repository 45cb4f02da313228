"""``memory-grpc serve`` that waits for a moment where it would for many seconds after something has failed:
``python -m tests.chaos.short_pauses``."""

from __future__ import annotations

import sys
from functools import partialmethod

from memory_grpc.embedding.remote_service import RemoteService
from memory_grpc.jobs import erase, graphs, words

COMMAND = ("-m", "tests.chaos.short_pauses")
SECONDS = 0.2


def main() -> None:
    """Shortens the pauses and serves."""
    impatient = partialmethod(RemoteService.__init__, breaker_cooldown_seconds=SECONDS)
    RemoteService.__init__ = impatient  # type: ignore[method-assign,assignment]
    erase.RETRY_SECONDS = graphs.RETRY_SECONDS = words.RETRY_SECONDS = SECONDS
    sys.argv[1:] = ["serve"]
    from memory_grpc.cli import main as serve

    serve()


if __name__ == "__main__":
    main()
