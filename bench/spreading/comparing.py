"""What is asked of both databases. The answers have to be the same bytes, but for when a message was changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

from scaling import synthetic
from tqdm import tqdm

from memory_layer.v1 import context_pb2
from memory_layer.v1 import listing_pb2 as listing
from memory_layer.v1 import memory_service_pb2 as pb
from tests.scale.same_answers import serialized

RANKINGS = ("semantic", "hybrid")
LAST_WEEK = (synthetic.NOW - timedelta(days=7)).isoformat()
FILTERS = (
    'role = "user"',
    f'metadata.source = "web" AND created_at >= "{LAST_WEEK}"',
    'user_id = "user-7" OR importance > 0.8',
    'metadata.rating > 900 AND NOT name = "Ann"',
)


def requests(tenants: Sequence[str], questions: int) -> Iterator[tuple[str, str, Any]]:
    """Kind, method and request: of each tenant so many questions, by both rankings, with and without filters; contexts
    and lists."""
    for seed, tenant in enumerate(tenants):
        for number, question in enumerate(synthetic.questions(questions, seed)):
            where = FILTERS[number % len(FILTERS)]
            for ranking in RANKINGS:
                found = pb.SearchMemoriesRequest(
                    tenant_id=tenant, query=question.text, ranking=ranking, top_k=20, explain=True
                )
                found.as_of.FromDatetime(synthetic.NOW)
                yield f"searches, {ranking}", "SearchMemories", found
                narrow = pb.SearchMemoriesRequest(filter=where)
                narrow.MergeFrom(found)
                yield "searches with a filter", "SearchMemories", narrow
            context = context_pb2.BuildContextRequest(tenant_id=tenant, query=question.text, max_tokens=1000)
            context.as_of.FromDatetime(synthetic.NOW)
            yield "contexts", "BuildContext", context
            page = listing.ListMessagesRequest(tenant_id=tenant, filter=where, page_size=50)
            yield "lists", "ListMessages", page
        yield "lists", "ListConversations", listing.ListConversationsRequest(tenant_id=tenant)
        yield "lists", "ListUsers", listing.ListUsersRequest(tenant_id=tenant)


async def compared(
    stubs: Sequence[Any], tenants: Sequence[str], questions: int, desc: str
) -> tuple[Counter[str], Counter[str]]:
    """By kind, how many answers were compared, and how many of them differed."""
    asked, differing = Counter[str](), Counter[str]()
    for kind, method, request in tqdm(list(requests(tenants, questions)), desc=desc, mininterval=10):
        one, other = [serialized([await getattr(stub, method)(request, timeout=120)]) for stub in stubs]
        asked[kind] += 1
        differing[kind] += one != other
    return asked, differing
