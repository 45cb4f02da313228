"""``memory-grpc context``: the text for a prompt, and a table of what is in it."""

from __future__ import annotations

import sys

from rich.table import Table
from rich.text import Text

from memory_grpc.commands import output
from memory_grpc.commands.client import client
from memory_grpc.commands.configuration import Target
from memory_grpc.commands.failure import OK
from memory_layer.v1 import context_pb2 as pb

_CONTENT_CHARS = 100


def context(request: pb.BuildContextRequest, target: Target, *, explain: bool, as_json: bool) -> int:
    """Builds and prints: the text alone, for a pipe; with ``explain`` a table. An empty memory is no failure."""
    with client(target) as service:
        built = service.memory("BuildContext", request)
    if as_json:
        output.write_json(output.as_dict(built))
    elif explain:
        output.console().print(_table(request, built))
        output.console().print(Text(_summary(built)))
    else:
        sys.stdout.write(f"{built.text}\n" if built.text else "")
    return OK


def _table(request: pb.BuildContextRequest, built: pb.BuildContextResponse) -> Table:
    table = Table(
        title=Text(f"Context for “{output.shortened(request.query, 80)}” in {request.tenant_id}"), title_justify="left"
    )
    for name in ("reason", "score", "tokens"):
        table.add_column(name, justify="left" if name == "reason" else "right", no_wrap=True)
    table.add_column("message")
    for part in built.messages:
        message = part.message
        where = (message.name or message.role, output.moment(message.created_at), message.conversation_id)
        heading = " · ".join(output.shortened(one, 40) for one in where)
        score = f"{part.score:.4f}" if part.HasField("score") else ""
        shown = Text.assemble((heading, "bold"), "\n", output.shortened(message.content, _CONTENT_CHARS))
        table.add_row(part.reason, score, f"{part.tokens:,}", shown)
    return table


def _summary(built: pb.BuildContextResponse) -> str:
    left = built.left_out
    lines = [
        f"{output.counted(built.total_tokens, 'token')} ({built.tokenizer}) in "
        f"{output.counted(len(built.messages), 'message')}; ranking {built.ranking}; "
        f"as of {built.as_of.ToJsonString()}",
        f"left out: {left.too_long:,} that did not fit, {left.repeated_text:,} with a text that is there already, "
        f"{left.low_score:,} below the least score",
    ]
    if built.pending:
        lines.append(f"{built.pending:,} more may match: they are stored and not yet embedded.")
    return "\n".join(lines)
