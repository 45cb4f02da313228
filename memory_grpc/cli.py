"""``memory-grpc``: the commands and their options. What they do is in ``memory_grpc/commands``, imported at need."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from memory_grpc.commands.failure import said_plainly

if TYPE_CHECKING:
    from memory_grpc.commands.configuration import Target

_EPILOG = (
    "Exit codes: 0 done; 1 failed, with a sentence on standard error; 2 wrong usage; 3 not healthy (health); "
    "130 interrupted."
)
_SERVER, _CLIENT = "The service", "Using the service"

app = typer.Typer(
    name="memory-grpc",
    help="AI Memory Layer: runs the service, and talks to one that runs. Configured by MEMORY_* variables and .env.",
    epilog=_EPILOG,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)
policy_app = typer.Typer(help="Shows and sets a tenant's retention limits and weights.", no_args_is_help=True)
app.add_typer(policy_app, name="policy", rich_help_panel=_CLIENT)

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
Tenant = Annotated[str, typer.Argument(help="The tenant.")]


def main() -> None:
    """The console script: every failure is one sentence and an exit code, never a traceback."""
    # The C core writes lines of its own to standard error, about what is said here in a sentence anyway.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    with said_plainly():
        app(prog_name="memory-grpc")


def _version(wanted: bool) -> None:
    if wanted:
        from memory_grpc import __version__

        typer.echo(__version__)
        raise typer.Exit


def _target(address: str | None, api_key: str | None, timeout: float, **kwargs: Any) -> Target:
    from memory_grpc.commands.configuration import target

    return target(address, api_key, timeout, **kwargs)


def _moment(text: str | None) -> datetime | None:
    """An RFC 3339 time, or a date; UTC where it does not say."""
    if text is None:
        return None
    try:
        value = datetime.fromisoformat(text)
    except ValueError:
        raise typer.BadParameter("give a time like 2023-10-22T10:00:00Z") from None
    return value if value.tzinfo else value.replace(tzinfo=UTC)


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    pass


@app.command(rich_help_panel=_SERVER, epilog=_EPILOG)
def up() -> None:
    """Run everything: Postgres, the server and Envoy, until Ctrl-C.

    Postgres is an embedded one with its data in MEMORY_DATA_DIR, unless MEMORY_DATABASE_URL names another.

    Example: `MEMORY_HTTP_PORT=8080 memory-grpc up`
    """
    from memory_grpc.commands import serving

    raise typer.Exit(serving.up())


@app.command(rich_help_panel=_SERVER, epilog=_EPILOG)
def serve() -> None:
    """Run the gRPC server alone, on the database of MEMORY_DATABASE_URL.

    SIGINT and SIGTERM drain it: calls in flight get MEMORY_DRAIN_SECONDS to finish.

    Example: `MEMORY_DATABASE_URL=postgresql://memory@localhost/memory memory-grpc serve`
    """
    from memory_grpc.commands import serving

    raise typer.Exit(serving.serve())


@app.command(rich_help_panel=_SERVER, epilog=_EPILOG)
def migrate() -> None:
    """Bring the database of MEMORY_DATABASE_URL up to date, and say what was applied.

    Safe to run at any time and from several places at once. `serve` and `up` do it by themselves.

    Example: `MEMORY_DATABASE_URL=postgresql://memory@localhost/memory memory-grpc migrate`
    """
    from memory_grpc.commands import serving

    raise typer.Exit(serving.migrate())


@app.command("envoy-config", rich_help_panel=_SERVER, epilog=_EPILOG)
def envoy_config(
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Where to write. [default: standard output]")
    ] = None,
) -> None:
    """Write the configuration that Envoy needs in front of the server.

    Example: `memory-grpc envoy-config --output envoy.generated.yaml`
    """
    from memory_grpc.commands import serving

    raise typer.Exit(serving.envoy_config(output))


@app.command(rich_help_panel=_CLIENT, epilog=_EPILOG)
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
        raise typer.Exit(health.rest_report(url, timeout, as_json=as_json))
    target = _target(address, None, timeout, warn=False)
    raise typer.Exit(health.standard_check(target) if grpc else health.report(target, as_json=as_json))


@app.command("import", rich_help_panel=_CLIENT, epilog=_EPILOG)
def import_(
    file: Annotated[
        Path,
        typer.Argument(exists=True, dir_okay=False, readable=True, help="JSON lines, or LoCoMo."),
    ],
    format_name: Annotated[
        str, typer.Option("--format", metavar="auto|jsonl|locomo", help="What the file holds; auto looks.")
    ] = "auto",
    batch_size: Annotated[int, typer.Option(min=1, max=1000, help="Messages sent in one call at most.")] = 256,
    in_flight: Annotated[int, typer.Option(min=1, max=16, help="Calls made at once.")] = 2,
    skip_invalid: Annotated[
        bool, typer.Option("--skip-invalid", help="Report and count invalid lines, and go on.")
    ] = False,
    restart: Annotated[bool, typer.Option("--restart", help="Begin again, whatever an earlier run did.")] = False,
    progress: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Where to keep the progress. [default: in $XDG_STATE_HOME/memory-grpc]"),
    ] = None,
    give_up_after: Annotated[
        float, typer.Option(min=0, metavar="SECONDS", help="How long a service that is down is waited for.")
    ] = 120.0,
    address: Address = None,
    api_key: ApiKey = None,
    timeout: Timeout = 30.0,
    as_json: AsJson = False,
) -> None:
    """Store the messages of a file, each exactly once. Run again, it goes on where it was cut off.

    The file holds one JSON object a line with the fields of the ingest request: tenant_id, conversation_id, role,
    content, and optionally metadata, importance_override, name, created_at (RFC 3339) and request_id. Or it is a LoCoMo
    file: sample → tenant, session → conversation. Lines may be appended between two runs; a file that was edited before
    the place that was reached is refused. An invalid line is reported by its number and field, and ends the import with
    exit code 1 once everything before it is stored.

    Example: `memory-grpc import history.jsonl --skip-invalid`
    """
    from memory_grpc.commands.importing.detect import Format

    if format_name not in set(Format):
        raise typer.BadParameter("give auto, jsonl or locomo", param_hint="--format")
    from memory_grpc.commands.importing import command
    from memory_grpc.commands.importing.run import Options

    files = command.Files(file, Format(format_name), progress, restart)
    options = Options(
        batch_size=batch_size, in_flight=in_flight, skip_invalid=skip_invalid, patience_seconds=give_up_after
    )
    raise typer.Exit(command.import_file(files, _target(address, api_key, timeout), options, as_json=as_json))


@app.command(rich_help_panel=_CLIENT, epilog=_EPILOG)
def search(
    query: Annotated[str, typer.Argument(help="The question, in plain words.")],
    tenant: Annotated[str, typer.Option("--tenant", "-t", metavar="TENANT", help="Whose memory to search.")],
    conversation: Annotated[str | None, typer.Option(metavar="ID", help="Only this conversation.")] = None,
    top_k: Annotated[int | None, typer.Option("--top-k", "-k", help="Hits at most. [default: 5]")] = None,
    importance_min: Annotated[
        float | None, typer.Option(help="Only messages at least this important (0 to 1).")
    ] = None,
    candidate_limit: Annotated[
        int | None, typer.Option(help="Rank only this many of the newest. [default: the whole memory]")
    ] = None,
    as_of: Annotated[
        str | None, typer.Option(metavar="TIME", help="The moment to search from, RFC 3339. [default: now]")
    ] = None,
    address: Address = None,
    api_key: ApiKey = None,
    timeout: Timeout = 30.0,
    as_json: AsJson = False,
) -> None:
    """Search a tenant's memory and show the hits with the parts of their scores.

    Example: `memory-grpc search "researching adoption agencies" --tenant conv-26 --as-of 2023-10-23T09:00:00Z`
    """
    moment = _moment(as_of)
    from memory_grpc.commands import search

    wanted = search.Query(query, tenant, conversation, top_k, importance_min, candidate_limit, moment)
    raise typer.Exit(search.search(wanted, _target(address, api_key, timeout), as_json=as_json))


@app.command(rich_help_panel=_CLIENT, epilog=_EPILOG)
def retention(
    tenant: Tenant,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Count only, change nothing.")] = False,
    action: Annotated[
        list[str] | None, typer.Option(metavar="archive|delete", help="What to do; may repeat. [default: both]")
    ] = None,
    address: Address = None,
    api_key: ApiKey = None,
    timeout: Timeout = 60.0,
    as_json: AsJson = False,
) -> None:
    """Archive and delete a tenant's messages by its policy, now.

    Example: `memory-grpc retention acme --dry-run --action archive`
    """
    from memory_grpc.commands import retention

    actions = action or ["archive", "delete"]
    target = _target(address, api_key, timeout)
    raise typer.Exit(retention.retention(tenant, actions, target, dry_run=dry_run, as_json=as_json))


@policy_app.command("show", epilog=_EPILOG)
def policy_show(
    tenant: Tenant,
    address: Address = None,
    api_key: ApiKey = None,
    timeout: Timeout = 10.0,
    as_json: AsJson = False,
) -> None:
    """Show the policy that holds for a tenant, and which values are its own.

    Example: `memory-grpc policy show acme`
    """
    from memory_grpc.commands import policy

    raise typer.Exit(policy.show(tenant, _target(address, api_key, timeout), as_json=as_json))


@policy_app.command("set", epilog=_EPILOG)
def policy_set(
    tenant: Tenant,
    max_age_days: Annotated[float | None, typer.Option(help="Archive messages older than this.")] = None,
    importance_threshold: Annotated[float | None, typer.Option(help="Archive less important messages.")] = None,
    delete_after_days: Annotated[float | None, typer.Option(help="Delete after this long in the archive.")] = None,
    importance_recency: Annotated[float | None, typer.Option(help="Weight of recency in importance.")] = None,
    importance_role: Annotated[float | None, typer.Option(help="Weight of the role in importance.")] = None,
    importance_explicit: Annotated[float | None, typer.Option(help="Weight of importance_override.")] = None,
    score_similarity: Annotated[float | None, typer.Option(help="Weight of similarity in the score.")] = None,
    score_importance: Annotated[float | None, typer.Option(help="Weight of importance in the score.")] = None,
    score_decay: Annotated[float | None, typer.Option(help="Weight of decay in the score.")] = None,
    reset: Annotated[bool, typer.Option("--reset", help="Forget the tenant's own values first.")] = False,
    address: Address = None,
    api_key: ApiKey = None,
    timeout: Timeout = 10.0,
    as_json: AsJson = False,
) -> None:
    """Set some values of a tenant's policy; its others stay, and what it never set is the deployment's.

    Example: `memory-grpc policy set acme --max-age-days 365 --importance-threshold 0`
    """
    given = {
        "retention.max_age_days": max_age_days,
        "retention.importance_threshold": importance_threshold,
        "retention.delete_after_days": delete_after_days,
        "importance_weights.recency": importance_recency,
        "importance_weights.role": importance_role,
        "importance_weights.explicit": importance_explicit,
        "score_weights.similarity": score_similarity,
        "score_weights.importance": score_importance,
        "score_weights.decay": score_decay,
    }
    values = {name: value for name, value in given.items() if value is not None}
    if not values and not reset:
        raise typer.BadParameter("give at least one value, or --reset")
    from memory_grpc.commands import policy

    raise typer.Exit(policy.change(tenant, values, _target(address, api_key, timeout), reset=reset, as_json=as_json))
