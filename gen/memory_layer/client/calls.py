"""Every RPC as a method. Written by `make gen` from the protos; do not edit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, TypeVar

from memory_grpc.client.pages import Pages
from memory_grpc.client.rpc import Rpc
from memory_layer.client import rpcs, types

T = TypeVar("T")
I = TypeVar("I")


class Calls:
    """Every RPC as a method."""

    def _call(self, rpc: Rpc[T], arguments: Mapping[str, Any], timeout: float | None) -> T:
        raise NotImplementedError

    def _pages(
        self, rpc: Rpc[T], items: str, item: type[I], arguments: Mapping[str, Any], timeout: float | None
    ) -> Pages[T, I]:
        raise NotImplementedError

    def _stream(
        self, rpc: Rpc[T], arguments: Mapping[str, Any], timeout: float | None
    ) -> Iterator[T]:
        raise NotImplementedError

    def _exchange(
        self, rpc: Rpc[T], field: str, requests: Iterable[Any], timeout: float | None
    ) -> Iterator[T]:
        raise NotImplementedError

    def remember(
        self,
        content: str,
        *,
        conversation_id: str,
        tenant_id: str | None = None,
        role: str = "user",
        metadata: Mapping[str, Any] | None = None,
        importance_override: float | None = None,
        name: str | None = None,
        created_at: datetime | None = None,
        request_id: str | None = None,
        embed_later: bool | None = None,
        user_id: str | None = None,
        keep_request_id: bool = False,
        pinned: bool = False,
        expires_at: datetime | None = None,
        ttl_seconds: int | None = None,
        on_duplicate: str | None = None,
        duplicate_window_seconds: int | None = None,
        language: str | None = None,
        timeout: float | None = None,
    ) -> types.Message:
        """Stores what was said; by the user, unless `role` says otherwise. The same as `ingest_message`.

        Args:
            content: The text.
            conversation_id: Which conversation of the tenant.
            tenant_id: Which product or customer the message belongs to.
            role: Who speaks: `user`, `assistant` or `system`.
            metadata: Any fields of the caller's own; returned as they are.
            importance_override: How important the caller says the message is; counts as 0 when not set.
            name: The speaker's name; questions that name a speaker find that speaker's messages.
            created_at: When the message was said, for back-fills; the server's time when not set.
            request_id: The caller's own id of this request: a UUID, as AIP-155 has it.
            embed_later: Store and answer at once, with `embedding_status` `pending`, and embed afterwards.
            user_id: The end user whose memory this belongs to, compared byte for byte.
            keep_request_id: Remember `request_id` as long as the message is kept, instead of 24 hours: for imports,
                which are run again weeks later.
            pinned: Never archived by retention.
            expires_at: From this moment on nothing shows the message, and the next sweep erases it.
            ttl_seconds: The same as a number of seconds from the moment of ingest on, whatever `created_at` says.
            on_duplicate: What becomes of a message that was said before, by the same role in the same conversation,
                of the same user, in the same words, at most `duplicate_window_seconds` earlier: `store` it, the
                default, or `return_existing`, which stores nothing and returns the one that is there, as for a repeated
                `request_id`.
            duplicate_window_seconds: How far apart two messages may have been said to be taken for one, up to a
                year; an hour when not set.
            language: The language of the text, as a tag of BCP 47: how its words are stemmed for the hybrid
                ranking, and which of them count for nothing.
            timeout: Seconds for the call with all its attempts; the client's own when not given.
        """
        found = self.ingest_message(
            tenant_id=tenant_id,
            conversation_id=conversation_id,
            role=role,
            content=content,
            metadata=metadata,
            importance_override=importance_override,
            name=name,
            created_at=created_at,
            request_id=request_id,
            embed_later=embed_later,
            user_id=user_id,
            keep_request_id=keep_request_id,
            pinned=pinned,
            expires_at=expires_at,
            ttl_seconds=ttl_seconds,
            on_duplicate=on_duplicate,
            duplicate_window_seconds=duplicate_window_seconds,
            language=language,
            timeout=timeout,
        )
        return found

    def recall(
        self,
        query: str,
        *,
        tenant_id: str | None = None,
        conversation_id: str | None = None,
        top_k: int | None = None,
        importance_min: float | None = None,
        candidate_limit: int | None = None,
        as_of: datetime | None = None,
        role: str | None = None,
        created_after: datetime | None = None,
        created_before: datetime | None = None,
        metadata: Mapping[str, Any] | None = None,
        metadata_equals: Iterable[str] = (),
        include_archived: bool = False,
        ranking: str | None = None,
        explain: bool = False,
        neighbours: int | None = None,
        user_id: str | None = None,
        filter: str | None = None,
        min_score: float | None = None,
        distinct: bool = False,
        exclude_message_ids: Iterable[str] = (),
        exclude_query_text: bool = False,
        time_zone: str | None = None,
        min_relevance: float | None = None,
        language: str | None = None,
        timeout: float | None = None,
    ) -> tuple[types.MemoryHit, ...]:
        """Returns the messages that matter most to a question, the best first: the `items` of `search_memories`.

        Args:
            query: The question, in plain words.
            tenant_id: Whose memory to search.
            conversation_id: Only messages of this conversation.
            top_k: How many hits to return at most; 5 when not set.
            importance_min: Only messages at least this important.
            candidate_limit: Rank only this many of the newest messages that pass the filters; the whole memory when
                not set.
            as_of: The moment to search from: ages are counted up to it, and later messages are left out.
            role: Only messages of this role.
            created_after: Only messages said at this moment or later.
            created_before: Only messages said before this moment.
            metadata: Only messages whose metadata holds all of this: the same keys with the same values, objects
                within objects likewise.
            metadata_equals: The same for GET, as `key=value`: the value of that key, written as text, is the same.
            include_archived: Ranks archived messages too.
            ranking: `semantic`, the documented score, or `hybrid`, which also weighs words, conversations, dates
                and speakers.
            explain: Adds to every hit the terms that make its score, and to the response how it was ranked.
            neighbours: Adds to every hit this many turns before and after it in its conversation.
            user_id: Only messages of this end user.
            filter: Only messages that pass this filter, in the syntax of AIP-160; see docs/filters.md.
            min_score: Only hits with at least this score.
            distinct: Of messages with the same text only the best one.
            exclude_message_ids: Without these messages; the next best ones stand in their places.
            exclude_query_text: Without messages whose text is the query itself: what was just asked is often stored
                already.
            time_zone: Whose days "yesterday" and "in June" are: a time zone of the IANA database.
            min_relevance: Without hits whose `relevance` is less: where nothing was said of it, fewer come than
                `top_k`, or none, and no others stand in their places. 0.45 keeps nearly all that answers with the
                default model; see docs/ranking.md.
            language: The language of the query, as a tag of BCP 47: its words are stemmed as those of messages in
                that language are.
            timeout: Seconds for the call with all its attempts; the client's own when not given.
        """
        found = self.search_memories(
            tenant_id=tenant_id,
            query=query,
            conversation_id=conversation_id,
            top_k=top_k,
            importance_min=importance_min,
            candidate_limit=candidate_limit,
            as_of=as_of,
            role=role,
            created_after=created_after,
            created_before=created_before,
            metadata=metadata,
            metadata_equals=metadata_equals,
            include_archived=include_archived,
            ranking=ranking,
            explain=explain,
            neighbours=neighbours,
            user_id=user_id,
            filter=filter,
            min_score=min_score,
            distinct=distinct,
            exclude_message_ids=exclude_message_ids,
            exclude_query_text=exclude_query_text,
            time_zone=time_zone,
            min_relevance=min_relevance,
            language=language,
            timeout=timeout,
        )
        return found.items

    def context(
        self,
        query: str,
        *,
        tenant_id: str | None = None,
        user_id: str | None = None,
        conversation_id: str | None = None,
        max_tokens: int | None = None,
        recent_turns: int | None = None,
        filter: str | None = None,
        ranking: str | None = None,
        min_score: float | None = None,
        neighbours: int | None = None,
        as_of: datetime | None = None,
        recent_share: float | None = None,
        time_zone: str | None = None,
        language: str | None = None,
        timeout: float | None = None,
    ) -> types.BuildContextResponse:
        """Returns what a prompt needs to know, within a number of tokens, as messages and as `text`. The same as
        `build_context`.

        Args:
            query: What the user says now, in plain words.
            tenant_id: Whose memory.
            user_id: Only messages of this end user.
            conversation_id: The conversation that goes on: its newest turns are the recent ones.
            max_tokens: How many tokens `text` may have at most; 1,000 when not set.
            recent_turns: How many of the newest turns to consider; 10 when not set.
            filter: Only messages that pass this filter, in the syntax of AIP-160; see docs/filters.md.
            ranking: `semantic` or `hybrid`.
            min_score: Memories whose score is lower are left out.
            neighbours: Adds to every memory this many turns before and after it in its conversation, as far as
                there is room.
            as_of: The moment to build it for: later messages are left out, and a message counts as it was then, as
                live when it was archived later.
            recent_share: The share of `max_tokens` that pinned and recent messages may take together; what they
                leave is for memories. 0.5 when not set.
            time_zone: Whose days "yesterday" and "in June" are: a time zone of the IANA database.
            language: The language of the query, as a tag of BCP 47: its words are stemmed as those of messages in
                that language are.
            timeout: Seconds for the call with all its attempts; the client's own when not given.
        """
        found = self.build_context(
            tenant_id=tenant_id,
            query=query,
            user_id=user_id,
            conversation_id=conversation_id,
            max_tokens=max_tokens,
            recent_turns=recent_turns,
            filter=filter,
            ranking=ranking,
            min_score=min_score,
            neighbours=neighbours,
            as_of=as_of,
            recent_share=recent_share,
            time_zone=time_zone,
            language=language,
            timeout=timeout,
        )
        return found

    def ingest_message(
        self,
        *,
        conversation_id: str,
        role: str,
        content: str,
        tenant_id: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        importance_override: float | None = None,
        name: str | None = None,
        created_at: datetime | None = None,
        request_id: str | None = None,
        embed_later: bool | None = None,
        user_id: str | None = None,
        keep_request_id: bool = False,
        pinned: bool = False,
        expires_at: datetime | None = None,
        ttl_seconds: int | None = None,
        on_duplicate: str | None = None,
        duplicate_window_seconds: int | None = None,
        language: str | None = None,
        timeout: float | None = None,
    ) -> types.Message:
        """Stores one message and embeds it.

        Atomic: the message and its embedding are stored together or not at all. Answers 202 over REST once the
        message is committed. When the embedding model is down, or has too much of the tenant's to do, the message
        is stored all the same, with `embedding_status` `pending`, and becomes searchable once it is embedded. A
        retry with the same `request_id` and body returns the stored message and stores nothing; with another body
        it fails with ALREADY_EXISTS, and once that message was deleted with NOT_FOUND. A retry without a
        `request_id` stores a second message. An answer to a retry carries the header `x-repeated: true`.

        Args:
            conversation_id: Which conversation of the tenant.
            role: Who speaks: `user`, `assistant` or `system`.
            content: The text.
            tenant_id: Which product or customer the message belongs to.
            metadata: Any fields of the caller's own; returned as they are.
            importance_override: How important the caller says the message is; counts as 0 when not set.
            name: The speaker's name; questions that name a speaker find that speaker's messages.
            created_at: When the message was said, for back-fills; the server's time when not set.
            request_id: The caller's own id of this request: a UUID, as AIP-155 has it.
            embed_later: Store and answer at once, with `embedding_status` `pending`, and embed afterwards.
            user_id: The end user whose memory this belongs to, compared byte for byte.
            keep_request_id: Remember `request_id` as long as the message is kept, instead of 24 hours: for imports,
                which are run again weeks later.
            pinned: Never archived by retention.
            expires_at: From this moment on nothing shows the message, and the next sweep erases it.
            ttl_seconds: The same as a number of seconds from the moment of ingest on, whatever `created_at` says.
            on_duplicate: What becomes of a message that was said before, by the same role in the same conversation,
                of the same user, in the same words, at most `duplicate_window_seconds` earlier: `store` it, the
                default, or `return_existing`, which stores nothing and returns the one that is there, as for a repeated
                `request_id`.
            duplicate_window_seconds: How far apart two messages may have been said to be taken for one, up to a
                year; an hour when not set.
            language: The language of the text, as a tag of BCP 47: how its words are stemmed for the hybrid
                ranking, and which of them count for nothing.
            timeout: Seconds for the call with all its attempts; the client's own when not given.
        """
        arguments: dict[str, Any] = dict(
            tenant_id=tenant_id,
            conversation_id=conversation_id,
            role=role,
            content=content,
            metadata=metadata,
            importance_override=importance_override,
            name=name,
            created_at=created_at,
            request_id=request_id,
            embed_later=embed_later,
            user_id=user_id,
            keep_request_id=keep_request_id,
            pinned=pinned,
            expires_at=expires_at,
            ttl_seconds=ttl_seconds,
            on_duplicate=on_duplicate,
            duplicate_window_seconds=duplicate_window_seconds,
            language=language,
        )
        return self._call(rpcs.INGEST_MESSAGE, arguments, timeout)

    def batch_ingest_messages(
        self,
        *,
        messages: Iterable[types.IngestMessageRequest],
        timeout: float | None = None,
    ) -> types.BatchIngestMessagesResponse:
        """Stores up to 1,000 messages in one transaction.

        All or nothing: one invalid message refuses the whole batch, and the first broken fields are named by the
        index of their message. A batch that the embedding model cannot embed in time is stored as `pending`.
        Results stand in the order of the request. Counts as one call against the rate limit. Retrying with the same
        request ids stores only what is not stored yet.

        Args:
            messages: The messages, all of one tenant.
            timeout: Seconds for the call with all its attempts; the client's own when not given.
        """
        arguments: dict[str, Any] = dict(
            messages=messages,
        )
        return self._call(rpcs.BATCH_INGEST_MESSAGES, arguments, timeout)

    def stream_ingest(
        self,
        messages: Iterable[types.IngestMessageRequest],
        *,
        timeout: float | None = None,
    ) -> Iterator[types.StreamIngestResponse]:
        """Stores messages as they come, and acknowledges each once it is committed. For imports; gRPC only.

        Messages are embedded and stored in batches, of several tenants if need be; acknowledgements come in the
        order of the messages. A server that falls behind stops reading, so that the client is slowed down and
        nothing is dropped. The stream counts as one call against the rate limit and has no deadline but the
        client's. The first invalid message ends it with INVALID_ARGUMENT, after everything before it was stored and
        acknowledged; so does, with PERMISSION_DENIED, the first message of a tenant that the key does not reach,
        and, with UNAUTHENTICATED, the first that comes after the key was revoked. To resume a stream that broke,
        open another and send what was not acknowledged, with the same request ids: nothing is stored twice. The
        first message that does not fit the tenant's quota ends it with RESOURCE_EXHAUSTED, after everything before
        it was stored and acknowledged.

        Args:
            messages: What to send.
            timeout: Seconds for the stream with all its attempts; as long as it takes when not given.
        """
        return self._exchange(rpcs.STREAM_INGEST, "message", messages, timeout)

    def get_message(
        self,
        *,
        message_id: str,
        tenant_id: str | None = None,
        as_of: datetime | None = None,
        timeout: float | None = None,
    ) -> types.Message:
        """Returns one message by its id, archived ones included; as it was at a moment with `as_of`.

        NOT_FOUND when there is no such message, or not in `tenant_id`, or not in a tenant the key may read: the
        three answers are the same, also when `tenant_id` names a tenant that the key may not read.

        Args:
            message_id: The id that IngestMessage returned.
            tenant_id: Finds the message only if it belongs to this tenant; any tenant the key may read when not
                set.
            as_of: The moment to show it at: as it was before later updates, live when it was archived later, and
                shown when it has expired since.
            timeout: Seconds for the call with all its attempts; the client's own when not given.
        """
        arguments: dict[str, Any] = dict(
            message_id=message_id,
            tenant_id=tenant_id,
            as_of=as_of,
        )
        return self._call(rpcs.GET_MESSAGE, arguments, timeout)

    def update_message(
        self,
        *,
        message_id: str,
        tenant_id: str | None = None,
        update_mask: Iterable[str] = (),
        content: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        name: str | None = None,
        user_id: str | None = None,
        importance_override: float | None = None,
        pinned: bool | None = None,
        expires_at: datetime | None = None,
        etag: str | None = None,
        request_id: str | None = None,
        embed_later: bool | None = None,
        timeout: float | None = None,
    ) -> types.Message:
        """Changes what a message says, archived ones included.

        Atomic: the message, its embedding and its words change together or not at all, and what it was is kept as a
        revision, which a search with an earlier `as_of` finds and shows. When the embedding model is down, new
        content is stored all the same, with `embedding_status` `pending`. What changes nothing makes no revision
        and returns the message. NOT_FOUND when there is no such message in `tenant_id`. ABORTED when it was changed
        since `etag`. A retry with the same `request_id` and body changes nothing; with another body it fails with
        ALREADY_EXISTS. A retry without one may make a revision of what others wrote meanwhile: send the `etag` too.
        RESOURCE_EXHAUSTED when the tenant's quota of bytes has no room for the message as it would be: what it was
        is kept besides.

        Args:
            message_id: The message.
            tenant_id: The tenant that it belongs to.
            update_mask: Which fields to change: those below.
            content: The new text; it is embedded like that of a new message.
            metadata: The new metadata, in the place of all there was.
            name: The speaker's name.
            user_id: The end user whose memory it belongs to.
            importance_override: How important the caller says it is; importance is worked out anew, as of the
                moment of ingest.
            pinned: Never archived by retention.
            expires_at: From when on nothing shows it: a moment to come.
            etag: The `etag` of the message that the caller has seen.
            request_id: The caller's own id of this request, as at ingest: the same id with the same body, sent
                again, changes nothing and returns the message as it is then.
            embed_later: Answer at once and embed the new text afterwards, as at ingest.
            timeout: Seconds for the call with all its attempts; the client's own when not given.
        """
        arguments: dict[str, Any] = dict(
            message_id=message_id,
            tenant_id=tenant_id,
            update_mask=update_mask,
            content=content,
            metadata=metadata,
            name=name,
            user_id=user_id,
            importance_override=importance_override,
            pinned=pinned,
            expires_at=expires_at,
            etag=etag,
            request_id=request_id,
            embed_later=embed_later,
        )
        return self._call(rpcs.UPDATE_MESSAGE, arguments, timeout)

    def list_revisions(
        self,
        *,
        message_id: str,
        tenant_id: str | None = None,
        page_size: int | None = None,
        page_token: str | None = None,
        timeout: float | None = None,
    ) -> Pages[types.ListRevisionsResponse, types.Revision]:
        """Lists what a message was before its updates, the last one first.

        Reads only. NOT_FOUND when there is no such message in `tenant_id`; one that was never updated has an empty
        list.

        Args:
            message_id: The message.
            tenant_id: The tenant that it belongs to.
            page_size: How many revisions to return at most; 50 when not set.
            page_token: `next_page_token` of the page before; the first page when not set.
            timeout: Seconds for the call with all its attempts; the client's own when not given.
        """
        arguments: dict[str, Any] = dict(
            message_id=message_id,
            tenant_id=tenant_id,
            page_size=page_size,
            page_token=page_token,
        )
        return self._pages(rpcs.LIST_REVISIONS, "revisions", types.Revision, arguments, timeout)

    def list_messages(
        self,
        *,
        tenant_id: str | None = None,
        conversation_id: str | None = None,
        user_id: str | None = None,
        role: str | None = None,
        importance_min: float | None = None,
        created_after: datetime | None = None,
        created_before: datetime | None = None,
        metadata: Mapping[str, Any] | None = None,
        metadata_equals: Iterable[str] = (),
        filter: str | None = None,
        include_archived: bool = False,
        order_by: str | None = None,
        page_size: int | None = None,
        page_token: str | None = None,
        include_total: bool = False,
        as_of: datetime | None = None,
        timeout: float | None = None,
    ) -> Pages[types.ListMessagesResponse, types.Message]:
        """Lists a tenant's messages, page by page.

        Reads only. A message that is there from the first page to the last is listed exactly once, whatever is
        stored, archived or deleted meanwhile. Messages without an embedding are listed too, archived ones with
        `include_archived`, expired ones never. Nothing to list: an empty page, never an error.

        Args:
            tenant_id: Whose messages.
            conversation_id: Only messages of this conversation.
            user_id: Only messages of this end user.
            role: Only messages of this role.
            importance_min: Only messages at least this important.
            created_after: Only messages said at this moment or later.
            created_before: Only messages said before this moment.
            metadata: Only messages whose metadata holds all of this, as in SearchMemories.
            metadata_equals: The same as `key=value`: the value of that key, written as text, is the same.
            filter: Only messages that pass this filter, in the syntax of AIP-160; see docs/filters.md.
            include_archived: Lists archived messages too.
            order_by: `created_at`, oldest first, which is the default, or `created_at desc`, newest first.
            page_size: How many messages to return at most; 50 when not set.
            page_token: `next_page_token` of the page before, with everything else as it was; the first page when
                not set.
            include_total: Adds `total_size`, which takes as long as counting all that passes.
            as_of: The moment to list from: messages that were said by then, as they were before later updates; live
                when they were archived later, and shown when they have expired since.
            timeout: Seconds for the call with all its attempts; the client's own when not given.
        """
        arguments: dict[str, Any] = dict(
            tenant_id=tenant_id,
            conversation_id=conversation_id,
            user_id=user_id,
            role=role,
            importance_min=importance_min,
            created_after=created_after,
            created_before=created_before,
            metadata=metadata,
            metadata_equals=metadata_equals,
            filter=filter,
            include_archived=include_archived,
            order_by=order_by,
            page_size=page_size,
            page_token=page_token,
            include_total=include_total,
            as_of=as_of,
        )
        return self._pages(rpcs.LIST_MESSAGES, "messages", types.Message, arguments, timeout)

    def list_conversations(
        self,
        *,
        tenant_id: str | None = None,
        page_size: int | None = None,
        page_token: str | None = None,
        timeout: float | None = None,
    ) -> Pages[types.ListConversationsResponse, types.Conversation]:
        """Lists the conversations of a tenant, page by page.

        Reads only. A conversation is there as long as a message of it is stored, live or archived, and not expired.
        Pages are stable, as those of ListMessages. None: an empty page.

        Args:
            tenant_id: Whose conversations.
            page_size: How many conversations to return at most; 50 when not set.
            page_token: `next_page_token` of the page before; the first page when not set.
            timeout: Seconds for the call with all its attempts; the client's own when not given.
        """
        arguments: dict[str, Any] = dict(
            tenant_id=tenant_id,
            page_size=page_size,
            page_token=page_token,
        )
        return self._pages(rpcs.LIST_CONVERSATIONS, "conversations", types.Conversation, arguments, timeout)

    def list_users(
        self,
        *,
        tenant_id: str | None = None,
        page_size: int | None = None,
        page_token: str | None = None,
        timeout: float | None = None,
    ) -> Pages[types.ListUsersResponse, types.User]:
        """Lists the end users of a tenant, page by page.

        Reads only. A user is there as long as a message of theirs is stored, live or archived, and not expired.
        Messages that are nobody's are not counted. Pages are stable, as those of ListMessages. None: an empty page.

        Args:
            tenant_id: Whose end users.
            page_size: How many users to return at most; 50 when not set.
            page_token: `next_page_token` of the page before; the first page when not set.
            timeout: Seconds for the call with all its attempts; the client's own when not given.
        """
        arguments: dict[str, Any] = dict(
            tenant_id=tenant_id,
            page_size=page_size,
            page_token=page_token,
        )
        return self._pages(rpcs.LIST_USERS, "users", types.User, arguments, timeout)

    def delete_message(
        self,
        *,
        message_id: str,
        tenant_id: str | None = None,
        timeout: float | None = None,
    ) -> types.DeleteMessageResponse:
        """Erases one message at once, live or archived: its text, vectors, words, queued work and the memory of its
        request_id.

        Atomic, and for good: no retry of its ingest and no import brings it back. What stays is a digest of its id.
        A retry of this call finds nothing and answers NOT_FOUND, as for an id that never was: after a call whose
        answer was lost, both mean that the message is gone. To erase many, and to prove it, see ErasureService.

        Args:
            message_id: Its id.
            tenant_id: The tenant that it belongs to.
            timeout: Seconds for the call with all its attempts; the client's own when not given.
        """
        arguments: dict[str, Any] = dict(
            message_id=message_id,
            tenant_id=tenant_id,
        )
        return self._call(rpcs.DELETE_MESSAGE, arguments, timeout)

    def search_memories(
        self,
        *,
        query: str,
        tenant_id: str | None = None,
        conversation_id: str | None = None,
        top_k: int | None = None,
        importance_min: float | None = None,
        candidate_limit: int | None = None,
        as_of: datetime | None = None,
        role: str | None = None,
        created_after: datetime | None = None,
        created_before: datetime | None = None,
        metadata: Mapping[str, Any] | None = None,
        metadata_equals: Iterable[str] = (),
        include_archived: bool = False,
        ranking: str | None = None,
        explain: bool = False,
        neighbours: int | None = None,
        user_id: str | None = None,
        filter: str | None = None,
        min_score: float | None = None,
        distinct: bool = False,
        exclude_message_ids: Iterable[str] = (),
        exclude_query_text: bool = False,
        time_zone: str | None = None,
        min_relevance: float | None = None,
        language: str | None = None,
        timeout: float | None = None,
    ) -> types.SearchMemoriesResponse:
        """Ranks a tenant's memory against a query and returns the best hits.

        Reads only. The whole memory that passes the filters is ranked, unless `candidate_limit` says otherwise:
        there are never fewer than `top_k` hits while that many messages pass. Messages without an embedding are not
        ranked, archived ones only with `include_archived`. Finds nothing: `total` 0 and an empty `items`, never an
        error. Equal scores are ordered by `created_at`, newest first, then by id. An answer of more than
        MEMORY_MAX_ANSWER_BYTES, with each hit's neighbours, is refused before it is read, with RESOURCE_EXHAUSTED:
        ask for less by `top_k` or `neighbours`.

        Args:
            query: The question, in plain words.
            tenant_id: Whose memory to search.
            conversation_id: Only messages of this conversation.
            top_k: How many hits to return at most; 5 when not set.
            importance_min: Only messages at least this important.
            candidate_limit: Rank only this many of the newest messages that pass the filters; the whole memory when
                not set.
            as_of: The moment to search from: ages are counted up to it, and later messages are left out.
            role: Only messages of this role.
            created_after: Only messages said at this moment or later.
            created_before: Only messages said before this moment.
            metadata: Only messages whose metadata holds all of this: the same keys with the same values, objects
                within objects likewise.
            metadata_equals: The same for GET, as `key=value`: the value of that key, written as text, is the same.
            include_archived: Ranks archived messages too.
            ranking: `semantic`, the documented score, or `hybrid`, which also weighs words, conversations, dates
                and speakers.
            explain: Adds to every hit the terms that make its score, and to the response how it was ranked.
            neighbours: Adds to every hit this many turns before and after it in its conversation.
            user_id: Only messages of this end user.
            filter: Only messages that pass this filter, in the syntax of AIP-160; see docs/filters.md.
            min_score: Only hits with at least this score.
            distinct: Of messages with the same text only the best one.
            exclude_message_ids: Without these messages; the next best ones stand in their places.
            exclude_query_text: Without messages whose text is the query itself: what was just asked is often stored
                already.
            time_zone: Whose days "yesterday" and "in June" are: a time zone of the IANA database.
            min_relevance: Without hits whose `relevance` is less: where nothing was said of it, fewer come than
                `top_k`, or none, and no others stand in their places. 0.45 keeps nearly all that answers with the
                default model; see docs/ranking.md.
            language: The language of the query, as a tag of BCP 47: its words are stemmed as those of messages in
                that language are.
            timeout: Seconds for the call with all its attempts; the client's own when not given.
        """
        arguments: dict[str, Any] = dict(
            tenant_id=tenant_id,
            query=query,
            conversation_id=conversation_id,
            top_k=top_k,
            importance_min=importance_min,
            candidate_limit=candidate_limit,
            as_of=as_of,
            role=role,
            created_after=created_after,
            created_before=created_before,
            metadata=metadata,
            metadata_equals=metadata_equals,
            include_archived=include_archived,
            ranking=ranking,
            explain=explain,
            neighbours=neighbours,
            user_id=user_id,
            filter=filter,
            min_score=min_score,
            distinct=distinct,
            exclude_message_ids=exclude_message_ids,
            exclude_query_text=exclude_query_text,
            time_zone=time_zone,
            min_relevance=min_relevance,
            language=language,
        )
        return self._call(rpcs.SEARCH_MEMORIES, arguments, timeout)

    def build_context(
        self,
        *,
        query: str,
        tenant_id: str | None = None,
        user_id: str | None = None,
        conversation_id: str | None = None,
        max_tokens: int | None = None,
        recent_turns: int | None = None,
        filter: str | None = None,
        ranking: str | None = None,
        min_score: float | None = None,
        neighbours: int | None = None,
        as_of: datetime | None = None,
        recent_share: float | None = None,
        time_zone: str | None = None,
        language: str | None = None,
        timeout: float | None = None,
    ) -> types.BuildContextResponse:
        """Fills a token budget with what a prompt needs to know: pinned messages, the newest turns, and what a search
        finds.

        Reads only, and is deterministic. Pinned and recent messages go first, within `recent_share` of the budget;
        then memories by their relevance, where long ones must be more relevant than short ones; what does not fit
        is skipped. No text comes twice. Finds nothing: no `messages`, an empty `text`, never an error.

        Args:
            query: What the user says now, in plain words.
            tenant_id: Whose memory.
            user_id: Only messages of this end user.
            conversation_id: The conversation that goes on: its newest turns are the recent ones.
            max_tokens: How many tokens `text` may have at most; 1,000 when not set.
            recent_turns: How many of the newest turns to consider; 10 when not set.
            filter: Only messages that pass this filter, in the syntax of AIP-160; see docs/filters.md.
            ranking: `semantic` or `hybrid`.
            min_score: Memories whose score is lower are left out.
            neighbours: Adds to every memory this many turns before and after it in its conversation, as far as
                there is room.
            as_of: The moment to build it for: later messages are left out, and a message counts as it was then, as
                live when it was archived later.
            recent_share: The share of `max_tokens` that pinned and recent messages may take together; what they
                leave is for memories. 0.5 when not set.
            time_zone: Whose days "yesterday" and "in June" are: a time zone of the IANA database.
            language: The language of the query, as a tag of BCP 47: its words are stemmed as those of messages in
                that language are.
            timeout: Seconds for the call with all its attempts; the client's own when not given.
        """
        arguments: dict[str, Any] = dict(
            tenant_id=tenant_id,
            query=query,
            user_id=user_id,
            conversation_id=conversation_id,
            max_tokens=max_tokens,
            recent_turns=recent_turns,
            filter=filter,
            ranking=ranking,
            min_score=min_score,
            neighbours=neighbours,
            as_of=as_of,
            recent_share=recent_share,
            time_zone=time_zone,
            language=language,
        )
        return self._call(rpcs.BUILD_CONTEXT, arguments, timeout)

    def export(
        self,
        *,
        tenant_id: str | None = None,
        filter: str | None = None,
        after_id: str | None = None,
        include_embeddings: bool = False,
        include_policy: bool = False,
        timeout: float | None = None,
    ) -> Iterator[types.TransferRecord]:
        """Streams a tenant's messages, live and archived ones, in the order of their ids; as newline-delimited JSON
        over REST.

        The same database state and request give the same records. They are read in pages, each at a moment of its
        own: a message that is stored meanwhile comes at the end, one that is deleted before its page is read does
        not come. A client that reads slowly holds nothing up. A stream that broke goes on with `after_id`, the id
        of the last message that came. A key that is revoked ends the stream. No such tenant, or nothing that
        passes: a header and no more. Needs the key of an administrator, as it hands out everything at once.

        Args:
            tenant_id: The tenant.
            filter: Only messages that pass, in the syntax of AIP-160.
            after_id: Only messages after this one, in the order of ids: to go on.
            include_embeddings: With the vectors of the model that the tenant's searches read.
            include_policy: With the values of the tenant's policy that are its own.
            timeout: Seconds for the stream with all its attempts; as long as it takes when not given.
        """
        arguments: dict[str, Any] = dict(
            tenant_id=tenant_id,
            filter=filter,
            after_id=after_id,
            include_embeddings=include_embeddings,
            include_policy=include_policy,
        )
        return self._stream(rpcs.EXPORT, arguments, timeout)

    def import_(
        self,
        *,
        messages: Iterable[types.TransferMessage],
        tenant_id: str | None = None,
        timeout: float | None = None,
    ) -> types.ImportResponse:
        """Stores messages of an export as they were: with their ids, times, importance, pins, expiry, archive and
        revisions.

        All of a call or none; to be called again with the same messages as often as need be. A message whose id the
        tenant has already is not stored again: it is counted as `repeated`, or as `conflicting` where it says
        something else, and then stays as it is. One that was erased stays erased. Messages come with the vectors of
        the tenant's model, or are embedded afterwards.

        Args:
            messages: Messages of an export.
            tenant_id: The tenant.
            timeout: Seconds for the call with all its attempts; the client's own when not given.
        """
        arguments: dict[str, Any] = dict(
            tenant_id=tenant_id,
            messages=messages,
        )
        return self._call(rpcs.IMPORT, arguments, timeout)

    def run_retention(
        self,
        *,
        actions: Iterable[str],
        tenant_id: str | None = None,
        dry_run: bool = False,
        timeout: float | None = None,
    ) -> types.RunRetentionResponse:
        """Archives and deletes the messages of one tenant by its policy, now.

        `archive` moves messages older than `max_age_days` or less important than `importance_threshold` out of
        search, but for pinned ones; `delete` removes what was archived more than `delete_after_days` ago, and what
        has expired. Runs in small transactions: a run that is cut off has done part of its work, nothing is done
        twice or lost, and running it again does the rest. `dry_run` changes nothing and returns the counts that a
        run at that moment would. A tenant without messages: zeros.

        Args:
            actions: What to do: `archive`, `delete` or both.
            tenant_id: The tenant.
            dry_run: Count only, change nothing.
            timeout: Seconds for the call with all its attempts; the client's own when not given.
        """
        arguments: dict[str, Any] = dict(
            tenant_id=tenant_id,
            dry_run=dry_run,
            actions=actions,
        )
        return self._call(rpcs.RUN_RETENTION, arguments, timeout)

    def simulate_retention(
        self,
        *,
        tenant_id: str | None = None,
        retention: types.RetentionPolicy | None = None,
        as_of: datetime | None = None,
        sample_size: int | None = None,
        timeout: float | None = None,
    ) -> types.SimulateRetentionResponse:
        """Says what a sweep would archive and delete by a policy that need not be set, now or at another moment, by
        month and role.

        Changes nothing. Reads the messages of the tenant, all as of one moment; a server does one of these at a
        time, and others wait until their deadline, of one tenant up to 15. With the policy that holds and no
        `as_of`, the counts are those of RunRetention with `dry_run`. What is stored now counts; of an `as_of` that
        has passed as it was then: what was archived later was live, and what was updated later was pinned and
        important as its revision says. What was restored from the archive was never in it. A tenant without
        messages: zeros.

        Args:
            tenant_id: The tenant.
            retention: The policy to try.
            as_of: The moment of the sweep; now when not set.
            sample_size: How many messages to show of what would be archived, and how many of what would be deleted;
                5 when not set.
            timeout: Seconds for the call with all its attempts; the client's own when not given.
        """
        arguments: dict[str, Any] = dict(
            tenant_id=tenant_id,
            retention=retention,
            as_of=as_of,
            sample_size=sample_size,
        )
        return self._call(rpcs.SIMULATE_RETENTION, arguments, timeout)

    def restore_archived(
        self,
        *,
        tenant_id: str | None = None,
        filter: str | None = None,
        user_id: str | None = None,
        conversation_id: str | None = None,
        archived_since: datetime | None = None,
        dry_run: bool = False,
        timeout: float | None = None,
    ) -> types.RestoreArchivedResponse:
        """Takes messages back from the archive: they are searched and listed again.

        Runs in small transactions: a run that is cut off has restored a part, and running it again restores the
        rest. What is live already is left as it is, so that a retry does nothing twice. What is archived while it
        runs stays archived. Where other work holds the tenant or a message up for five seconds it gives up with
        UNAVAILABLE, and has restored whole transactions. `would_archive_again` says how many of them the next sweep
        would take away again. Nothing to restore: zeros.

        Args:
            tenant_id: The tenant.
            filter: Messages that pass this filter, in the syntax of AIP-160; see docs/filters.md.
            user_id: Messages of this end user.
            conversation_id: Messages of this conversation.
            archived_since: Messages archived then or later: with the time of a sweep, what that sweep archived.
            dry_run: Count only, change nothing.
            timeout: Seconds for the call with all its attempts; the client's own when not given.
        """
        arguments: dict[str, Any] = dict(
            tenant_id=tenant_id,
            filter=filter,
            user_id=user_id,
            conversation_id=conversation_id,
            archived_since=archived_since,
            dry_run=dry_run,
        )
        return self._call(rpcs.RESTORE_ARCHIVED, arguments, timeout)

    def get_statistics(
        self,
        *,
        tenant_id: str | None = None,
        timeout: float | None = None,
    ) -> types.TenantStatistics:
        """Says what is stored of one tenant.

        Reads only. Counts stop at a bound, so that the call takes about as long in a tenant of a million messages
        as in the largest. A tenant without messages: zeros.

        Args:
            tenant_id: The tenant.
            timeout: Seconds for the call with all its attempts; the client's own when not given.
        """
        arguments: dict[str, Any] = dict(
            tenant_id=tenant_id,
        )
        return self._call(rpcs.GET_STATISTICS, arguments, timeout)

    def get_health(
        self,
        *,
        timeout: float | None = None,
    ) -> types.GetHealthResponse:
        """Says whether the service works. Needs no key.

        Answers OK with `status` `degraded` while the database is down or takes no writes, so that the body can
        always be read; use the standard gRPC health service for probes.

        Args:
            timeout: Seconds for the call with all its attempts; the client's own when not given.
        """
        arguments: dict[str, Any] = dict(
        )
        return self._call(rpcs.GET_HEALTH, arguments, timeout)

    def list_events(
        self,
        *,
        tenant_id: str | None = None,
        actor: str | None = None,
        action: str | None = None,
        happened_after: datetime | None = None,
        happened_before: datetime | None = None,
        page_size: int | None = None,
        page_token: str | None = None,
        timeout: float | None = None,
    ) -> Pages[types.ListEventsResponse, types.AuditEvent]:
        """Lists events, the newest first.

        Recorded are all calls that need the role admin or erase something, whatever came of them; calls that were
        refused for want of a key or of its rights, at a bounded rate; and that a key or a token was used, once an
        hour at most. Never content. Paging is stable: events that come meanwhile are not on later pages. Nothing
        found: an empty list. A key that does not reach every tenant must name one, and sees that tenant's events.

        Args:
            tenant_id: Only this tenant's.
            actor: Only what this actor did, as `actor` of an event shows it.
            action: Only this action, as `action` of an event shows it.
            happened_after: Only what happened then or later.
            happened_before: Only what happened before then.
            page_size: How many events to return at most; 100 when not set.
            page_token: `next_page_token` of the page before; the first page when not set.
            timeout: Seconds for the call with all its attempts; the client's own when not given.
        """
        arguments: dict[str, Any] = dict(
            tenant_id=tenant_id,
            actor=actor,
            action=action,
            happened_after=happened_after,
            happened_before=happened_before,
            page_size=page_size,
            page_token=page_token,
        )
        return self._pages(rpcs.LIST_EVENTS, "events", types.AuditEvent, arguments, timeout)

    def retry_failed_embeddings(
        self,
        *,
        tenant_id: str | None = None,
        timeout: float | None = None,
    ) -> types.RetryFailedEmbeddingsResponse:
        """Tries again to embed messages that are marked `failed`: they become `pending` and are queued.

        Idempotent. Nothing is marked failed: zero.

        Args:
            tenant_id: The tenant.
            timeout: Seconds for the call with all its attempts; the client's own when not given.
        """
        arguments: dict[str, Any] = dict(
            tenant_id=tenant_id,
        )
        return self._call(rpcs.RETRY_FAILED_EMBEDDINGS, arguments, timeout)

    def start_reembedding(
        self,
        *,
        tenant_id: str | None = None,
        model: str | None = None,
        keep_old: bool = False,
        timeout: float | None = None,
    ) -> types.Reembedding:
        """Starts to embed a tenant, or all, with another model, beside the vectors that searches go on reading.

        The server's settings name two models: the current one, and the next one (MEMORY_EMBEDDING_NEXT_…). The
        vectors are made in the background by a server that holds the new model; messages that arrive meanwhile are
        embedded with both. Nothing changes for searches before CutOverReembedding. Idempotent: while one with the
        same tenant and model is running or ready, that one is returned. FAILED_PRECONDITION when another one is
        open, since there is one at a time, and when the server knows no next model. A tenant without messages is
        ready at once.

        Args:
            tenant_id: The tenant; every tenant when it is not set.
            model: Which of the server's two models: `next`, or `current` to go back to it.
            keep_old: Keep the old vectors after the cut-over: going back then needs little embedding.
            timeout: Seconds for the call with all its attempts; the client's own when not given.
        """
        arguments: dict[str, Any] = dict(
            tenant_id=tenant_id,
            model=model,
            keep_old=keep_old,
        )
        return self._call(rpcs.START_REEMBEDDING, arguments, timeout)

    def get_reembedding(
        self,
        *,
        reembedding_id: int | None = None,
        timeout: float | None = None,
    ) -> types.Reembedding:
        """Returns a re-embedding and how far it is: the newest one, unless an id is given.

        NOT_FOUND when there has been none, or none of that id.

        Args:
            reembedding_id: Its id; the newest one when it is not set.
            timeout: Seconds for the call with all its attempts; the client's own when not given.
        """
        arguments: dict[str, Any] = dict(
            reembedding_id=reembedding_id,
        )
        return self._call(rpcs.GET_REEMBEDDING, arguments, timeout)

    def compare_reembedding(
        self,
        *,
        reembedding_id: int,
        sample: int | None = None,
        queries: Iterable[str] = (),
        details: bool = False,
        timeout: float | None = None,
    ) -> types.ReembeddingComparison:
        """Says how the first ten hits of some queries would change, before anything does.

        The queries are the caller's, or some messages of users that are stored, the same ones each time; each is
        ranked by its tenant's policy over the vectors of either model, as of one moment. Changes nothing and keeps
        nothing. A call that runs out of time returns what it has compared: `compared` is then less than `asked`.
        FAILED_PRECONDITION unless the re-embedding is `ready`, or done with its old vectors kept.

        Args:
            reembedding_id: The re-embedding.
            sample: How many stored messages of users to take as queries. 50 when it is not set.
            queries: Queries to take instead; for a re-embedding of one tenant.
            details: Return each query's hits too.
            timeout: Seconds for the call with all its attempts; the client's own when not given.
        """
        arguments: dict[str, Any] = dict(
            reembedding_id=reembedding_id,
            sample=sample,
            queries=queries,
            details=details,
        )
        return self._call(rpcs.COMPARE_REEMBEDDING, arguments, timeout)

    def cut_over_reembedding(
        self,
        *,
        reembedding_id: int,
        timeout: float | None = None,
    ) -> types.Reembedding:
        """Lets searches read the new vectors, in one transaction for the tenant, or for all.

        Every server follows at once: a search reads one model's vectors only, the old before and the new after.
        Ingest waits for a moment. Afterwards the old vectors are removed in the background, unless they are to be
        kept. Idempotent. FAILED_PRECONDITION before the re-embedding is `ready` and after it was cancelled;
        UNAVAILABLE, with nothing changed, when messages arrive faster than they are embedded.

        Args:
            reembedding_id: Its id.
            timeout: Seconds for the call with all its attempts; the client's own when not given.
        """
        arguments: dict[str, Any] = dict(
            reembedding_id=reembedding_id,
        )
        return self._call(rpcs.CUT_OVER_REEMBEDDING, arguments, timeout)

    def cancel_reembedding(
        self,
        *,
        reembedding_id: int,
        timeout: float | None = None,
    ) -> types.Reembedding:
        """Ends a re-embedding before its cut-over. Searches never noticed it.

        The vectors that were made stay, and another start goes on from them; the next cut-over removes what nobody
        uses. Idempotent. FAILED_PRECONDITION after the cut-over: to go back, re-embed with the model used before.

        Args:
            reembedding_id: Its id.
            timeout: Seconds for the call with all its attempts; the client's own when not given.
        """
        arguments: dict[str, Any] = dict(
            reembedding_id=reembedding_id,
        )
        return self._call(rpcs.CANCEL_REEMBEDDING, arguments, timeout)

    def plan_erasure(
        self,
        *,
        tenant_id: str | None = None,
        filter: str | None = None,
        user_id: str | None = None,
        conversation_id: str | None = None,
        whole_tenant: bool = False,
        sample_size: int | None = None,
        timeout: float | None = None,
    ) -> types.PlanErasureResponse:
        """Plans an erasure: which messages there are, live and archived, how many rows of each table go with them, and
        a sample.

        Changes nothing that can be searched. The ids are kept for an hour, for ApplyErasure to erase exactly those.
        Give one of `filter`, `user_id`, `conversation_id` and `whole_tenant`; a filter that everything passes is
        refused. Not idempotent: each call is a plan of its own. Nothing to erase is a plan of 0 messages.

        Args:
            tenant_id: The tenant.
            filter: Messages that pass this filter, in the syntax of AIP-160; see docs/filters.md.
            user_id: All messages of this end user.
            conversation_id: All messages of this conversation.
            whole_tenant: Everything: all messages, the tenant's policy, its own model, graphs and words.
            sample_size: How many of the messages to show; 10 when it is not set.
            timeout: Seconds for the call with all its attempts; the client's own when not given.
        """
        arguments: dict[str, Any] = dict(
            tenant_id=tenant_id,
            filter=filter,
            user_id=user_id,
            conversation_id=conversation_id,
            whole_tenant=whole_tenant,
            sample_size=sample_size,
        )
        return self._call(rpcs.PLAN_ERASURE, arguments, timeout)

    def apply_erasure(
        self,
        *,
        erasure_id: str,
        tenant_id: str | None = None,
        timeout: float | None = None,
    ) -> types.Erasure:
        """Begins to erase what was planned, in the background and in batches, and returns at once.

        A server that dies leaves the rest to another. Idempotent: an erasure that was begun is returned as it is.
        FAILED_PRECONDITION when the plan is older than an hour, NOT_FOUND when it is not there, or not any more.

        Args:
            erasure_id: The id that PlanErasure gave.
            tenant_id: The tenant.
            timeout: Seconds for the call with all its attempts; the client's own when not given.
        """
        arguments: dict[str, Any] = dict(
            tenant_id=tenant_id,
            erasure_id=erasure_id,
        )
        return self._call(rpcs.APPLY_ERASURE, arguments, timeout)

    def get_erasure(
        self,
        *,
        erasure_id: str,
        tenant_id: str | None = None,
        timeout: float | None = None,
    ) -> types.Erasure:
        """Returns an erasure and how far it is.

        Args:
            erasure_id: Its id.
            tenant_id: The tenant.
            timeout: Seconds for the call with all its attempts; the client's own when not given.
        """
        arguments: dict[str, Any] = dict(
            tenant_id=tenant_id,
            erasure_id=erasure_id,
        )
        return self._call(rpcs.GET_ERASURE, arguments, timeout)

    def get_erasure_receipt(
        self,
        *,
        erasure_id: str,
        tenant_id: str | None = None,
        timeout: float | None = None,
    ) -> types.ErasureReceipt:
        """Returns what can be kept of an erasure that is done: what was erased, when and by which key. It names no
        message and nobody.

        FAILED_PRECONDITION until the erasure is done.

        Args:
            erasure_id: Its id.
            tenant_id: The tenant.
            timeout: Seconds for the call with all its attempts; the client's own when not given.
        """
        arguments: dict[str, Any] = dict(
            tenant_id=tenant_id,
            erasure_id=erasure_id,
        )
        return self._call(rpcs.GET_ERASURE_RECEIPT, arguments, timeout)

    def verify_erasure(
        self,
        *,
        erasure_id: str,
        tenant_id: str | None = None,
        timeout: float | None = None,
    ) -> types.VerifyErasureResponse:
        """Looks for what an erasure erased, in every table that could hold something of it.

        Reads every row that the tenant has, and compares digests of their ids with those that the erasure left.
        Says besides what it cannot look into. FAILED_PRECONDITION before the erasure has erased everything.

        Args:
            erasure_id: Its id.
            tenant_id: The tenant.
            timeout: Seconds for the call with all its attempts; the client's own when not given.
        """
        arguments: dict[str, Any] = dict(
            tenant_id=tenant_id,
            erasure_id=erasure_id,
        )
        return self._call(rpcs.VERIFY_ERASURE, arguments, timeout)

    def list_graphs(
        self,
        *,
        tenant_id: str | None = None,
        timeout: float | None = None,
    ) -> types.ListGraphsResponse:
        """Lists the graphs of large tenants: those that have outgrown MEMORY_GRAPH_THRESHOLD messages are not scanned
        by a search but looked up in a graph of their own.

        Graphs are built and dropped in the background; while one is being built its tenant is scanned. No such
        tenant, or none at all: an empty list. A key that does not reach every tenant must name one.

        Args:
            tenant_id: Only this tenant's.
            timeout: Seconds for the call with all its attempts; the client's own when not given.
        """
        arguments: dict[str, Any] = dict(
            tenant_id=tenant_id,
        )
        return self._call(rpcs.LIST_GRAPHS, arguments, timeout)

    def create_api_key(
        self,
        *,
        label: str,
        role: str,
        tenant_ids: Iterable[str] = (),
        all_tenants: bool = False,
        expires_at: datetime | None = None,
        rate_limit: int = 0,
        timeout: float | None = None,
    ) -> types.CreateApiKeyResponse:
        """Makes a key and returns it, this once.

        Give `tenant_ids` or `all_tenants`. As soon as a deployment has a key every call needs one, on all its
        servers within 5 seconds: the first key of a deployment without MEMORY_API_KEYS must be an admin key for all
        tenants, so that nobody is locked out. Not idempotent: a retry makes another key; revoke the one that was
        not received.

        Args:
            label: What the key is for.
            role: `reader` (get and search), `writer` (also ingest) or `admin` (also everything under `/v1/admin`).
            tenant_ids: The tenants that the key reaches.
            all_tenants: The key reaches every tenant, those to come included.
            expires_at: When the key ends by itself: a moment to come.
            rate_limit: Calls a minute that the key may make, from wherever; past it they get RESOURCE_EXHAUSTED
                with the reason KEY_RATE_LIMITED.
            timeout: Seconds for the call with all its attempts; the client's own when not given.
        """
        arguments: dict[str, Any] = dict(
            label=label,
            role=role,
            tenant_ids=tenant_ids,
            all_tenants=all_tenants,
            expires_at=expires_at,
            rate_limit=rate_limit,
        )
        return self._call(rpcs.CREATE_API_KEY, arguments, timeout)

    def list_api_keys(
        self,
        *,
        page_size: int | None = None,
        page_token: str | None = None,
        timeout: float | None = None,
    ) -> Pages[types.ListApiKeysResponse, types.ApiKey]:
        """Lists the keys that were made, without the keys themselves.

        Revoked and expired keys stay in the list. Those of MEMORY_API_KEYS are not in it. No keys: an empty list.

        Args:
            page_size: How many keys to return at most; 100 when not set.
            page_token: `next_page_token` of the page before; the first page when not set.
            timeout: Seconds for the call with all its attempts; the client's own when not given.
        """
        arguments: dict[str, Any] = dict(
            page_size=page_size,
            page_token=page_token,
        )
        return self._pages(rpcs.LIST_API_KEYS, "api_keys", types.ApiKey, arguments, timeout)

    def revoke_api_key(
        self,
        *,
        key_id: str,
        timeout: float | None = None,
    ) -> types.ApiKey:
        """Revokes a key for good.

        Holds on every server within 5 seconds, for open streams too. Idempotent: revoking again changes nothing and
        returns the same `revoked_at`. NOT_FOUND when there is no such key. A key may revoke itself.

        Args:
            key_id: The `id` of the key.
            timeout: Seconds for the call with all its attempts; the client's own when not given.
        """
        arguments: dict[str, Any] = dict(
            key_id=key_id,
        )
        return self._call(rpcs.REVOKE_API_KEY, arguments, timeout)

    def get_tenant_policy(
        self,
        *,
        tenant_id: str | None = None,
        timeout: float | None = None,
    ) -> types.TenantPolicy:
        """Returns the policy that holds for a tenant: its own values, and the deployment's where it has none.

        Never NOT_FOUND: a tenant without a policy of its own has the deployment's.

        Args:
            tenant_id: The tenant.
            timeout: Seconds for the call with all its attempts; the client's own when not given.
        """
        arguments: dict[str, Any] = dict(
            tenant_id=tenant_id,
        )
        return self._call(rpcs.GET_TENANT_POLICY, arguments, timeout)

    def set_tenant_policy(
        self,
        *,
        tenant_id: str | None = None,
        retention: types.RetentionPolicy | None = None,
        importance_weights: types.ImportanceWeights | None = None,
        score_weights: types.ScoreWeights | None = None,
        hybrid_weights: types.HybridWeights | None = None,
        ranking: str | None = None,
        time_zone: str | None = None,
        language: str | None = None,
        quota: types.StorageQuota | None = None,
        timeout: float | None = None,
    ) -> types.TenantPolicy:
        """Replaces the tenant's own policy; values that are not set fall back to the deployment's.

        Idempotent. Holds for messages ingested, searched and swept from now on: the importance of stored messages
        stays. An empty body removes the tenant's policy. Other servers follow within 10 seconds. INVALID_ARGUMENT
        when the weights of importance, or those of the score, would all be 0, the deployment's included: they tell
        no message from another. A quota is changed by a key for all tenants only: PERMISSION_DENIED when another
        sends one that is not the tenant's.

        Args:
            tenant_id: The tenant.
            retention: When messages are archived and deleted.
            importance_weights: How importance is computed at ingest.
            score_weights: How the score is computed in a search.
            hybrid_weights: How relevance is computed in a hybrid search.
            ranking: The ranking of searches that name none.
            time_zone: Whose days the dates of queries are that name no time zone: a time zone of the IANA database.
            language: The language of messages and queries that name none, as a tag of BCP 47.
            quota: How much the tenant may store.
            timeout: Seconds for the call with all its attempts; the client's own when not given.
        """
        arguments: dict[str, Any] = dict(
            tenant_id=tenant_id,
            retention=retention,
            importance_weights=importance_weights,
            score_weights=score_weights,
            hybrid_weights=hybrid_weights,
            ranking=ranking,
            time_zone=time_zone,
            language=language,
            quota=quota,
        )
        return self._call(rpcs.SET_TENANT_POLICY, arguments, timeout)
