"""How many messages of a tenant have no embedding yet, and so are not found: asked by a search for next to nothing."""

from __future__ import annotations

from memory_layer.v1 import memory_service_pb2 as pb

# The contract counts no further.
MOST = 10_000
FAILED = "embedding_status = failed"


def request(tenant_id: str, filter_: str = "") -> pb.SearchMemoriesRequest:
    """The search whose ``pending`` is that number, of the messages that pass the filter; MOST stands for more."""
    return pb.SearchMemoriesRequest(
        tenant_id=tenant_id, query="anything", top_k=1, ranking="semantic", filter=filter_ or None
    )
