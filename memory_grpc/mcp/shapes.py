"""What the tools answer; their output schemas are made of these."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Self

from pydantic import BaseModel, Field

from memory_grpc.client import types

_TITLE = 80


class Remembered(BaseModel):
    """A message of the user's memory."""

    id: str
    content: str
    role: str = Field(description="`user`, `assistant` or `system`.")
    name: str | None = Field(description="Who spoke, where that is known.")
    conversation_id: str
    created_at: datetime = Field(description="When it was said.")
    importance: float = Field(description="0 to 1.")
    archived: bool = Field(description="Whether searches find it only with `include_archived`.")
    metadata: dict[str, Any]


class Memory(Remembered):
    """A message with its state."""

    pinned: bool = Field(description="Whether it is never archived.")
    searchable: bool = Field(description="False until its text is embedded.")
    expires_at: datetime | None = Field(description="From when on it is gone.")

    @classmethod
    def of(cls, message: types.Message) -> Self:
        """As the service has it."""
        return cls(
            id=message.id,
            content=message.content,
            role=message.role,
            name=message.name,
            conversation_id=message.conversation_id,
            created_at=message.created_at,
            importance=message.importance_score,
            archived=message.archived_at is not None,
            metadata=message.metadata,
            pinned=bool(message.pinned),
            searchable=message.embedding_status == "completed",
            expires_at=message.expires_at,
        )


class Hit(Remembered):
    """A memory that was found."""

    score: float = Field(description="Orders the hits of one search.")
    relevance: float = Field(description="How likely it is to answer; compares with other searches.")

    @classmethod
    def of(cls, hit: types.MemoryHit) -> Self:
        """As the service has it."""
        return cls(
            id=hit.message_id,
            content=hit.content,
            role=hit.role,
            name=hit.name,
            conversation_id=hit.conversation_id,
            created_at=hit.created_at,
            importance=hit.importance,
            archived=hit.archived_at is not None,
            metadata=hit.metadata,
            score=hit.score,
            relevance=hit.relevance,
        )


class Found(BaseModel):
    """What a search found."""

    memories: list[Hit] = Field(description="The best first.")
    pending: int = Field(description="Memories that cannot be found yet, because they are not embedded.")


class Context(BaseModel):
    """What a prompt needs to know."""

    text: str = Field(description="One line for each message, in the order they were said.")
    total_tokens: int
    memory_ids: list[str] = Field(description="Whose text it is, in the same order.")


class Page(BaseModel):
    """A page of memories."""

    memories: list[Memory]
    next_page_token: str | None = Field(description="For the next page; null on the last.")


class Added(BaseModel):
    """What is stored now."""

    memories: list[Memory] = Field(description="In the order of the request.")


class Forgetting(BaseModel):
    """A plan to forget, or how far it is."""

    plan_id: str = Field(description="Call again with this alone to forget what was planned.")
    state: str = Field(description="`planned`: nothing is gone yet; `erasing`, `cleaning`: under way; `done`.")
    count: int = Field(description="How many memories were planned.")
    forgotten: int = Field(description="How many are gone.")
    sample: list[Memory] = Field(description="Some of them, of a plan; show these to the user before you go on.")


class Result(BaseModel):
    """A hit of `search`."""

    id: str
    title: str
    url: str


class Results(BaseModel):
    """The hits of `search`."""

    results: list[Result]


class Document(Result):
    """What `fetch` returns."""

    text: str
    metadata: dict[str, Any]


def title(content: str) -> str:
    """The first line of a text, shortened."""
    line = next((line for line in content.splitlines() if line.strip()), "").strip()
    return line if len(line) <= _TITLE else f"{line[: _TITLE - 1]}…"


def url(memory_id: str) -> str:
    """Names a memory where a URL is wanted. It leads nowhere outside of this server."""
    return f"memory://{memory_id}"
