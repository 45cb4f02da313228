"""Lists of messages, conversations and users: protobuf to domain values and back."""

from __future__ import annotations

from memory_grpc.domain.listing import Conversation, MessageList, User
from memory_grpc.domain.messages import StoredMessage
from memory_grpc.domain.search import SearchFilters
from memory_grpc.paging import Page
from memory_grpc.services import convert, convert_filter
from memory_layer.v1 import listing_pb2 as pb

DEFAULT_PAGE_SIZE = 50


def message_list(request: pb.ListMessagesRequest) -> MessageList:
    """What a valid request asks for. Raises InvalidInput for a filter that cannot be read."""
    filters = SearchFilters(
        where=convert_filter.where(request),
        include_archived=request.include_archived,
        as_of=convert.moment(request, "as_of"),
    )
    newest_first = request.order_by == "created_at desc"
    return MessageList(request.tenant_id, filters, newest_first=newest_first, has_total=request.include_total)


def messages(page: Page[StoredMessage], total: int | None) -> pb.ListMessagesResponse:
    """A page of messages as the contract shows it."""
    return pb.ListMessagesResponse(
        messages=map(convert.stored_message, page.rows), next_page_token=page.next_token, total_size=total
    )


def conversations(page: Page[Conversation]) -> pb.ListConversationsResponse:
    """A page of conversations as the contract shows it."""
    return pb.ListConversationsResponse(conversations=map(_conversation, page.rows), next_page_token=page.next_token)


def users(page: Page[User]) -> pb.ListUsersResponse:
    """A page of users as the contract shows it."""
    return pb.ListUsersResponse(users=map(_user, page.rows), next_page_token=page.next_token)


def _conversation(found: Conversation) -> pb.Conversation:
    return pb.Conversation(
        conversation_id=found.conversation_id,
        first_message_at=convert.timestamp(found.first_message_at),
        last_message_at=convert.timestamp(found.last_message_at),
        message_count=found.message_count,
        archived_count=found.archived_count,
        user_count=found.user_count,
        user_ids=found.user_ids,
    )


def _user(found: User) -> pb.User:
    return pb.User(
        user_id=found.user_id,
        first_message_at=convert.timestamp(found.first_message_at),
        last_message_at=convert.timestamp(found.last_message_at),
        message_count=found.message_count,
        archived_count=found.archived_count,
    )
