"""What the commands' options have in common: their types, and how their values are read. Imports nothing heavy."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from memory_grpc.commands.configuration import Target

EPILOG = (
    "Exit codes: 0 done; 1 failed, with a sentence on standard error; 2 wrong usage; 3 not healthy (health); "
    "130 interrupted."
)


class Ranking(StrEnum):
    """How a search ranks."""

    SEMANTIC = "semantic"
    HYBRID = "hybrid"


class Recipe(StrEnum):
    """Which weights a hybrid search has."""

    SURROUNDINGS = "surroundings"
    CONVERSATION = "conversation"


class Action(StrEnum):
    """What a sweep does."""

    ARCHIVE = "archive"
    DELETE = "delete"


class Role(StrEnum):
    """Who speaks."""

    USER = "user"
    ASSISTANT = "assistant"
    SYSTEM = "system"


def moment(value: str | datetime) -> datetime:
    """An RFC 3339 time, or a date; UTC where it does not say."""
    try:
        parsed = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    except ValueError:
        raise typer.BadParameter("give a time like 2023-10-22T10:00:00Z") from None
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


def pair(value: str) -> str:
    """``key=value`` with a key, as it was given."""
    if value.find("=") < 1:
        raise typer.BadParameter("give key=value")
    return value


def target(address: str | None, api_key: str | None, timeout: float, **kwargs: Any) -> Target:
    """The service that the options name."""
    from memory_grpc.commands import configuration

    return configuration.target(address, api_key, timeout, **kwargs)


# Every command that uses the service
Address = Annotated[
    str | None,
    typer.Option(metavar="HOST:PORT", help="The service; https://HOST:PORT for TLS. [default: MEMORY_GRPC_PORT here]"),
]
ApiKey = Annotated[
    str | None,
    typer.Option(
        envvar="MEMORY_CLIENT_API_KEY", metavar="KEY", help="Sent as x-api-key. [default: the first of MEMORY_API_KEYS]"
    ),
]
Timeout = Annotated[float, typer.Option(min=0.001, metavar="SECONDS", help="Longest wait for an answer.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Tenant = Annotated[str, typer.Option("--tenant", "-t", metavar="TENANT", help="The tenant.")]

GiveUpAfter = Annotated[
    float, typer.Option(min=0, metavar="SECONDS", help="How long to wait for a service that is down.")
]

# search
QueryText = Annotated[str, typer.Argument(help="The question, in plain words.")]
SearchedTenant = Annotated[str, typer.Option("--tenant", "-t", metavar="TENANT", help="Whose memory to search.")]
User = Annotated[str | None, typer.Option("--user", metavar="ID", help="Only this end user's messages.")]
Conversation = Annotated[str | None, typer.Option(metavar="ID", help="Only this conversation.")]
TopK = Annotated[int | None, typer.Option("--top-k", "-k", help="Most hits to show. [default: 5]")]
ImportanceMin = Annotated[float | None, typer.Option(help="Only messages at least this important (0 to 1).")]
CandidateLimit = Annotated[
    int | None, typer.Option(help="Rank only this many of the newest. [default: the whole memory]")
]
AsOf = Annotated[
    datetime | None,
    typer.Option(parser=moment, metavar="TIME", help="Search as of this moment, RFC 3339. [default: now]"),
]
TimeZone = Annotated[
    str | None,
    typer.Option(
        metavar="ZONE", help='Whose days "yesterday" and the like are, such as Europe/Berlin. [default: the policy]'
    ),
]
Language = Annotated[
    str | None, typer.Option(metavar="TAG", help="The language of the query, such as de. [default: the tenant's]")
]
OnlyRole = Annotated[Role | None, typer.Option(help="Only messages of this role.")]
CreatedAfter = Annotated[
    datetime | None, typer.Option(parser=moment, metavar="TIME", help="Only messages said then or later.")
]
CreatedBefore = Annotated[
    datetime | None, typer.Option(parser=moment, metavar="TIME", help="Only messages said before then.")
]
Metadata = Annotated[
    list[str] | None,
    typer.Option(
        parser=pair,
        metavar="KEY=VALUE",
        help="Only messages with this metadata. If repeated: every key, with one of its values.",
    ),
]
Filter = Annotated[
    str | None,
    typer.Option(
        "--filter", metavar="EXPRESSION", help="Only messages that match, such as `role = user OR pinned = true`."
    ),
]
IncludeArchived = Annotated[bool, typer.Option("--include-archived", help="Rank archived messages too.")]
SearchRanking = Annotated[Ranking | None, typer.Option(help="How to rank. [default: the tenant's policy]")]
Explain = Annotated[bool, typer.Option("--explain", help="Show the terms of each score, and how it was ranked.")]
Neighbours = Annotated[int | None, typer.Option(metavar="N", help="Show N turns before and after each hit.")]
MinScore = Annotated[float | None, typer.Option(metavar="SCORE", help="Only hits with at least this score.")]
MinRelevance = Annotated[
    float | None, typer.Option(metavar="RELEVANCE", help="Drop hits that are less likely to answer; try 0.45.")
]
Distinct = Annotated[bool, typer.Option("--distinct", help="Show equal texts once.")]
Exclude = Annotated[list[str] | None, typer.Option(metavar="ID", help="Leave out this message; may be repeated.")]
NotTheQuestion = Annotated[
    bool, typer.Option("--exclude-query-text", help="Leave out messages whose text is the question itself.")
]

# retention
DryRun = Annotated[bool, typer.Option("--dry-run", help="Count only, change nothing.")]
Actions = Annotated[list[Action] | None, typer.Option(help="What to do; may be repeated. [default: both]")]
