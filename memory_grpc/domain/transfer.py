"""What leaves a tenant in an export, and comes back by an import."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from memory_grpc.domain.messages import StoredMessage
from memory_grpc.domain.revisions import Revision


@dataclass(frozen=True, slots=True)
class MessageVectors:
    """The vectors of a message: which model made them, and one a window, as 16-bit floats, little-endian."""

    model: str
    windows: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class TransferredRevision:
    """What a message was, on its way."""

    revision: Revision
    vectors: MessageVectors | None = None


@dataclass(frozen=True, slots=True)
class Transferred:
    """A message on its way, and what it was, the first first; of all of them embedding_status and updated_at mean
    nothing there. With ``more``, further revisions follow it."""

    message: StoredMessage
    vectors: MessageVectors | None = None
    revisions: tuple[TransferredRevision, ...] = ()
    more: bool = False


@dataclass(frozen=True, slots=True)
class FurtherRevisions:
    """What a message was, where not all of it goes with the message: what follows what went before, and whether there
    is ``more``. ``message_revision`` is the number of the message on its way."""

    message_id: UUID
    message_revision: int
    revisions: tuple[TransferredRevision, ...]
    more: bool = False


@dataclass(frozen=True, slots=True)
class Rest:
    """Which revisions of a message are still to come: those after one and before another."""

    after: int
    before: int


@dataclass(frozen=True, slots=True)
class OwnPolicy:
    """The values of a policy that are a tenant's own, by path (``retention.max_age_days``)."""

    values: Mapping[str, float | str]


@dataclass(frozen=True, slots=True)
class Imported:
    """What became of the messages of an import: how many were stored, and of those are ``pending``; the places of those
    that were there before, of those whose id stands for something else, and of those that were erased. ``ignored`` are
    the places of further revisions that belong to no message that is there."""

    stored: int
    pending: int
    repeated: tuple[int, ...] = ()
    conflicting: tuple[int, ...] = ()
    erased: tuple[int, ...] = ()
    ignored: tuple[int, ...] = ()
