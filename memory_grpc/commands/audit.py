"""``memory-grpc audit``: who did what."""

from __future__ import annotations

from typing import TYPE_CHECKING

from memory_grpc.commands import output
from memory_grpc.commands.client import client
from memory_grpc.commands.configuration import Target
from memory_grpc.commands.failure import OK
from memory_layer.v1 import audit_service_pb2 as pb

if TYPE_CHECKING:
    from rich.table import Table

_PAGE = 1000


def run(request: pb.ListEventsRequest, target: Target, *, most: int, as_json: bool) -> int:
    """Prints the newest ``most`` events that the request asks for, page by page from the service."""
    found: list[pb.AuditEvent] = []
    with client(target) as service:
        while len(found) < most:
            request.page_size = min(_PAGE, most - len(found))
            page = service.audit("ListEvents", request)
            found += page.events
            if not page.next_page_token:
                break
            request.page_token = page.next_page_token
    if as_json:
        output.write_json({"events": [output.as_dict(event) for event in found]})
    elif found:
        output.console().print(_table(found))
    else:
        print("Nothing is recorded.")
    return OK


def _table(events: list[pb.AuditEvent]) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table()
    for name in ("when", "who", "what", "outcome", "tenant", "request"):
        table.add_column(name, no_wrap=name == "when")
    for event in events:
        cells = (event.actor, event.action, event.outcome, event.tenant_id, event.request_id)
        table.add_row(Text(output.moment(event.happened_at)), *(Text(output.shortened(cell, 128)) for cell in cells))
    return table
