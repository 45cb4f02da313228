"""``memory-grpc``: the commands and their options. What they do is in ``memory_grpc/commands``, imported at need."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from memory_grpc.commands import options
from memory_grpc.commands.audit_app import audit
from memory_grpc.commands.context_app import context
from memory_grpc.commands.delete_app import delete
from memory_grpc.commands.distribute_app import distribute
from memory_grpc.commands.eval_app import evaluate
from memory_grpc.commands.export_app import export
from memory_grpc.commands.failure import said_plainly
from memory_grpc.commands.forget_app import forget
from memory_grpc.commands.import_app import import_file
from memory_grpc.commands.key_app import key_app
from memory_grpc.commands.listing_app import list_conversations, list_messages, list_users
from memory_grpc.commands.mcp_app import mcp
from memory_grpc.commands.options import EPILOG, Address, ApiKey, AsJson, Timeout, target
from memory_grpc.commands.pipes import reader_may_leave
from memory_grpc.commands.policy_app import policy_app
from memory_grpc.commands.reembed_app import reembed
from memory_grpc.commands.retention_app import retention_app
from memory_grpc.commands.statistics_app import stats
from memory_grpc.commands.update_app import get, revisions, update

_SERVER, _CLIENT = "The service", "Using the service"

app = typer.Typer(
    name="memory-grpc",
    help="AI Memory Layer: runs the service, or calls a running one. Configured by MEMORY_* variables and .env.",
    epilog=EPILOG,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(policy_app, name="policy", rich_help_panel=_CLIENT)
app.add_typer(retention_app, name="retention", rich_help_panel=_CLIENT)
app.add_typer(key_app, name="key", rich_help_panel=_CLIENT)
app.command("distribute", rich_help_panel=_SERVER, epilog=EPILOG)(distribute)
app.command("audit", rich_help_panel=_CLIENT, epilog=EPILOG)(audit)
app.command("list", rich_help_panel=_CLIENT, epilog=EPILOG)(list_messages)
app.command("stats", rich_help_panel=_CLIENT, epilog=EPILOG)(stats)
app.command("get", rich_help_panel=_CLIENT, epilog=EPILOG)(get)
app.command("update", rich_help_panel=_CLIENT, epilog=EPILOG)(update)
app.command("revisions", rich_help_panel=_CLIENT, epilog=EPILOG)(revisions)
app.command("conversations", rich_help_panel=_CLIENT, epilog=EPILOG)(list_conversations)
app.command("users", rich_help_panel=_CLIENT, epilog=EPILOG)(list_users)
app.command("delete", rich_help_panel=_CLIENT, epilog=EPILOG)(delete)
app.command("eval", rich_help_panel=_CLIENT, epilog=EPILOG)(evaluate)
app.command("context", rich_help_panel=_CLIENT, epilog=EPILOG)(context)
app.command("export", rich_help_panel=_CLIENT, epilog=EPILOG)(export)
app.command("import", rich_help_panel=_CLIENT, epilog=EPILOG)(import_file)
app.command("forget", rich_help_panel=_CLIENT, epilog=EPILOG)(forget)
app.command("mcp", rich_help_panel=_CLIENT, epilog=EPILOG)(mcp)
app.command("reembed", rich_help_panel=_CLIENT, epilog=EPILOG)(reembed)


def main() -> None:
    """The console script: every failure is one sentence and an exit code, never a traceback."""
    # The C core writes lines of its own to standard error, about what is said here in a sentence anyway.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    with said_plainly(), reader_may_leave():
        app(prog_name="memory-grpc")


def _version(wanted: bool) -> None:
    if wanted:
        from memory_grpc import __version__

        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


@app.command(rich_help_panel=_SERVER, epilog=EPILOG)
def up() -> None:
    """Run everything: Postgres, the server and Envoy, until Ctrl-C.

    Postgres is an embedded one with its data in MEMORY_DATA_DIR, unless MEMORY_DATABASE_URL names another.

    Example: `MEMORY_HTTP_PORT=8080 memory-grpc up`
    """
    from memory_grpc.commands import serving

    raise typer.Exit(serving.up())


@app.command(rich_help_panel=_SERVER, epilog=EPILOG)
def serve(
    one_of: Annotated[int, typer.Option("--one-of", min=1, hidden=True, help="Servers that share the calls.")] = 1,
) -> None:
    """Run the gRPC server alone, on the database of MEMORY_DATABASE_URL.

    SIGINT and SIGTERM drain it: calls in flight get MEMORY_DRAIN_SECONDS to finish.

    Example: `MEMORY_DATABASE_URL=postgresql://memory@localhost/memory memory-grpc serve`
    """
    from memory_grpc.commands import serving

    raise typer.Exit(serving.serve(one_of))


@app.command(rich_help_panel=_SERVER, epilog=EPILOG)
def migrate(as_json: AsJson = False) -> None:
    """Bring the database of MEMORY_DATABASE_URL up to date, and say what was applied.

    Safe to run at any time and from several places at once. `serve` and `up` do it by themselves.

    Example: `MEMORY_DATABASE_URL=postgresql://memory@localhost/memory memory-grpc migrate`
    """
    from memory_grpc.commands import serving

    raise typer.Exit(serving.migrate(as_json=as_json))


@app.command("envoy-config", rich_help_panel=_SERVER, epilog=EPILOG)
def envoy_config(
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FILE", help="Where to write. [default: -, standard output]"),
    ] = None,
) -> None:
    """Write the configuration that Envoy needs in front of the server.

    Example: `memory-grpc envoy-config --output envoy.generated.yaml`
    """
    from memory_grpc.commands import serving

    raise typer.Exit(serving.envoy_config(output))


@app.command(rich_help_panel=_CLIENT, epilog=EPILOG)
def health(
    grpc: Annotated[bool, typer.Option("--grpc", help="The standard gRPC health check, for probes.")] = False,
    rest: Annotated[bool, typer.Option("--rest", help="Over REST; --address is then a URL.")] = False,
    address: Address = None,
    timeout: Timeout = 5.0,
    as_json: AsJson = False,
) -> None:
    """Say whether the service works: exit code 0 when it does, 3 when it does not or cannot be reached.

    Example, as a container's health check: `memory-grpc health --grpc`
    """
    from memory_grpc.commands import configuration, health

    if grpc and rest:
        raise typer.BadParameter("give one of --grpc and --rest")
    if rest:
        url = address or configuration.rest_url(configuration.load_settings(warn=False))
        if "://" not in url:
            raise typer.BadParameter("--rest needs a URL, as http://127.0.0.1:8000", param_hint="--address")
        raise typer.Exit(health.rest_report(url, timeout, as_json=as_json, is_own=not address))
    service = target(address, None, timeout, warn=False, with_deployments_key=not grpc)
    raise typer.Exit(
        health.standard_check(service, as_json=as_json) if grpc else health.report(service, as_json=as_json)
    )


@app.command(rich_help_panel=_CLIENT, epilog=EPILOG)
def search(
    query: options.QueryText,
    tenant: options.SearchedTenant,
    user: options.User = None,
    conversation: options.Conversation = None,
    role: options.OnlyRole = None,
    created_after: options.CreatedAfter = None,
    created_before: options.CreatedBefore = None,
    metadata: options.Metadata = None,
    filter_: options.Filter = None,
    importance_min: options.ImportanceMin = None,
    include_archived: options.IncludeArchived = False,
    candidate_limit: options.CandidateLimit = None,
    as_of: options.AsOf = None,
    time_zone: options.TimeZone = None,
    language: options.Language = None,
    ranking: options.SearchRanking = None,
    top_k: options.TopK = None,
    neighbours: options.Neighbours = None,
    explain: options.Explain = False,
    min_score: options.MinScore = None,
    min_relevance: options.MinRelevance = None,
    distinct: options.Distinct = False,
    exclude: options.Exclude = None,
    exclude_query_text: options.NotTheQuestion = False,
    address: Address = None,
    api_key: ApiKey = None,
    timeout: Timeout = 30.0,
    as_json: AsJson = False,
) -> None:
    """Search a tenant's memory and show the hits with the parts of their scores.

    Example: `memory-grpc search "researching adoption agencies" --tenant conv-26 --as-of 2023-10-23T09:00:00Z`
    """
    from memory_grpc.commands import search

    wanted = search.Query(
        text=query,
        tenant_id=tenant,
        user_id=user,
        conversation_id=conversation,
        role=role,
        created_after=created_after,
        created_before=created_before,
        metadata_equals=tuple(metadata or ()),
        filter=filter_,
        importance_min=importance_min,
        include_archived=include_archived,
        candidate_limit=candidate_limit,
        as_of=as_of,
        time_zone=time_zone,
        language=language,
        ranking=ranking,
        top_k=top_k,
        neighbours=neighbours,
        explain=explain,
        min_score=min_score,
        min_relevance=min_relevance,
        distinct=distinct,
        exclude_message_ids=tuple(exclude or ()),
        exclude_query_text=exclude_query_text,
    )
    raise typer.Exit(search.search(wanted, target(address, api_key, timeout), as_json=as_json))
