"""memory_layer.v1.MemoryService."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial
from typing import Any, TypeAlias
from uuid import UUID

import grpc

from memory_grpc import access, headers
from memory_grpc.domain import language
from memory_grpc.domain.messages import Ingested, NewMessage
from memory_grpc.errors import FieldViolation, InvalidInput
from memory_grpc.offload import by_size
from memory_grpc.operations.models.registry import Slot
from memory_grpc.paging import PageRequest
from memory_grpc.services import convert, convert_context, convert_listing, convert_revisions
from memory_grpc.services.answers import made, told
from memory_grpc.services.convert_page import page_request
from memory_layer.v1 import context_pb2, listing_pb2, message_pb2, revision_pb2
from memory_layer.v1 import memory_service_pb2 as pb
from memory_layer.v1 import memory_service_pb2_grpc as pb_grpc

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"


class MemoryService(pb_grpc.MemoryServiceServicer):
    """Each method: request to values, one operation, values to response."""

    def __init__(self, slot: Slot) -> None:
        self._slot = slot

    async def IngestMessage(self, request: pb.IngestMessageRequest, context: Context) -> message_pb2.Message:
        """Stores one message."""
        try:
            (ingested,) = await self._slot.operations.ingest([convert.new_message(request)])
        except InvalidInput as error:
            raise _unindexed(error) from error
        if ingested.repeated:
            # The message itself says nothing of the call: it is the same whoever asks for it, and how often.
            headers.give("x-repeated", "true")
        return convert.stored_message(ingested.message)

    async def BatchIngestMessages(
        self, request: pb.BatchIngestMessagesRequest, context: Context
    ) -> pb.BatchIngestMessagesResponse:
        """Stores many messages, all or none."""
        size = request.ByteSize()
        messages = await by_size(size, _batch, request)
        stored = await self._slot.operations.ingest(messages)
        return await made(size, _stored, stored)

    async def StreamIngest(
        self, requests: AsyncIterator[pb.StreamIngestRequest], context: Context
    ) -> AsyncIterator[pb.StreamIngestResponse]:
        """Stores messages as they come."""
        async for ack in self._slot.operations.stream_ingest(_streamed(requests)):
            yield pb.StreamIngestResponse(
                sequence=ack.sequence,
                message_id=str(ack.message_id),
                embedding_status=ack.embedding_status,
                importance_score=ack.importance,
                is_repeated=ack.repeated,
            )

    async def GetMessage(self, request: pb.GetMessageRequest, context: Context) -> message_pb2.Message:
        """Returns one message."""
        tenant_id = convert.optional(request, "tenant_id", None)
        as_of = convert.moment(request, "as_of")
        found = await self._slot.operations.get(UUID(request.message_id), tenant_id, access.current(), as_of)
        return convert.stored_message(found)

    async def UpdateMessage(self, request: revision_pb2.UpdateMessageRequest, context: Context) -> message_pb2.Message:
        """Changes a message."""
        updated = await self._slot.operations.update(convert_revisions.message_update(request))
        return convert.stored_message(updated)

    async def ListRevisions(
        self, request: revision_pb2.ListRevisionsRequest, context: Context
    ) -> revision_pb2.ListRevisionsResponse:
        """Lists what a message was."""
        message_id = UUID(request.message_id)
        page = await self._slot.operations.revisions(message_id, request.tenant_id, _page(request))
        return await made(told(row.message for row in page.rows), convert_revisions.revisions, page)

    async def ListMessages(
        self, request: listing_pb2.ListMessagesRequest, context: Context
    ) -> listing_pb2.ListMessagesResponse:
        """Lists messages."""
        wanted = convert_listing.message_list(request)
        page, total = await self._slot.operations.listing.messages(wanted, _page(request))
        return await made(told(page.rows), convert_listing.messages, page, total)

    async def ListConversations(
        self, request: listing_pb2.ListConversationsRequest, context: Context
    ) -> listing_pb2.ListConversationsResponse:
        """Lists conversations."""
        page = await self._slot.operations.listing.conversations(request.tenant_id, _page(request))
        return convert_listing.conversations(page)

    async def ListUsers(self, request: listing_pb2.ListUsersRequest, context: Context) -> listing_pb2.ListUsersResponse:
        """Lists end users."""
        page = await self._slot.operations.listing.users(request.tenant_id, _page(request))
        return convert_listing.users(page)

    async def DeleteMessage(self, request: pb.DeleteMessageRequest, context: Context) -> pb.DeleteMessageResponse:
        """Erases one message."""
        message_id = UUID(request.message_id)
        await self._slot.operations.delete(message_id, request.tenant_id)
        return pb.DeleteMessageResponse(message_id=str(message_id))

    async def SearchMemories(self, request: pb.SearchMemoriesRequest, context: Context) -> pb.SearchMemoriesResponse:
        """Ranks a tenant's memory."""
        result = await self._slot.operations.search(convert.search_request(request))
        return await made(told(result.messages), partial(convert.search_response, explain=request.explain), result)

    async def BuildContext(
        self, request: context_pb2.BuildContextRequest, context: Context
    ) -> context_pb2.BuildContextResponse:
        """Fills a budget of tokens."""
        built = await self._slot.operations.build_context(convert_context.request(request))
        return await made(told(part.message for part in built.parts), convert_context.response, built)


async def _streamed(requests: AsyncIterator[pb.StreamIngestRequest]) -> AsyncIterator[NewMessage]:
    """The messages of a stream; a broken one is named by its place."""
    place = 0
    try:
        async for request in requests:
            yield convert.new_message(request.message)
            place += 1
    except InvalidInput as error:
        raise InvalidInput(
            [
                FieldViolation(
                    f"messages[{place}].{v.field.removeprefix('message').lstrip('.')}".rstrip("."), v.description
                )
                for v in error.violations
            ]
        ) from error


def _page(request: Any) -> PageRequest:
    return page_request(request, convert_listing.DEFAULT_PAGE_SIZE)


def _batch(request: pb.BatchIngestMessagesRequest) -> list[NewMessage]:
    """The messages of a batch. Raises InvalidInput for more tenants than one, for a request_id that comes twice and for
    two ends of one message: what the fields' own limits cannot say."""
    violations = []
    seen: dict[str, int] = {}
    for index, message in enumerate(request.messages):
        if message.tenant_id != request.messages[0].tenant_id:
            violations.append(FieldViolation(f"messages[{index}].tenant_id", "must be the same as that of messages[0]"))
        if message.HasField("expires_at") and message.HasField("ttl_seconds"):
            violations.append(FieldViolation(f"messages[{index}].ttl_seconds", convert.EITHER_EXPIRY))
        if message.HasField("language") and not language.is_tag(message.language):
            violations.append(FieldViolation(f"messages[{index}].language", language.WANTED))
        if message.HasField("request_id"):
            first = seen.setdefault(message.request_id.lower(), index)
            if first != index:
                fault = f"is the same as that of messages[{first}]"
                violations.append(FieldViolation(f"messages[{index}].request_id", fault))
    if violations:
        raise InvalidInput(violations)
    return [convert.new_message(message) for message in request.messages]


def _stored(ingested: list[Ingested]) -> pb.BatchIngestMessagesResponse:
    response = pb.BatchIngestMessagesResponse()
    for index, one in enumerate(ingested):
        response.messages.append(convert.stored_message(one.message))  # all at once nobody else would get a turn
        if one.repeated:
            response.repeated_indexes.append(index)
    return response


def _unindexed(error: InvalidInput) -> InvalidInput:
    """``messages[0].created_at`` → ``created_at``, where the caller sent one message and no list."""
    return InvalidInput([FieldViolation(v.field.removeprefix("messages[0]."), v.description) for v in error.violations])
