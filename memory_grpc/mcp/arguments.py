"""The arguments that tools share. Their limits are those of the contract, so that the schema says what holds."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from google.protobuf.message import Message
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from memory_layer.v1 import context_pb2, limits_pb2, listing_pb2, memory_service_pb2, revision_pb2

_SEARCH = memory_service_pb2.SearchMemoriesRequest
_INGEST = memory_service_pb2.IngestMessageRequest
_UPDATE = revision_pb2.UpdateMessageRequest
MOST_HITS = 50
MOST_ON_A_PAGE = 100
MOST_ADDED = 50


def limited(request: type[Message], name: str, description: str, **more: Any) -> Any:
    """A field of the schema with the limits that ``name`` has in the contract; ``more`` goes before them."""
    limits = request.DESCRIPTOR.fields_by_name[name].GetOptions().Extensions[limits_pb2.limits]
    of_schema = {"min_length": "min_length", "max_length": "max_length", "min": "ge", "max": "le"}
    declared = {field.name: value for field, value in limits.ListFields()}
    bounds = {own: declared[theirs] for theirs, own in of_schema.items() if theirs in declared}
    return Field(description=description, **(bounds | more))


MemoryId = Annotated[str, Field(description="The id of a memory.", pattern=r"^[0-9a-fA-F-]{32,36}$")]
Query = Annotated[str, limited(_SEARCH, "query", "The question, in plain words.")]
Conversation = Annotated[str | None, limited(_SEARCH, "conversation_id", "Only memories of this conversation.")]
GoingOn = Annotated[
    str | None,
    limited(
        context_pb2.BuildContextRequest,
        "conversation_id",
        "The conversation that goes on: its newest turns come first. Memories come from all.",
    ),
]
After = Annotated[AwareDatetime | None, Field(description="Only what was said then or later: RFC 3339.")]
Before = Annotated[AwareDatetime | None, Field(description="Only what was said before then: RFC 3339.")]
Archived = Annotated[bool, Field(description="Old memories that were archived, too.")]
Hits = Annotated[int, limited(_SEARCH, "top_k", "How many memories at most.", le=MOST_HITS)]
Filter = Annotated[
    str | None,
    limited(_SEARCH, "filter", 'Only what passes this filter (AIP-160), as `role = user AND metadata.topic = "food"`.'),
]
Tokens = Annotated[int, limited(context_pb2.BuildContextRequest, "max_tokens", "How many tokens at most.")]
RecentTurns = Annotated[
    int, limited(context_pb2.BuildContextRequest, "recent_turns", "How many of the newest turns to consider.")
]
PageSize = Annotated[
    int, limited(listing_pb2.ListMessagesRequest, "page_size", "How many memories at most.", le=MOST_ON_A_PAGE)
]
PageToken = Annotated[
    str | None,
    limited(listing_pb2.ListMessagesRequest, "page_token", "`next_page_token` of the page before, for the next one."),
]
Content = Annotated[str, limited(_INGEST, "content", "What to remember: a fact, or what was said, in whole sentences.")]
NewContent = Annotated[str | None, limited(_UPDATE, "content", "What it says from now on.")]
Importance = Annotated[float | None, limited(_INGEST, "importance_override", "How important it is, from 0 to 1.")]
Metadata = Annotated[dict[str, Any] | None, Field(description="Fields of your own, as an object.")]
Into = Annotated[
    str | None, limited(_INGEST, "conversation_id", "The conversation it belongs to, if not the usual one.")
]


class NewMemory(BaseModel):
    """Something to remember."""

    model_config = ConfigDict(extra="forbid")

    content: Content
    role: Annotated[Literal["user", "assistant", "system"], Field(description="Who said it.")] = "user"
    name: Annotated[str | None, limited(_INGEST, "name", "The speaker's name.")] = None
    created_at: Annotated[AwareDatetime | None, Field(description="When it was said: RFC 3339; now if not given.")] = (
        None
    )
    importance: Importance = None
    pinned: Annotated[bool, Field(description="Never archived.")] = False
    metadata: Metadata = None


NewMemories = Annotated[list[NewMemory], Field(description="What to remember.", min_length=1, max_length=MOST_ADDED)]
