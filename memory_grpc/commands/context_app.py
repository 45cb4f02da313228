"""The options of ``memory-grpc context``."""

from __future__ import annotations

from typing import Annotated

import typer

from memory_grpc.commands import options
from memory_grpc.commands.options import Address, ApiKey, AsJson, Timeout, target

Tenant = Annotated[str, typer.Option("--tenant", "-t", metavar="TENANT", help="Whose memory to use.")]
Conversation = Annotated[
    str | None, typer.Option(metavar="ID", help="The current conversation: its newest turns are the recent ones.")
]
MaxTokens = Annotated[int | None, typer.Option(min=1, help="Most tokens in the context. [default: 1000]")]
RecentTurns = Annotated[int | None, typer.Option(min=0, help="Newest turns to consider. [default: 10]")]
RecentShare = Annotated[
    float | None,
    typer.Option(min=0, max=1, help="Share of the tokens for pinned and recent messages. [default: 0.5]"),
]
MinScore = Annotated[float | None, typer.Option(help="Leave out memories with a lower score.")]
Neighbours = Annotated[int | None, typer.Option(metavar="N", help="Add N turns before and after each memory.")]
Explain = Annotated[bool, typer.Option("--explain", help="Show why each message is there instead of the text.")]


def context(
    query: options.QueryText,
    tenant: Tenant,
    user: options.User = None,
    conversation: Conversation = None,
    max_tokens: MaxTokens = None,
    recent_turns: RecentTurns = None,
    recent_share: RecentShare = None,
    filter_: options.Filter = None,
    ranking: options.SearchRanking = None,
    min_score: MinScore = None,
    neighbours: Neighbours = None,
    as_of: options.AsOf = None,
    time_zone: options.TimeZone = None,
    language: options.Language = None,
    explain: Explain = False,
    address: Address = None,
    api_key: ApiKey = None,
    timeout: Timeout = 30.0,
    as_json: AsJson = False,
) -> None:
    """Print what a prompt needs to know of a memory, within a budget of tokens.

    Example: `memory-grpc context "What does she research?" --tenant conv-26 --max-tokens 500`
    """
    from memory_grpc.commands import context, output
    from memory_layer.v1.context_pb2 import BuildContextRequest

    wanted = BuildContextRequest(
        query=query,
        as_of=output.timestamp(as_of),
        tenant_id=tenant,
        user_id=user,
        conversation_id=conversation,
        max_tokens=max_tokens,
        recent_turns=recent_turns,
        recent_share=recent_share,
        filter=filter_,
        ranking=ranking,
        min_score=min_score,
        neighbours=neighbours,
        time_zone=time_zone,
        language=language,
    )
    raise typer.Exit(context.context(wanted, target(address, api_key, timeout), explain=explain, as_json=as_json))
