"""What an import refuses before it stores anything."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from memory_grpc.domain.transfer import FurtherRevisions, Transferred, TransferredRevision
from memory_grpc.errors import FieldViolation, InvalidInput
from memory_grpc.operations.messages.ingest import LONGEST_FUTURE

History = tuple[str, int, Sequence[TransferredRevision]]


def histories(sent: Sequence[Transferred], further: Sequence[FurtherRevisions]) -> Iterator[History]:
    """What messages were: the field that has it, the number of the message, and the revisions."""
    for place, one in enumerate(sent):
        yield f"messages[{place}]", one.message.revision, one.revisions
    for place, more in enumerate(further):
        yield f"revisions[{place}]", more.message_revision, more.revisions


def check_ids(sent: Sequence[Transferred]) -> None:
    """Raises InvalidInput for an id that comes twice."""
    first: dict[object, int] = {}
    twice = [
        FieldViolation(f"messages[{place}].id", f"is the same as that of messages[{first[one.message.id]}]")
        for place, one in enumerate(sent)
        if first.setdefault(one.message.id, place) != place
    ]
    if twice:
        raise InvalidInput(twice)


def check_times(sent: Sequence[Transferred], further: Sequence[FurtherRevisions], now: datetime) -> None:
    """Raises InvalidInput for what is later than anything may be."""
    latest = now + LONGEST_FUTURE
    late = [f"messages[{place}].created_at" for place, one in enumerate(sent) if one.message.created_at > latest]
    late += [
        f"{holder}.revisions[{number}].valid_to"
        for holder, _, revisions in histories(sent, further)
        for number, was in enumerate(revisions)
        if was.revision.valid_to > latest
    ]
    if late:
        raise InvalidInput([FieldViolation(field, "is more than a day in the future") for field in late])


def check_revisions(sent: Sequence[Transferred], further: Sequence[FurtherRevisions]) -> None:
    """Raises InvalidInput where numbers do not rise up to the message's, or times go back."""
    faults = []
    for holder, message_revision, revisions in histories(sent, further):
        following = message_revision
        until: datetime | None = None
        for number, was in reversed(list(enumerate(revisions))):
            field = f"{holder}.revisions[{number}]"
            if was.revision.message.revision >= following:
                faults.append(FieldViolation(f"{field}.revision", "must be lower than that of the next one"))
            if was.revision.valid_from > was.revision.valid_to:
                faults.append(FieldViolation(f"{field}.valid_to", "must not be before valid_from"))
            elif until is not None and was.revision.valid_to > until:
                faults.append(FieldViolation(f"{field}.valid_to", "must not be after valid_from of the next one"))
            following, until = was.revision.message.revision, was.revision.valid_from
    if faults:
        raise InvalidInput(faults)
