"""``memory-grpc search``: hits in a table, with the parts of each score."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from rich.table import Table
from rich.text import Text

from memory_grpc.commands import output
from memory_grpc.commands.client import client
from memory_grpc.commands.configuration import Target
from memory_grpc.commands.failure import OK
from memory_layer.v1 import admin_service_pb2
from memory_layer.v1 import memory_service_pb2 as pb

_CONTENT_CHARS = 160


@dataclass(frozen=True, slots=True)
class Query:
    """What to look for; None leaves a field to the service's default."""

    text: str
    tenant_id: str
    conversation_id: str | None = None
    top_k: int | None = None
    importance_min: float | None = None
    candidate_limit: int | None = None
    as_of: datetime | None = None

    def request(self) -> pb.SearchMemoriesRequest:
        """As the contract has it."""
        request = pb.SearchMemoriesRequest(
            tenant_id=self.tenant_id,
            query=self.text,
            conversation_id=self.conversation_id,
            top_k=self.top_k,
            importance_min=self.importance_min,
            candidate_limit=self.candidate_limit,
        )
        if self.as_of is not None:
            request.as_of.FromDatetime(self.as_of.astimezone(UTC))
        return request


def search(query: Query, target: Target, *, as_json: bool) -> int:
    """Searches and prints; finding nothing is no failure."""
    with client(target) as service:
        found = service.memory("SearchMemories", query.request())
        if as_json:
            output.write_json(output.as_dict(found))
            return OK
        policy = service.admin("GetTenantPolicy", admin_service_pb2.GetTenantPolicyRequest(tenant_id=query.tenant_id))
    if not found.items:
        print(f"Nothing found in the memory of {query.tenant_id}.")
        return OK
    output.console().print(_table(query, found.items, policy.score_weights))
    return OK


def _table(query: Query, items: Any, weights: Any) -> Table:
    moment = f" as of {query.as_of.isoformat()}" if query.as_of else ""
    table = Table(
        title=Text(f"“{output.shortened(query.text, 80)}” in {query.tenant_id}{moment}"),
        caption=Text(
            f"score = {weights.similarity:g}·similarity + {weights.importance:g}·importance + {weights.decay:g}·decay"
        ),
        title_justify="left",
        caption_justify="left",
    )
    table.add_column("#", justify="right")
    for name in ("score", "similarity", "importance", "decay"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("message")
    for rank, hit in enumerate(items, start=1):
        parts = (hit.score, hit.similarity, hit.importance, hit.decay)
        table.add_row(str(rank), *(f"{value:.4f}" for value in parts), _message(hit))
    return table


def _message(hit: Any) -> Text:
    """Who, when and where above what was said: a line of its own for the text, however narrow the terminal."""
    dia_id = hit.metadata.fields["dia_id"].string_value if "dia_id" in hit.metadata.fields else ""
    where = (hit.name or hit.role, output.moment(hit.created_at), hit.conversation_id, dia_id)
    heading = " · ".join(output.shortened(part, 40) for part in where if part)
    return Text.assemble((heading, "bold"), "\n", output.shortened(hit.content, _CONTENT_CHARS))
