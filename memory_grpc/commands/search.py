"""``memory-grpc search``: hits in a table, with the parts of each score and, on request, its terms and its turns."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rich.table import Table
from rich.text import Text

from memory_grpc.client import PermissionDenied
from memory_grpc.commands import output
from memory_grpc.commands.client import Client, client
from memory_grpc.commands.configuration import Target
from memory_grpc.commands.failure import OK
from memory_layer.v1 import memory_service_pb2 as pb
from memory_layer.v1 import policy_service_pb2

_CONTENT_CHARS = 160
_TURN_CHARS = 100


@dataclass(frozen=True, slots=True)
class Query:
    """What to look for; None leaves a field to the service's default."""

    text: str
    tenant_id: str
    user_id: str | None = None
    conversation_id: str | None = None
    role: str | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    metadata_equals: tuple[str, ...] = ()
    filter: str | None = None
    importance_min: float | None = None
    include_archived: bool = False
    candidate_limit: int | None = None
    as_of: datetime | None = None
    time_zone: str | None = None
    language: str | None = None
    ranking: str | None = None
    top_k: int | None = None
    neighbours: int | None = None
    explain: bool = False
    min_score: float | None = None
    min_relevance: float | None = None
    distinct: bool = False
    exclude_message_ids: tuple[str, ...] = ()
    exclude_query_text: bool = False

    def request(self) -> pb.SearchMemoriesRequest:
        """As the contract has it."""
        return pb.SearchMemoriesRequest(
            tenant_id=self.tenant_id,
            query=self.text,
            user_id=self.user_id,
            conversation_id=self.conversation_id,
            role=self.role,
            metadata_equals=self.metadata_equals,
            filter=self.filter,
            created_after=output.timestamp(self.created_after),
            created_before=output.timestamp(self.created_before),
            as_of=output.timestamp(self.as_of),
            importance_min=self.importance_min,
            include_archived=self.include_archived,
            candidate_limit=self.candidate_limit,
            time_zone=self.time_zone,
            language=self.language,
            ranking=self.ranking,
            top_k=self.top_k,
            neighbours=self.neighbours,
            explain=self.explain,
            min_score=self.min_score,
            min_relevance=self.min_relevance,
            distinct=self.distinct,
            exclude_message_ids=self.exclude_message_ids,
            exclude_query_text=self.exclude_query_text,
        )


def search(query: Query, target: Target, *, as_json: bool) -> int:
    """Searches and prints; finding nothing is no failure."""
    with client(target) as service:
        found = service.memory("SearchMemories", query.request())
        if as_json:
            output.write_json(output.as_dict(found))
            return OK
        policy = _policy(service, query.tenant_id)
    if found.items:
        output.console().print(_table(query, found.items, policy))
    else:
        print(f"Nothing found in the memory of {query.tenant_id}.")
    if found.pending:
        print(f"{found.pending:,} more may match: they are stored and not yet embedded.")
    if found.HasField("explanation"):
        output.console().print(Text(_explanation(found.explanation)))
    return OK


def _policy(service: Client, tenant_id: str) -> Any | None:
    """The tenant's policy; None to a key that may search and no more."""
    try:
        return service.policy("GetTenantPolicy", policy_service_pb2.GetTenantPolicyRequest(tenant_id=tenant_id))
    except PermissionDenied:
        return None


def _caption(query: Query, policy: Any | None) -> str:
    if policy is None:
        return "score: similarity, importance and decay as the tenant's policy weighs them; --explain shows the terms"
    weights = policy.score_weights
    relevance = "relevance" if (query.ranking or policy.ranking) == "hybrid" else "similarity"
    return f"score = {weights.similarity:g}·{relevance} + {weights.importance:g}·importance + {weights.decay:g}·decay"


def _table(query: Query, items: Any, policy: Any | None) -> Table:
    moment = f" as of {query.as_of.isoformat()}" if query.as_of else ""
    table = Table(
        title=Text(f"“{output.shortened(query.text, 80)}” in {query.tenant_id}{moment}"),
        caption=Text(_caption(query, policy)),
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
    """Who, when and where above what was said: a line of its own for each part, however narrow the terminal."""
    dia_id = hit.metadata.fields["dia_id"].string_value if "dia_id" in hit.metadata.fields else ""
    archived = f"archived {output.moment(hit.archived_at)}" if hit.HasField("archived_at") else ""
    where = (hit.name or hit.role, output.moment(hit.created_at), hit.conversation_id, dia_id, archived)
    heading = " · ".join(output.shortened(part, 40) for part in where if part)
    lines: list[tuple[str, str]] = [(_turn(turn), "dim") for turn in hit.neighbours.before]
    lines += [(heading, "bold"), (output.shortened(hit.content, _CONTENT_CHARS), "")]
    if hit.explanation.terms:
        lines.append((_terms(hit), "italic"))
    lines += [(_turn(turn), "dim") for turn in hit.neighbours.after]
    return Text("\n").join(Text(text, style) for text, style in lines)


def _turn(turn: Any) -> str:
    return f"  {output.shortened(turn.name or turn.role, 40)}: {output.shortened(turn.content, _TURN_CHARS)}"


def _terms(hit: Any) -> str:
    """The sum that the score is: name, weight and value of each term."""
    return "score = " + " + ".join(f"{term.name} {term.weight:.4g}·{term.value:.4f}" for term in hit.explanation.terms)


def _explanation(explanation: Any) -> str:
    scored = "every one scored" if explanation.exact else "the pool of a graph scored"
    weights = ", ".join(f"{weight.name} {weight.weight:g}" for weight in explanation.weights)
    return (
        f"{explanation.ranking} ranking of {output.counted(explanation.candidates, 'candidate')}, {scored}; "
        f"weights: {weights}; model {explanation.model}; as of {explanation.as_of.ToJsonString()}"
    )
