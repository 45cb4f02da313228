"""What a source yields: one record a line (or turn), with its place in the file."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol
from uuid import UUID, uuid5

from memory_grpc.commands.failure import CommandError
from memory_layer.v1.memory_service_pb2 import IngestMessageRequest

# The namespace of the request ids of imports: any constant that is nobody else's.
_NAMESPACE = UUID("6f9f5b9e-7f0c-5f0a-9d7e-2a1f0f4c8f11")


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in a file: after item ``number`` (1-based; 0 is the start), ``digest`` of everything up to there.

    ``position`` is how far that is of the source's total, for the bar; 0 where nobody knows.
    """

    number: int = 0
    digest: str = ""
    position: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with an item: the field (empty for the whole item), and a description without its content."""

    field: str
    description: str


@dataclass(frozen=True, slots=True)
class Record:
    """One item of a file: a message to send, or one that cannot be (``faults``), or nothing (neither).

    ``left_out`` names what of the item is not text and does not come along.
    """

    label: str
    before: Mark
    after: Mark
    request: IngestMessageRequest | None = None
    faults: tuple[Fault, ...] = ()
    left_out: tuple[str, ...] = ()

    @property
    def created_at(self) -> datetime | None:
        """The message's time as the service keeps it, in microseconds; None where the service gives it one."""
        if self.request is None or not self.request.HasField("created_at"):
            return None
        return self.request.created_at.ToDatetime(tzinfo=UTC)


class Source(Protocol):
    """A file to import. ``total`` is its length in the unit of ``Mark.position``: bytes, or items."""

    @property
    def total(self) -> int:
        """Its length."""

    def records(self, after: Mark) -> Iterator[Record]:
        """The records after a mark. Raises Changed when the file is another than the mark was set in."""


class Changed(CommandError):
    """The file is not what an earlier import read."""


class Chain:
    """The digest of a growing prefix of items: the same prefix gives the same digest, whatever follows."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()

    def add(self, item: bytes) -> None:
        """Takes one more item in; its length goes before it, so that no two lists of items look alike."""
        self._hash.update(len(item).to_bytes(8, "big"))
        self._hash.update(item)

    def digest(self) -> str:
        """The digest of everything added so far, as hex."""
        return self._hash.copy().hexdigest()


def request_id(identity: str) -> str:
    """The request id of an item of that identity: always the same UUID."""
    return str(uuid5(_NAMESPACE, identity))


def changed(after: Mark, *, known_again: bool = False) -> Changed:
    """The error of a file whose first ``after.number`` items are not what they were; ``known_again`` where the service
    knows each of its items, whatever stands before it."""
    then = (
        "what is stored already is not stored again."
        if known_again
        else ("lines that come after an edited one are then stored again.")
    )
    return Changed(
        f"The first {after.number:,} items of the file are not those that an earlier import read: it was edited or "
        f"replaced. Import it from its beginning with --restart; {then}"
    )
