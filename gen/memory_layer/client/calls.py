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
        """Stores what was said, by the user unless `role` says otherwise. The same as `ingest_message`.

        Args:
            content: The text.
            conversation_id: Which conversation of the tenant.
            tenant_id: Which product or customer the message belongs to.
            role: Who speaks: `user`, `assistant` or `system`.
            metadata: Any fields of the caller's own; returned as they were sent.
            importance_override: The caller's own rating of the message's importance; counts as 0 when not set.
            name: The speaker's name; questions that name a speaker find that speaker's messages.
            created_at: When the message was said, for back-fills; the server's time when not set.
            request_id: The caller's own id for this request: a UUID, as in AIP-155.
            embed_later: Store and answer immediately, with `embedding_status` `pending`, and embed afterwards.
            user_id: The end user whose memory this belongs to, compared byte for byte.
            keep_request_id: Remember `request_id` for as long as the message is kept, instead of 24 hours.
            pinned: Never archived by retention.
            expires_at: From this moment on, nothing shows the message, and the next sweep erases it.
            ttl_seconds: The same as a number of seconds from ingest, whatever `created_at` says.
            on_duplicate: What to do with a duplicate: the same words by the same role, in the same conversation,
                for the same user, at most `duplicate_window_seconds` earlier.
            duplicate_window_seconds: How many seconds apart two messages may be and still count as duplicates, up
                to a year; an hour when not set.
            language: The language of the text, as a BCP 47 tag.
            timeout: Seconds for the call, including all its attempts; the client's default when not given.
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
        """Returns the messages that best match a question, best first: the `items` of `search_memories`.

        Args:
            query: The question, in plain words.
            tenant_id: Whose memory to search.
            conversation_id: Only messages of this conversation.
            top_k: How many hits to return at most; 5 when not set.
            importance_min: Only messages at least this important.
            candidate_limit: Rank only this many of the newest messages that pass the filters; all of them when not
                set.
            as_of: The moment to search from: ages are counted up to it, and later messages are left out.
            role: Only messages of this role.
            created_after: Only messages said at this moment or later.
            created_before: Only messages said before this moment.
            metadata: Only messages whose metadata contains all of this: the same keys with the same values, at
                every level.
            metadata_equals: The same for GET, as `key=value`: the value of that key, written as text, must be
                equal.
            include_archived: Rank archived messages too.
            ranking: `semantic`, which weighs similarity, importance and age, or `hybrid`, which also weighs words,
                conversations, dates and speakers.
            explain: Add to every hit the terms of its score, and to the response how it was ranked.
            neighbours: Add to every hit this many turns before and after it in its conversation.
            user_id: Only messages of this end user.
            filter: Only messages that pass this filter, in the syntax of AIP-160; see docs/filters.md.
            min_score: Only hits with at least this score, so there may be fewer than `top_k`, or none.
            distinct: Of messages with the same text, return only the best one.
            exclude_message_ids: Leave out these messages; the next best take their places.
            exclude_query_text: Leave out messages whose text is the query itself: what was just asked is often
                stored already.
            time_zone: The time zone, by its IANA name, in which "yesterday" and "in June" are understood.
            min_relevance: Leave out hits whose `relevance` is lower; no others take their places.
            language: The language of the query, as a BCP 47 tag: its words are stemmed like those of messages in
                that language.
            timeout: Seconds for the call, including all its attempts; the client's default when not given.
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
        """Returns what a prompt needs within a token budget, as messages and as `text`. The same as `build_context`.

        Args:
            query: What the user says now, in plain words.
            tenant_id: Whose memory.
            user_id: Only messages of this end user.
            conversation_id: The current conversation: its newest turns are the recent ones.
            max_tokens: The most tokens that `text` may have; 1,000 when not set.
            recent_turns: How many of the newest turns to consider; 10 when not set.
            filter: Only messages that pass this filter, in the syntax of AIP-160; see docs/filters.md.
            ranking: `semantic` or `hybrid`.
            min_score: Memories with a lower score are left out.
            neighbours: Add to every memory this many turns before and after it in its conversation, as far as there
                is room.
            as_of: The moment to build the context for: later messages are left out, and a message counts as it was
                then, as live if it was archived later.
            recent_share: The share of `max_tokens` that pinned and recent messages may take together; the rest is
                for memories. 0.5 when not set.
            time_zone: The time zone, by its IANA name, in which "yesterday" and "in June" are understood.
            language: The language of the query, as a BCP 47 tag: its words are stemmed like those of messages in
                that language.
            timeout: Seconds for the call, including all its attempts; the client's default when not given.
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
        message is committed. When the embedding model is down, or has too much work queued for this tenant, the
        message is stored anyway, with `embedding_status` `pending`; it becomes searchable once it is embedded. A
        retry with the same `request_id` and body stores nothing, returns the stored message, and sets the header
        `x-repeated: true`. With a different body it fails with ALREADY_EXISTS; if the message has since been
        deleted, with NOT_FOUND. A retry without a `request_id` stores a second message.

        Args:
            conversation_id: Which conversation of the tenant.
            role: Who speaks: `user`, `assistant` or `system`.
            content: The text.
            tenant_id: Which product or customer the message belongs to.
            metadata: Any fields of the caller's own; returned as they were sent.
            importance_override: The caller's own rating of the message's importance; counts as 0 when not set.
            name: The speaker's name; questions that name a speaker find that speaker's messages.
            created_at: When the message was said, for back-fills; the server's time when not set.
            request_id: The caller's own id for this request: a UUID, as in AIP-155.
            embed_later: Store and answer immediately, with `embedding_status` `pending`, and embed afterwards.
            user_id: The end user whose memory this belongs to, compared byte for byte.
            keep_request_id: Remember `request_id` for as long as the message is kept, instead of 24 hours.
            pinned: Never archived by retention.
            expires_at: From this moment on, nothing shows the message, and the next sweep erases it.
            ttl_seconds: The same as a number of seconds from ingest, whatever `created_at` says.
            on_duplicate: What to do with a duplicate: the same words by the same role, in the same conversation,
                for the same user, at most `duplicate_window_seconds` earlier.
            duplicate_window_seconds: How many seconds apart two messages may be and still count as duplicates, up
                to a year; an hour when not set.
            language: The language of the text, as a BCP 47 tag.
            timeout: Seconds for the call, including all its attempts; the client's default when not given.
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

        All or nothing: one invalid message causes the whole batch to be refused, and the error names the first
        invalid fields by the index of their message. A batch that the embedding model cannot embed in time is
        stored as `pending`. Results are in the order of the request. Counts as one call against the rate limit. A
        retry with the same request ids stores only what is not stored yet.

        Args:
            messages: The messages, all of one tenant.
            timeout: Seconds for the call, including all its attempts; the client's default when not given.
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
        """Stores messages as they arrive, and acknowledges each one once it is committed. For imports; gRPC only.

        Messages are embedded and stored in batches; one stream may carry messages of several tenants.
        Acknowledgements come in the order of the messages. A server that falls behind stops reading: the client is
        slowed down and nothing is dropped. The stream counts as one call against the rate limit, and has no
        deadline but the client's. The first message that cannot be stored ends the stream, after everything before
        it has been stored and acknowledged: INVALID_ARGUMENT for an invalid message, PERMISSION_DENIED for a tenant
        that the key has no access to, UNAUTHENTICATED once the key has been revoked, RESOURCE_EXHAUSTED when the
        tenant's quota is used up. To resume a broken stream, open another and send whatever was not acknowledged,
        with the same request ids: nothing is stored twice.

        Args:
            messages: What to send.
            timeout: Seconds for the stream, including all its attempts; no limit when not given.
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
        """Returns one message by its id, live or archived; with `as_of`, as it was at that moment.

        NOT_FOUND when the message does not exist, is not in `tenant_id`, or is in a tenant that the key cannot
        read. The three answers are the same, even when `tenant_id` names a tenant that the key cannot read.

        Args:
            message_id: The id that IngestMessage returned.
            tenant_id: Return the message only if it belongs to this tenant; when not set, to any tenant that the
                key can read.
            as_of: The moment to show the message at: as it was before later updates, as live if it was archived
                later, and even if it has expired since.
            timeout: Seconds for the call, including all its attempts; the client's default when not given.
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
        """Changes a message, live or archived.

        Atomic: the message, its embedding and its word index change together or not at all. The previous state is
        kept as a revision, which a search with an earlier `as_of` finds and shows. When the embedding model is
        down, new content is stored anyway, with `embedding_status` `pending`. An update that changes nothing makes
        no revision and returns the message. NOT_FOUND when there is no such message in `tenant_id`. ABORTED when
        the message has changed since `etag`. A retry with the same `request_id` and body changes nothing; with a
        different body it fails with ALREADY_EXISTS. A retry without a `request_id` may overwrite what others wrote
        in the meantime: send the `etag` too. RESOURCE_EXHAUSTED when the tenant's quota has no room for the new
        state in addition to the previous one.

        Args:
            message_id: The message.
            tenant_id: The tenant that the message belongs to.
            update_mask: Which of the fields below to change.
            content: The new text; it is embedded like the text of a new message.
            metadata: The new metadata, which replaces all of the old.
            name: The speaker's name.
            user_id: The end user whose memory it belongs to.
            importance_override: The caller's own rating of its importance.
            pinned: Never archived by retention.
            expires_at: The moment from which nothing shows the message; must be in the future.
            etag: The `etag` of the message as the caller last saw it.
            request_id: The caller's own id for this request, as at ingest: the same id and body, sent again,
                changes nothing and returns the message as it is by then.
            embed_later: Answer immediately and embed the new text afterwards, as at ingest.
            timeout: Seconds for the call, including all its attempts; the client's default when not given.
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
        """Lists the previous states of a message, the most recent first.

        Reads only. NOT_FOUND when there is no such message in `tenant_id`; an empty list when the message was never
        updated.

        Args:
            message_id: The message.
            tenant_id: The tenant that the message belongs to.
            page_size: How many revisions to return at most; 50 when not set.
            page_token: `next_page_token` of the previous page; the first page when not set.
            timeout: Seconds for the call, including all its attempts; the client's default when not given.
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

        Reads only. A message that exists from the first page to the last is listed exactly once, whatever is
        stored, archived or deleted in the meantime. Messages without an embedding are listed too; archived ones
        only with `include_archived`; expired ones never. When there is nothing to list, the page is empty; that is
        never an error.

        Args:
            tenant_id: Whose messages.
            conversation_id: Only messages of this conversation.
            user_id: Only messages of this end user.
            role: Only messages of this role.
            importance_min: Only messages at least this important.
            created_after: Only messages said at this moment or later.
            created_before: Only messages said before this moment.
            metadata: Only messages whose metadata contains all of this, as in SearchMemories.
            metadata_equals: The same as `key=value`: the value of that key, written as text, must be equal.
            filter: Only messages that pass this filter, in the syntax of AIP-160; see docs/filters.md.
            include_archived: List archived messages too.
            order_by: `created_at`, oldest first, the default; or `created_at desc`, newest first.
            page_size: How many messages to return at most; 50 when not set.
            page_token: `next_page_token` of the previous page, with all other fields unchanged; the first page when
                not set.
            include_total: Add `total_size`, which takes as long as counting everything that passes.
            as_of: The moment to list as of: messages said by then, as they were before later updates, as live if
                they were archived later, and even if they have expired since.
            timeout: Seconds for the call, including all its attempts; the client's default when not given.
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

        Reads only. A conversation is listed as long as it has a stored message, live or archived, that has not
        expired. Pages are stable, like those of ListMessages. An empty page when there is none.

        Args:
            tenant_id: Whose conversations.
            page_size: How many conversations to return at most; 50 when not set.
            page_token: `next_page_token` of the previous page; the first page when not set.
            timeout: Seconds for the call, including all its attempts; the client's default when not given.
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

        Reads only. A user is listed as long as they have a stored message, live or archived, that has not expired.
        Messages without a user are not counted. Pages are stable, like those of ListMessages. An empty page when
        there is none.

        Args:
            tenant_id: Whose end users.
            page_size: How many users to return at most; 50 when not set.
            page_token: `next_page_token` of the previous page; the first page when not set.
            timeout: Seconds for the call, including all its attempts; the client's default when not given.
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
        """Erases one message immediately, live or archived: its text, vectors, words, queued work and the record of
        its request_id.

        Atomic and permanent: no retry of its ingest and no import brings it back. Only a digest of its id remains.
        A retry answers NOT_FOUND, as it does for an id that never existed: after a lost answer, both mean that the
        message is gone. To erase many messages, and to prove it, see ErasureService.

        Args:
            message_id: Its id.
            tenant_id: The tenant that the message belongs to.
            timeout: Seconds for the call, including all its attempts; the client's default when not given.
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
        """Ranks a tenant's memory against a query, and returns the best hits.

        Reads only. Everything that passes the filters is ranked, unless `candidate_limit` is set: there are `top_k`
        hits as long as that many messages pass. Messages without an embedding are not ranked; archived ones only
        with `include_archived`. When nothing is found, `total` is 0 and `items` is empty; that is never an error.
        Equal scores are ordered by `created_at`, newest first, then by id. An answer larger than
        MEMORY_MAX_ANSWER_BYTES, each hit's neighbours included, fails with RESOURCE_EXHAUSTED before it is read:
        lower `top_k` or `neighbours`.

        Args:
            query: The question, in plain words.
            tenant_id: Whose memory to search.
            conversation_id: Only messages of this conversation.
            top_k: How many hits to return at most; 5 when not set.
            importance_min: Only messages at least this important.
            candidate_limit: Rank only this many of the newest messages that pass the filters; all of them when not
                set.
            as_of: The moment to search from: ages are counted up to it, and later messages are left out.
            role: Only messages of this role.
            created_after: Only messages said at this moment or later.
            created_before: Only messages said before this moment.
            metadata: Only messages whose metadata contains all of this: the same keys with the same values, at
                every level.
            metadata_equals: The same for GET, as `key=value`: the value of that key, written as text, must be
                equal.
            include_archived: Rank archived messages too.
            ranking: `semantic`, which weighs similarity, importance and age, or `hybrid`, which also weighs words,
                conversations, dates and speakers.
            explain: Add to every hit the terms of its score, and to the response how it was ranked.
            neighbours: Add to every hit this many turns before and after it in its conversation.
            user_id: Only messages of this end user.
            filter: Only messages that pass this filter, in the syntax of AIP-160; see docs/filters.md.
            min_score: Only hits with at least this score, so there may be fewer than `top_k`, or none.
            distinct: Of messages with the same text, return only the best one.
            exclude_message_ids: Leave out these messages; the next best take their places.
            exclude_query_text: Leave out messages whose text is the query itself: what was just asked is often
                stored already.
            time_zone: The time zone, by its IANA name, in which "yesterday" and "in June" are understood.
            min_relevance: Leave out hits whose `relevance` is lower; no others take their places.
            language: The language of the query, as a BCP 47 tag: its words are stemmed like those of messages in
                that language.
            timeout: Seconds for the call, including all its attempts; the client's default when not given.
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
        """Fills a token budget with what a prompt needs: pinned messages, the newest turns, and what a search finds.

        Reads only, and is deterministic. Pinned and recent messages come first, within `recent_share` of the
        budget; then memories by relevance, where a long one must be more relevant than a short one. What does not
        fit is skipped. No text appears twice. When nothing is found, `messages` and `text` are empty; that is never
        an error.

        Args:
            query: What the user says now, in plain words.
            tenant_id: Whose memory.
            user_id: Only messages of this end user.
            conversation_id: The current conversation: its newest turns are the recent ones.
            max_tokens: The most tokens that `text` may have; 1,000 when not set.
            recent_turns: How many of the newest turns to consider; 10 when not set.
            filter: Only messages that pass this filter, in the syntax of AIP-160; see docs/filters.md.
            ranking: `semantic` or `hybrid`.
            min_score: Memories with a lower score are left out.
            neighbours: Add to every memory this many turns before and after it in its conversation, as far as there
                is room.
            as_of: The moment to build the context for: later messages are left out, and a message counts as it was
                then, as live if it was archived later.
            recent_share: The share of `max_tokens` that pinned and recent messages may take together; the rest is
                for memories. 0.5 when not set.
            time_zone: The time zone, by its IANA name, in which "yesterday" and "in June" are understood.
            language: The language of the query, as a BCP 47 tag: its words are stemmed like those of messages in
                that language.
            timeout: Seconds for the call, including all its attempts; the client's default when not given.
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
        after_revision: int | None = None,
        before_revision: int | None = None,
        timeout: float | None = None,
    ) -> Iterator[types.TransferRecord]:
        """Streams a tenant's messages, live and archived, in the order of their ids; over REST as newline-delimited
        JSON.

        The same request on the same database state returns the same records. They are read in pages, each at its
        own moment: a message stored during the export comes at the end, and one deleted before its page is read
        does not come at all. A slow client blocks nothing. A record has at most 2 MiB, or one message or revision
        where that is longer: the revisions of a message that do not fit come in records of their own, directly
        after it. To resume a broken stream, set `after_id` to the id of the last message received; if
        `more_revisions` is set in the last record, set `after_revision` and `before_revision` too. Revoking the key
        ends the stream. When there is no such tenant, or nothing passes the filter, only a header is returned.
        Needs an admin key, because it hands out everything at once.

        Args:
            tenant_id: The tenant.
            filter: Only messages that pass this filter, in the syntax of AIP-160.
            after_id: Only messages after this one, in the order of ids, to resume.
            include_embeddings: Include the vectors of the model that the tenant's searches use.
            include_policy: Include the tenant's own policy values.
            after_revision: To resume within the history of the message `after_id`: first come its revisions after
                this one.
            before_revision: Those before this one: the message's `revision` when it was received, which later
                records repeat as `message_revision`.
            timeout: Seconds for the stream, including all its attempts; no limit when not given.
        """
        arguments: dict[str, Any] = dict(
            tenant_id=tenant_id,
            filter=filter,
            after_id=after_id,
            include_embeddings=include_embeddings,
            include_policy=include_policy,
            after_revision=after_revision,
            before_revision=before_revision,
        )
        return self._stream(rpcs.EXPORT, arguments, timeout)

    def import_(
        self,
        *,
        tenant_id: str | None = None,
        messages: Iterable[types.TransferMessage] = (),
        revisions: Iterable[types.TransferRevisions] = (),
        timeout: float | None = None,
    ) -> types.ImportResponse:
        """Stores messages of an export unchanged: with their ids, times, importance, pins, expiry, archive and
        revisions.

        All messages and revisions of a call are stored, or none. A call may be repeated any number of times: a
        message whose id the tenant already has is not stored again, but reported as repeated, or, if it differs, as
        conflicting; the stored one stays unchanged, but for revisions of a repeated one that the tenant does not
        have yet: they are added like further ones. An erased message stays erased. Messages come with the vectors
        of the tenant's model, or are embedded afterwards.

        Further revisions (`revisions`) are added to messages that the tenant has, or that the same call stores.
        Those that it has already, with the same number and times, are left as they are. A record is ignored as a
        whole, and reported, if the tenant does not have its message (because it was erased, for example) or if it
        does not belong to the history that is stored: the stored message is an earlier state than the one exported,
        a revision of the same number has other times, or the times overlap with those of the revision stored before
        or after. So nothing is added to the history of a message that was updated here before all of its own had
        come. A record that contradicts itself, by its numbers or its times, is INVALID_ARGUMENT.

        Args:
            tenant_id: The tenant.
            messages: Messages of an export.
            revisions: Further revisions of these messages, or of messages that earlier calls have stored; in the
                order of the export.
            timeout: Seconds for the call, including all its attempts; the client's default when not given.
        """
        arguments: dict[str, Any] = dict(
            tenant_id=tenant_id,
            messages=messages,
            revisions=revisions,
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
        """Archives and deletes one tenant's messages by its policy, now.

        `archive` takes messages older than `max_age_days` or less important than `importance_threshold` out of
        search, except pinned ones; `delete` removes what was archived more than `delete_after_days` ago, and what
        has expired. Runs in small transactions: an interrupted run has done part of its work, and running it again
        does the rest; nothing is lost or done twice. `dry_run` changes nothing, and returns the counts of a run at
        that moment. For a tenant without messages, all counts are 0.

        Args:
            actions: What to do: `archive`, `delete` or both.
            tenant_id: The tenant.
            dry_run: Only count; change nothing.
            timeout: Seconds for the call, including all its attempts; the client's default when not given.
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
        """Returns what a sweep would archive and delete, by month and role, under a policy that need not be in force,
        now or at another moment.

        Changes nothing. Reads all of the tenant's messages as of one moment. A server runs one simulation at a
        time; others wait until their deadline, at most 15 for each tenant. With the policy in force and no `as_of`,
        the counts are those of RunRetention with `dry_run`. Counts what is stored now; for a past `as_of`, as it
        was then: what was archived later counts as live, and what was updated later has the importance and the pin
        of its revision. What was restored from the archive counts as never archived. For a tenant without messages,
        all counts are 0.

        Args:
            tenant_id: The tenant.
            retention: The policy to simulate.
            as_of: The moment of the sweep; now when not set.
            sample_size: How many messages to show of those that would be archived, and of those that would be
                deleted; 5 when not set.
            timeout: Seconds for the call, including all its attempts; the client's default when not given.
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
        """Restores messages from the archive, so that they are searched and listed again.

        Runs in small transactions: an interrupted run has restored a part, and running it again restores the rest.
        Live messages are left alone, so a retry does nothing twice. What is archived during the run stays archived.
        When other work blocks the tenant or a message for five seconds, the call ends with UNAVAILABLE;
        transactions committed by then stay. `would_archive_again` is the number of restored messages that the next
        sweep would archive again. When there is nothing to restore, all counts are 0.

        Args:
            tenant_id: The tenant.
            filter: Messages that pass this filter, in the syntax of AIP-160; see docs/filters.md.
            user_id: Messages of this end user.
            conversation_id: Messages of this conversation.
            archived_since: Messages archived at this moment or later: give the time of a sweep to restore what it
                archived.
            dry_run: Only count; change nothing.
            timeout: Seconds for the call, including all its attempts; the client's default when not given.
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
        """Returns what is stored for one tenant.

        Reads only. Counts stop at a bound, so the call takes about as long for a tenant with a million messages as
        for the largest. For a tenant without messages, all counts are 0.

        Args:
            tenant_id: The tenant.
            timeout: Seconds for the call, including all its attempts; the client's default when not given.
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

        Answers OK even while the database is down or accepts no writes, with `status` `degraded`, so that the body
        can always be read. For probes, use the standard gRPC health service.

        Args:
            timeout: Seconds for the call, including all its attempts; the client's default when not given.
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

        The audit trail records every call that needs the role admin or erases something, whatever its outcome;
        calls refused for a missing key or missing rights, at a bounded rate; and the use of a key or token, at most
        once an hour. It never contains content. Paging is stable: events that happen in the meantime do not appear
        on later pages. When nothing is found, the list is empty. A key without access to all tenants must name a
        tenant, and sees only its events.

        Args:
            tenant_id: Only events of this tenant.
            actor: Only events of this actor, as shown in `actor` of an event.
            action: Only events with this action, as shown in `action` of an event.
            happened_after: Only events at this moment or later.
            happened_before: Only events before this moment.
            page_size: How many events to return at most; 100 when not set.
            page_token: `next_page_token` of the previous page; the first page when not set.
            timeout: Seconds for the call, including all its attempts; the client's default when not given.
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
        """Tries again to embed messages that are marked `failed`: they become `pending`, and are queued.

        Idempotent. When nothing is marked failed, `queued` is 0.

        Args:
            tenant_id: The tenant.
            timeout: Seconds for the call, including all its attempts; the client's default when not given.
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
        """Starts to embed a tenant, or all tenants, with another model, while searches keep reading the present
        vectors.

        The server's settings name two models: the current one, and the next one (MEMORY_EMBEDDING_NEXT_…). The
        vectors are made in the background by a server that has the new model; messages that arrive in the meantime
        are embedded with both. Nothing changes for searches before CutOverReembedding. Idempotent: while a
        re-embedding with the same tenant and model is running or ready, it is returned. FAILED_PRECONDITION when
        another one is open, since there is only one at a time, and when the server has no next model. A tenant
        without messages is ready immediately.

        Args:
            tenant_id: The tenant; every tenant when not set.
            model: Which of the server's two models: `next`, or `current` to go back to it.
            keep_old: Keep the old vectors after the cut-over, so that going back needs little embedding.
            timeout: Seconds for the call, including all its attempts; the client's default when not given.
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
        """Returns a re-embedding and its progress: the newest one, unless an id is given.

        NOT_FOUND when there has been none, or none with that id.

        Args:
            reembedding_id: Its id; the newest one when not set.
            timeout: Seconds for the call, including all its attempts; the client's default when not given.
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
        """Returns how the first ten hits of some queries would change, before anything changes.

        The queries are the caller's own, or a sample of stored messages of users, the same each time. Each is
        ranked by its tenant's policy with the vectors of either model, as of one moment. Changes nothing and stores
        nothing. A call that runs out of time returns what it has compared so far: `compared` is then less than
        `asked`. NOT_FOUND when there is no such re-embedding, FAILED_PRECONDITION unless it is `ready`, or is done
        and has kept the old vectors.

        Args:
            reembedding_id: The re-embedding.
            sample: How many stored messages of users to use as queries; 50 when not set.
            queries: Queries to use instead; only for a re-embedding of one tenant.
            details: Return each query's hits too.
            timeout: Seconds for the call, including all its attempts; the client's default when not given.
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
        """Switches searches to the new vectors, in one transaction for the tenant, or for all.

        Every server follows immediately: each search reads the vectors of one model only, the old before and the
        new after. Ingest waits for a moment. Afterwards, the old vectors are removed in the background, unless
        `keep_old` was set. Idempotent. NOT_FOUND when there is no such re-embedding; FAILED_PRECONDITION before it
        is `ready` and after it was cancelled; UNAVAILABLE, with nothing changed, when messages arrive faster than
        they can be embedded.

        Args:
            reembedding_id: Its id.
            timeout: Seconds for the call, including all its attempts; the client's default when not given.
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
        """Ends a re-embedding before its cut-over. Searches are not affected.

        The vectors made so far stay, and the next start continues from them; the next cut-over removes what is not
        used. Idempotent. NOT_FOUND when there is no such re-embedding, FAILED_PRECONDITION after the cut-over: to
        go back, re-embed with the previous model.

        Args:
            reembedding_id: Its id.
            timeout: Seconds for the call, including all its attempts; the client's default when not given.
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
        """Plans an erasure: finds the messages, live and archived, counts the rows of each table that go with them,
        and shows a sample.

        Erases nothing. The ids are kept for an hour, so that ApplyErasure erases exactly those messages. Give
        exactly one of `filter`, `user_id`, `conversation_id` and `whole_tenant`; a filter that everything passes is
        refused. Not idempotent: each call makes a new plan. When there is nothing to erase, the plan has 0
        messages. A call that runs out of time may leave a plan whose id nobody knows; it ends after an hour.

        Args:
            tenant_id: The tenant.
            filter: Messages that pass this filter, in the syntax of AIP-160; see docs/filters.md.
            user_id: All messages of this end user.
            conversation_id: All messages of this conversation.
            whole_tenant: Everything: all messages, the tenant's policy, its own model, graphs and words.
            sample_size: How many of the messages to show; 10 when not set.
            timeout: Seconds for the call, including all its attempts; the client's default when not given.
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
        """Starts to erase what was planned, in the background and in batches, and returns immediately.

        If the server dies, another one continues. Idempotent: an erasure that has already started is returned as it
        is. FAILED_PRECONDITION when the plan is older than an hour; NOT_FOUND when it does not exist, or no longer
        exists.

        Args:
            erasure_id: The id that PlanErasure gave.
            tenant_id: The tenant.
            timeout: Seconds for the call, including all its attempts; the client's default when not given.
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
        """Returns an erasure and its progress. NOT_FOUND when there is no such erasure in `tenant_id`.

        Args:
            erasure_id: Its id.
            tenant_id: The tenant.
            timeout: Seconds for the call, including all its attempts; the client's default when not given.
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
        """Returns a record of a finished erasure that may be kept: what was erased, when, and by which key. It names
        no message and no person.

        NOT_FOUND when there is no such erasure in `tenant_id`, FAILED_PRECONDITION until it is done.

        Args:
            erasure_id: Its id.
            tenant_id: The tenant.
            timeout: Seconds for the call, including all its attempts; the client's default when not given.
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
        """Searches every table that could still hold something of what was erased.

        Reads every row of the tenant, and compares digests of their ids with those that the erasure kept. Also
        lists what it cannot check. NOT_FOUND when there is no such erasure in `tenant_id`, FAILED_PRECONDITION
        until everything has been erased. A retry searches again.

        Args:
            erasure_id: Its id.
            tenant_id: The tenant.
            timeout: Seconds for the call, including all its attempts; the client's default when not given.
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
        """Lists the graphs of large tenants. A search does not scan a tenant with more than MEMORY_GRAPH_THRESHOLD
        messages, but uses a graph of its own for it.

        Graphs are built and dropped in the background; while one is being built, its tenant is scanned. The list is
        empty when there is no such tenant, or no graph. A key without access to all tenants must name a tenant.

        Args:
            tenant_id: Only the graphs of this tenant.
            timeout: Seconds for the call, including all its attempts; the client's default when not given.
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
        """Creates a key and returns it, this once.

        Give `tenant_ids` or `all_tenants`. As soon as a deployment has a key, every call needs one, on all servers
        within 5 seconds. The first key of a deployment without MEMORY_API_KEYS must therefore be an admin key for
        all tenants, so that nobody is locked out. Not idempotent: a retry creates another key; revoke the one that
        was not received.

        Args:
            label: What the key is for.
            role: `reader` (gets and searches), `writer` (also stores, updates and deletes) or `admin` (also
                everything under `/v1/admin`).
            tenant_ids: The tenants that the key has access to.
            all_tenants: The key has access to every tenant, including future ones.
            expires_at: When the key expires; must be in the future.
            rate_limit: Calls per minute that are allowed with the key, from all addresses together; more fail with
                RESOURCE_EXHAUSTED and the reason KEY_RATE_LIMITED.
            timeout: Seconds for the call, including all its attempts; the client's default when not given.
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
        """Lists the created keys, without the keys themselves.

        Revoked and expired keys stay in the list; those of MEMORY_API_KEYS are not in it. The list is empty when
        there are no keys.

        Args:
            page_size: How many keys to return at most; 100 when not set.
            page_token: `next_page_token` of the previous page; the first page when not set.
            timeout: Seconds for the call, including all its attempts; the client's default when not given.
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
        """Revokes a key permanently.

        Takes effect on every server within 5 seconds, for open streams too. Idempotent: revoking again changes
        nothing and returns the same `revoked_at`. NOT_FOUND when there is no such key. A key may revoke itself.

        Args:
            key_id: The `id` of the key.
            timeout: Seconds for the call, including all its attempts; the client's default when not given.
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
        """Returns the policy in force for a tenant: its own values, and the deployment's for the rest.

        Never NOT_FOUND: a tenant without a policy of its own has the deployment's.

        Args:
            tenant_id: The tenant.
            timeout: Seconds for the call, including all its attempts; the client's default when not given.
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

        Idempotent. Applies to messages ingested, searched and swept from now on: the importance of stored messages
        does not change. An empty body removes the tenant's policy. Other servers follow within 10 seconds.
        INVALID_ARGUMENT when, together with the deployment's values, all weights of importance or all weights of
        the score would be 0, since messages could then not be told apart. Only a key for all tenants can change a
        quota: PERMISSION_DENIED when another key sends a different one.

        Args:
            tenant_id: The tenant.
            retention: When messages are archived and deleted.
            importance_weights: How importance is computed at ingest.
            score_weights: How the score is computed in a search.
            hybrid_weights: How relevance is computed in a hybrid search.
            ranking: The ranking of searches that do not name one.
            time_zone: The time zone, by its IANA name, of dates in queries that do not name one.
            language: The language of messages and queries that do not name one, as a BCP 47 tag.
            quota: How much the tenant may store.
            timeout: Seconds for the call, including all its attempts; the client's default when not given.
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
