"""Messages as lines of a prompt."""

from __future__ import annotations

from datetime import UTC

from memory_grpc.domain.messages import StoredMessage


def line(message: StoredMessage) -> str:
    """``[2026-11-14 20:30] Caroline: I love Python``, in UTC; further lines of the text are indented.

    Nothing that a message says can look like another message: only its own line begins with a bracket.
    """
    first, *others = message.content.splitlines() or [""]
    speaker = " ".join((message.name or message.role).split())
    moment = message.created_at.astimezone(UTC).strftime("%Y-%m-%d %H:%M")
    return "\n".join([f"[{moment}] {speaker}: {first}", *(f"  {other}" for other in others)])
