"""``memory-grpc import``: its options."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from memory_grpc.commands.options import Address, ApiKey, AsJson, GiveUpAfter, Timeout, pair, target
from memory_grpc.commands.pipes import file_of, readable

ImportFile = Annotated[
    Path,
    typer.Argument(
        parser=readable,
        metavar="FILE",
        help="JSON lines, or what another program exported; - for standard input.",
    ),
]
FormatName = Annotated[
    str, typer.Option("--format", metavar="FORMAT", help="The format of the file (see above); auto detects it.")
]
ImportTenant = Annotated[
    str | None,
    typer.Option("--tenant", "-t", metavar="TENANT", help="The tenant to import another program's export into."),
]
ImportUser = Annotated[
    str | None, typer.Option("--user", metavar="ID", help="The end user whose memory it is, if the file names none.")
]
ImportConversation = Annotated[
    str | None, typer.Option("--conversation", metavar="ID", help="The name for a single chat. [default: the file's]")
]
Roles = Annotated[
    list[str] | None,
    typer.Option(
        "--role",
        parser=pair,
        metavar="THEIRS=OURS",
        help="How to read a role of the file: tool=assistant; tool=skip leaves it out. May be repeated.",
    ),
]
Dates = Annotated[
    str | None, typer.Option(metavar="dmy|mdy|ymd", help="Order of day, month and year, if a chat leaves it open.")
]
Timezone = Annotated[
    str | None,
    typer.Option(metavar="ZONE", help="Time zone of a chat's local times, such as Europe/Berlin. [default: UTC]"),
]
TryImport = Annotated[
    bool, typer.Option("--dry-run", help="Say what would be stored, show five messages, store nothing.")
]
Keep = Annotated[
    bool, typer.Option("--keep", help="Give the tenant a policy that archives none of it, whatever its age.")
]
BatchSize = Annotated[int, typer.Option(min=1, max=1000, help="Most messages sent in one call.")]
InFlight = Annotated[int, typer.Option(min=1, max=16, help="Calls made at once.")]
SkipInvalid = Annotated[bool, typer.Option("--skip-invalid", help="Report and count invalid lines, and continue.")]
Restart = Annotated[bool, typer.Option("--restart", help="Start again, whatever an earlier run did.")]
ProgressPath = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Where to keep the progress. [default: in $XDG_STATE_HOME/memory-grpc]"),
]


def import_file(
    file: ImportFile,
    format_name: FormatName = "auto",
    tenant: ImportTenant = None,
    user: ImportUser = None,
    conversation: ImportConversation = None,
    role: Roles = None,
    dates: Dates = None,
    timezone: Timezone = None,
    dry_run: TryImport = False,
    keep: Keep = False,
    batch_size: BatchSize = 256,
    in_flight: InFlight = 2,
    skip_invalid: SkipInvalid = False,
    restart: Restart = False,
    progress: ProgressPath = None,
    give_up_after: GiveUpAfter = 120.0,
    address: Address = None,
    api_key: ApiKey = None,
    timeout: Timeout = 30.0,
    as_json: AsJson = False,
) -> None:
    """Store the messages of a file, each exactly once. Run again, it goes on where it was cut off.

    The file holds one JSON object a line with the fields of the ingest request: tenant_id, conversation_id, role,
    content, and optionally user_id, name, metadata, importance_override, created_at (RFC 3339), pinned, expires_at or
    ttl_seconds, language, embed_later and request_id. A line is known again, from any machine and after any time, as
    long as the service has its message (keep_request_id is set for all of them). Lines may be appended between two
    runs; a file that was edited before the place that was reached is refused. An invalid line is reported by its number
    and field, and ends the import with exit code 1 once everything before it is stored.

    Or it is what `memory-grpc export` wrote: its messages are stored as they were, with ids, times, importance, pins
    and archive, and need no --tenant.

    Or it is what another program exported, into the tenant of --tenant: chatgpt, claude, openai, sharegpt, langchain,
    slack, discord, whatsapp, mem0, locomo, or json (a list of ingest requests). It is read to its end first, and
    nothing is stored where something in it is wrong.

    Example: `memory-grpc import conversations.json --tenant acme --user ann --dry-run`
    """
    from memory_grpc.commands.importing import command, detect, reading
    from memory_grpc.commands.importing.run import Options
    from memory_grpc.commands.transfer.import_ import import_export

    how_to_read = reading.of_options(tenant, user, conversation, role or [], dates, timezone)
    kind = reading.format_of(format_name)
    how = Options(
        batch_size=batch_size,
        in_flight=in_flight,
        skip_invalid=skip_invalid,
        patience_seconds=give_up_after,
        keep=keep,
    )
    service = None if dry_run else target(address, api_key, timeout)
    with file_of(file) as path:
        if path is not file and progress is None:
            progress = path.with_name("progress")  # of no use to a later run: what it reads may be something else
        if detect.is_own_export(path, kind):
            raise typer.Exit(import_export(path, how_to_read.tenant_id, service, how, as_json=as_json))
        files = command.Files(path, kind, how_to_read, progress, restart)
        if service is None:
            raise typer.Exit(command.try_file(files, as_json=as_json))
        raise typer.Exit(command.import_file(files, service, how, as_json=as_json))
