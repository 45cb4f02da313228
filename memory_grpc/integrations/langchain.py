"""The memory for LangChain: a retriever, and the history of a chat."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Any

from langchain_core.callbacks import CallbackManagerForRetrieverRun
from langchain_core.chat_history import BaseChatMessageHistory
from langchain_core.documents import Document
from langchain_core.messages import BaseMessage, message_to_dict, messages_from_dict
from langchain_core.retrievers import BaseRetriever
from pydantic import ConfigDict, Field

from memory_grpc.client import MemoryClient, NotFound, types
from memory_grpc.integrations.numbers import whole

_FIELD = "langchain"
_ROLES = {"human": "user", "ai": "assistant", "system": "system"}
_TYPES = {role: kind for kind, role in _ROLES.items()}
_BATCH = 1000


class MemoryRetriever(BaseRetriever):
    """Retrieves messages as documents. The metadata say whose a message is, when it was said and how relevant it is.

    ::

        retriever = MemoryRetriever(client=memory, user_id="ann", k=3)
        retriever.invoke("What must I not eat?")
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    client: MemoryClient
    """May be shared, also by threads."""
    tenant_id: str | None = None
    """The tenant, if it is not the client's own."""
    user_id: str | None = None
    """Only this user's messages."""
    conversation_id: str | None = None
    """Only this conversation's messages."""
    filter: str | None = None
    """Only messages that pass this filter: see docs/filters.md."""
    min_relevance: float | None = None
    """Leave out hits whose relevance is lower."""
    k: int = Field(default=5, ge=1, le=1000)
    """The most documents to return."""

    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun, k: int | None = None
    ) -> list[Document]:
        hits = self.client.recall(
            query,
            tenant_id=self.tenant_id,
            user_id=self.user_id,
            conversation_id=self.conversation_id,
            filter=self.filter,
            min_relevance=self.min_relevance,
            top_k=self.k if k is None else k,
        )
        return [
            Document(
                id=hit.message_id,
                page_content=hit.content,
                metadata={
                    "score": hit.score,
                    "relevance": hit.relevance,
                    "role": hit.role,
                    "name": hit.name,
                    "created_at": hit.created_at.isoformat(),
                    "conversation_id": hit.conversation_id,
                    "user_id": hit.user_id,
                    "metadata": hit.metadata,
                },
            )
            for hit in hits
        ]


class MemoryChatMessageHistory(BaseChatMessageHistory):
    """The messages of one conversation, whoever stored them. They are searched and archived like all others.

    ::

        history = MemoryChatMessageHistory(memory, "conv-1", user_id="ann")
        history.add_messages([HumanMessage("I love Python"), AIMessage("Noted!")])
    """

    def __init__(
        self, client: MemoryClient, conversation_id: str, *, user_id: str | None = None, tenant_id: str | None = None
    ) -> None:
        """Makes no call yet.

        Args:
            client: May be shared, also by threads.
            conversation_id: The conversation: LangChain's session id.
            user_id: Read and clear only this user's messages; without it, those of everybody in the conversation.
            tenant_id: The tenant, if it is not the client's own.
        """
        self._client = client
        self._whose: dict[str, Any] = {"tenant_id": tenant_id, "user_id": user_id, "conversation_id": conversation_id}

    @property
    def messages(self) -> list[BaseMessage]:  # type: ignore[override]  # an attribute there, and meant to be this
        """All messages, in the order in which they were said; archived ones too."""
        return [_read(message) for message in self._stored()]

    def add_messages(self, messages: Sequence[BaseMessage]) -> None:
        """Stores the messages in order: each 1,000 of them together, or none of these."""
        waiting = iter(messages)
        while batch := list(islice(waiting, _BATCH)):
            self._client.batch_ingest_messages(
                messages=[types.IngestMessageRequest(**self._whose, **_written(message)) for message in batch]
            )

    def clear(self) -> None:
        """Erases the messages for good, one by one."""
        for message in list(self._stored()):
            try:
                self._client.delete_message(message_id=message.id, tenant_id=message.tenant_id)
            except NotFound:
                continue

    def _stored(self) -> Any:
        return self._client.list_messages(**self._whose, include_archived=True, page_size=200)


def _written(message: BaseMessage) -> dict[str, Any]:
    """The fields of the service's message. What it has no field for is kept in its metadata, to be read back."""
    text = str(message.text)
    kept = message_to_dict(message)
    data = {name: value for name, value in kept["data"].items() if name == "content" or value not in (None, {}, [])}
    if message.content == text and text.strip():
        del data["content"]
    return {
        "role": _role(message.type),
        "name": message.name or None,
        # An answer that only calls tools says nothing, and the service stores no message without a word.
        "content": text if text.strip() else f"[{message.type}]",
        "metadata": {_FIELD: {"type": message.type, "data": data}},
    }


def _role(type_: str) -> str:
    """Of a type of LangChain's messages, chunks included (``AIMessageChunk``)."""
    return _ROLES.get(type_.removesuffix("MessageChunk").lower(), "assistant")


def _read(message: types.Message) -> BaseMessage:
    """What was written here is read back whole; metadata that others wrote, or of another role, is not believed."""
    plain: dict[str, Any] = {"type": _TYPES[message.role], "data": {"name": message.name}}
    kept: Any = whole(message.metadata.get(_FIELD))
    is_own = (
        isinstance(kept, dict)
        and isinstance(kept.get("data"), dict)
        and isinstance(kept.get("type"), str)
        and _role(kept["type"]) == message.role
    )
    told = {"content": message.content, "id": message.id}
    for one in (kept, plain) if is_own else (plain,):
        try:
            return messages_from_dict([{"type": one["type"], "data": told | one["data"]}])[0]
        except (ValueError, TypeError, KeyError):
            continue
    raise AssertionError("a plain message can be read")
