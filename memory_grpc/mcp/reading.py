"""The tools that only read."""

from __future__ import annotations

from memory_grpc.mcp import arguments as a
from memory_grpc.mcp.failures import answered
from memory_grpc.mcp.shapes import Context, Document, Found, Hit, Memory, Page, Result, Results, title, url
from memory_grpc.mcp.user_memory import CurrentMemory


class Reading:
    """Each method is a tool; its docstring is what the model reads."""

    def __init__(self, current: CurrentMemory) -> None:
        self._current = current

    async def search_memories(
        self,
        query: a.Query,
        limit: a.Hits = 10,
        conversation_id: a.Conversation = None,
        created_after: a.After = None,
        created_before: a.Before = None,
        filter: a.Filter = None,
        include_archived: a.Archived = False,
    ) -> Found:
        """Search what is remembered of the user, by meaning. Call this before you answer anything that may depend on
        what the user said earlier."""
        memory = self._current()
        found = await answered(
            memory.client.search_memories(
                query=query,
                top_k=limit,
                conversation_id=conversation_id,
                created_after=created_after,
                created_before=created_before,
                filter=filter,
                include_archived=include_archived,
                **memory.user,
            )
        )
        return Found(memories=[Hit.of(hit) for hit in found.items], pending=found.pending)

    async def get_context(
        self,
        query: a.Query,
        max_tokens: a.Tokens = 1000,
        conversation_id: a.GoingOn = None,
        recent_turns: a.RecentTurns = 10,
        filter: a.Filter = None,
    ) -> Context:
        """Get what is worth knowing for a question as text of limited length: pinned memories, the newest turns, and
        what the question is about."""
        memory = self._current()
        built = await answered(
            memory.client.build_context(
                query=query,
                max_tokens=max_tokens,
                conversation_id=conversation_id,
                recent_turns=recent_turns,
                filter=filter,
                **memory.user,
            )
        )
        ids = [one.message.id for one in built.messages]
        return Context(text=built.text, total_tokens=built.total_tokens, memory_ids=ids)

    async def list_memories(
        self,
        page_size: a.PageSize = 50,
        page_token: a.PageToken = None,
        newest_first: bool = True,
        conversation_id: a.Conversation = None,
        created_after: a.After = None,
        created_before: a.Before = None,
        filter: a.Filter = None,
        include_archived: a.Archived = False,
    ) -> Page:
        """List memories by time, page by page. The next page needs the same arguments."""
        memory = self._current()
        pages = memory.client.list_messages(
            page_size=page_size,
            page_token=page_token,
            order_by="created_at desc" if newest_first else "created_at",
            conversation_id=conversation_id,
            created_after=created_after,
            created_before=created_before,
            filter=filter,
            include_archived=include_archived,
            **memory.user,
        ).pages()
        page = await answered(anext(pages))
        return Page(memories=[Memory.of(one) for one in page.messages], next_page_token=page.next_page_token or None)

    async def get_memory(self, memory_id: a.MemoryId) -> Memory:
        """Get one memory by its id."""
        return Memory.of(await self._current().message(memory_id))

    async def search(self, query: a.Query) -> Results:
        """Search what is remembered of the user; `fetch` gets the whole text of a result."""
        memory = self._current()
        found = await answered(memory.client.search_memories(query=query, top_k=10, **memory.user))
        results = [Result(id=hit.message_id, title=title(hit.content), url=url(hit.message_id)) for hit in found.items]
        return Results(results=results)

    async def fetch(self, id: a.MemoryId) -> Document:
        """Get the whole text of a result of `search`, by its id."""
        one = Memory.of(await self._current().message(id))
        metadata = one.model_dump(mode="json", include={"role", "name", "conversation_id", "created_at", "metadata"})
        return Document(id=one.id, title=title(one.content), text=one.content, url=url(one.id), metadata=metadata)
