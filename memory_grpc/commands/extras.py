"""What the base installation leaves out: it is the client and the command line, and extras bring the rest."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from memory_grpc.commands.failure import CommandError

_OWN = ("memory_grpc", "memory_layer")


@contextmanager
def needed(extra: str, because: str = "This runs the service, of which only the client is installed") -> Iterator[None]:
    """What is done inside needs an extra: where one of its libraries is missing, that is a sentence (CommandError)."""
    try:
        yield
    except ModuleNotFoundError as error:
        library = (error.name or "").partition(".")[0]
        if not library or library in _OWN:
            raise
        raise CommandError(f"{because} ({library} is missing): pip install 'memory-grpc[{extra}]'.") from None
