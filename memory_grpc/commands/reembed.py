"""``memory-grpc reembed``: starts a change of model, follows it, compares, and cuts over."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from memory_grpc.commands import output
from memory_grpc.commands.client import Client, client
from memory_grpc.commands.configuration import Target
from memory_grpc.commands.failure import INTERRUPTED, OK, USAGE, CommandError, complain
from memory_grpc.commands.pipes import file_of
from memory_layer.v1 import embedding_service_pb2 as pb
from memory_layer.v1 import reembedding_pb2

MOST_QUERIES = 500
_POLL_SECONDS = 0.3


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to change and how."""

    tenant_id: str | None
    model: str
    keep_old: bool
    sample: int
    queries: tuple[str, ...]
    details: bool
    cut_over: bool


def read_queries(path: Path) -> tuple[str, ...]:
    """The lines of a file that are not blank. Raises CommandError when there are none, or too many."""
    try:
        with file_of(path) as file:
            queries = tuple(line.strip() for line in file.read_text(encoding="utf-8").splitlines() if line.strip())
    except UnicodeError:
        raise CommandError(f"{path} is not UTF-8.") from None
    if not 0 < len(queries) <= MOST_QUERIES:
        raise CommandError(f"{path} holds {len(queries):,} queries: give 1 to {MOST_QUERIES}.", USAGE)
    return queries


def change(wanted: Wanted, target: Target, patience_seconds: float, *, as_json: bool) -> int:
    """The whole way; returns the exit code."""
    with client(target) as connection:
        service = connection.patient(patience_seconds)
        request = pb.StartReembeddingRequest(tenant_id=wanted.tenant_id, model=wanted.model, keep_old=wanted.keep_old)
        work = service.embedding("StartReembedding", request)
        if not as_json:
            print(f"{_whose(work)}: {_model(work.previous_model)} → {_model(work.model)}", flush=True)
        try:
            work = _follow(service, work)
        except KeyboardInterrupt:
            complain(
                f"Interrupted. Re-embedding {work.id} goes on in the background, up to its cut-over: the same command "
                "follows it, `memory-grpc reembed --cancel` ends it."
            )
            return INTERRUPTED
        if work.state == "cancelled":
            raise CommandError(f"Re-embedding {work.id} was cancelled.")
        comparison = _compare(service, wanted, work)
        if not as_json:
            _say_embedded(work)
            _say_compared(comparison, wanted)
        if wanted.cut_over:
            work = service.embedding("CutOverReembedding", pb.CutOverReembeddingRequest(reembedding_id=work.id))
    if as_json:
        shown: dict[str, Any] = {"reembedding": output.as_dict(work)}
        if comparison is not None:
            shown["comparison"] = output.as_dict(comparison)
        output.write_json(shown)
    else:
        _say_state(work)
    return OK


def newest(action: str, target: Target, patience_seconds: float, *, as_json: bool) -> int:
    """Shows, cuts over or cancels the newest re-embedding."""
    with client(target) as connection:
        service = connection.patient(patience_seconds)
        work = service.embedding("GetReembedding", pb.GetReembeddingRequest())
        if action == "cut over":
            work = service.embedding("CutOverReembedding", pb.CutOverReembeddingRequest(reembedding_id=work.id))
        elif action == "cancel":
            work = service.embedding("CancelReembedding", pb.CancelReembeddingRequest(reembedding_id=work.id))
    if as_json:
        output.write_json({"reembedding": output.as_dict(work)})
    else:
        print(f"{_whose(work)}: {_model(work.previous_model)} → {_model(work.model)}")
        _say_embedded(work)
        _say_state(work)
    return OK


def _follow(service: Client, work: reembedding_pb2.Reembedding) -> reembedding_pb2.Reembedding:
    """Shows the progress on a terminal; returns when there is nothing more to embed."""
    columns = (TextColumn("embedding"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = output.error_console()
    with Progress(*columns, console=console, disable=not console.is_terminal, transient=True) as bar:
        task = bar.add_task("", total=None)
        told = ""
        while work.state == "running":
            time.sleep(_POLL_SECONDS)
            work = service.embedding("GetReembedding", pb.GetReembeddingRequest(reembedding_id=work.id))
            bar.update(task, total=work.total or None, completed=work.embedded)
            if work.last_error != told:
                told = work.last_error
                complain(f"The work is held up ({told}); it is tried again." if told else "The work goes on.")
    return work


def _compare(
    service: Client, wanted: Wanted, work: reembedding_pb2.Reembedding
) -> reembedding_pb2.ReembeddingComparison | None:
    if not (wanted.sample or wanted.queries) or work.state != "ready":
        return None
    request = pb.CompareReembeddingRequest(
        reembedding_id=work.id, sample=wanted.sample or None, queries=wanted.queries, details=wanted.details
    )
    found: reembedding_pb2.ReembeddingComparison = service.embedding("CompareReembedding", request)
    return found


def _say_embedded(work: reembedding_pb2.Reembedding) -> None:
    refused = f", {work.refused:,} refused by the model (pending after the cut-over)" if work.refused else ""
    print(f"New vectors: {work.embedded:,} of {output.counted(work.total, 'message')}{refused}.")


def _say_compared(found: reembedding_pb2.ReembeddingComparison | None, wanted: Wanted) -> None:
    if found is None:
        return
    if not found.compared:
        print("There is no message of a user to compare with.")
        return
    cut = f" ({found.asked:,} were asked, there was no time for more)" if found.compared < found.asked else ""
    print(
        f"Queries compared: {found.compared:,}{cut}. The first ten hits are the same by {found.overlap:.1%}, "
        f"{found.first_changed:.1%} have another first hit, a hit of both moves by {found.rank_change:.2f} places."
    )
    if wanted.details:
        _show_details(found, wanted.queries)


def _show_details(found: reembedding_pb2.ReembeddingComparison, queries: tuple[str, ...]) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table("query", "same of ten", "first hit", "before", "after")
    for number, one in enumerate(found.details):
        query = output.shortened(queries[number], 60) if queries else one.message_id
        first = "another" if one.first_changed else "the same"
        before, after = (
            f"{hits[0].message_id} {hits[0].score:.4f}" if hits else "" for hits in (one.before, one.after)
        )
        table.add_row(Text(query), f"{one.overlap:.0%}", first, before, after)
    output.console().print(table)


def _say_state(work: reembedding_pb2.Reembedding) -> None:
    sentences = {
        "running": "The vectors are being made; searches read the old ones.",
        "ready": "Ready. Searches read the old vectors until `memory-grpc reembed --cut-over`.",
        "cut_over": "Searches read the new vectors; the old ones are being removed.",
        "done": f"Searches read the new vectors; the old ones are {'kept' if work.keep_old else 'gone'}.",
        "cancelled": "Cancelled; searches read the old vectors.",
    }
    print(sentences[work.state])
    if work.last_error:
        print(f"The work is held up ({work.last_error}); it is tried again.")
    if work.state in ("cut_over", "done") and not work.HasField("tenant_id"):
        print("Restart no server without this model's settings: name it with MEMORY_EMBEDDING_MODEL_NAME and the like.")
    sys.stdout.flush()


def _whose(work: reembedding_pb2.Reembedding) -> str:
    return f"Re-embedding {work.id} of {work.tenant_id if work.HasField('tenant_id') else 'every tenant'}"


def _model(model: reembedding_pb2.EmbeddingModel) -> str:
    return f"{model.name} ({model.precision}, {model.dimensions})"
