"""The import of what ``memory-grpc export`` wrote."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from memory_grpc.commands import output
from memory_grpc.commands.client import Client, client
from memory_grpc.commands.configuration import Target
from memory_grpc.commands.failure import FAILED, OK, CommandError, complain
from memory_grpc.commands.importing.keep import keep
from memory_grpc.commands.importing.run import Options
from memory_grpc.commands.transfer.batches import batches, history
from memory_grpc.commands.transfer.records import Line, read
from memory_layer.v1 import policy_service_pb2
from memory_layer.v1.transfer_service_pb2 import ImportRequest, ImportResponse, TransferPolicy

_SHOWN = 5
_LINE_EVERY_SECONDS = 5.0


@dataclass(slots=True)
class _Found:
    """What a file holds."""

    messages: int = 0
    tenants: dict[str, None] = field(default_factory=dict)
    first: list[Line] = field(default_factory=list)


def import_export(path: Path, tenant_id: str, target: Target | None, options: Options, *, as_json: bool = False) -> int:
    """Stores the messages of an export as they were, each once, and the policies that came with it; without a target
    says what it would. Nothing is stored unless every line is a record. Returns the exit code."""
    found = _look_through(path, tenant_id)
    if target is None:
        return _show(path, found, as_json=as_json)
    complain(_sentence(path, found))
    outcome = _Outcome()
    began = said = time.monotonic()
    with client(target) as service:
        if options.keep:
            for tenant in found.tenants:
                keep(tenant, target)
        for batch in batches(path, options):
            if batch[0].record.HasField("policy"):
                _restore_policy(service, batch[0])
                continue
            wanted = outcome.wanted(batch)
            if wanted:
                outcome.add(wanted, _sent(service, wanted, options.patience_seconds))
            if time.monotonic() - said >= _LINE_EVERY_SECONDS:
                said = time.monotonic()
                done = outcome.done
                complain(f"{done:,} of {output.counted(found.messages, 'message')}, {done / (said - began):,.0f}/s")
    _sum_up(outcome.totals, as_json=as_json)
    return FAILED if outcome.totals["conflicting"] or outcome.totals["ignored_revisions"] else OK


class _Outcome:
    """What became of the lines so far."""

    def __init__(self) -> None:
        names = ("stored", "repeated", "conflicting", "erased", "pending", "ignored_revisions")
        self.totals = dict.fromkeys(names, 0)
        # Messages that were not stored and whose further revisions are not wanted either.
        self._left_out: set[str] = set()

    @property
    def done(self) -> int:
        """How many messages were sent."""
        return sum(self.totals[name] for name in ("stored", "repeated", "conflicting", "erased"))

    def wanted(self, batch: list[Line]) -> list[Line]:
        """A batch without what belongs to messages that were left out."""
        return [line for line in batch if line.revisions is None or line.revisions.message_id not in self._left_out]

    def add(self, batch: list[Line], answer: ImportResponse) -> None:
        """Counts an answer, and says which lines were not stored."""
        self.totals["stored"] += answer.stored
        self.totals["repeated"] += len(answer.repeated_indexes)
        self.totals["conflicting"] += len(answer.conflicting_indexes)
        self.totals["erased"] += len(answer.erased_indexes)
        self.totals["pending"] += answer.pending
        messages = [(line, line.message) for line in batch if line.message is not None]
        for index in answer.conflicting_indexes:
            complain(f"line {messages[index][0].number}: another message has this id, and stays as it is")
        for index in (*answer.conflicting_indexes, *answer.erased_indexes):
            if messages[index][1].more_revisions:
                self._left_out.add(messages[index][1].id)
        further = [(line, line.revisions) for line in batch if line.revisions is not None]
        for index in answer.ignored_revisions_indexes:
            line, revisions = further[index]
            if revisions.message_id not in self._left_out:
                self.totals["ignored_revisions"] += 1
                complain(f"line {line.number}: its message is gone or has another history, which stays as it is")


def _look_through(path: Path, tenant_id: str) -> _Found:
    found = _Found()
    unfinished = ""
    for line in read(path):
        unfinished = history(path, line, unfinished)
        if tenant_id and line.header.tenant_id != tenant_id:
            raise CommandError(f"{path.name} is an export of another tenant than --tenant names.")
        found.tenants[line.header.tenant_id] = None
        if line.message is not None:
            found.messages += 1
            if len(found.first) < _SHOWN:
                found.first.append(line)
    if unfinished:
        raise CommandError(
            f"{path.name}: revisions of message {unfinished} are missing at its end: continue the export first."
        )
    return found


def _sentence(path: Path, found: _Found) -> str:
    messages = output.counted(found.messages, "message")
    return f"{path.name} is an export: {messages} of {', '.join(found.tenants) or 'nobody'}."


def _show(path: Path, found: _Found, *, as_json: bool) -> int:
    shown = [line.message for line in found.first if line.message is not None]
    if as_json:
        examples = [output.as_dict(message) for message in shown]
        figures: dict[str, Any] = {"format": "export", "messages": found.messages, "tenants": list(found.tenants)}
        output.write_json(figures | {"examples": examples})
        return OK
    print(_sentence(path, found))
    for message in shown:
        said = [output.moment(message.created_at), message.conversation_id, message.name or message.role]
        print(f"  {' · '.join(said)}: {output.shortened(message.content, 80)}")
    return OK


def _sent(service: Client, batch: list[Line], patience_seconds: float) -> ImportResponse:
    """The answer to a batch, tried until there is one: sending it again stores nothing twice."""
    request = ImportRequest(
        tenant_id=batch[0].header.tenant_id,
        messages=[line.message for line in batch if line.message is not None],
        revisions=[line.revisions for line in batch if line.revisions is not None],
    )
    answer: ImportResponse = service.patient(patience_seconds, is_told=True).transfer("Import", request)
    return answer


def _restore_policy(service: Client, line: Line) -> None:
    """Sets the policy of the export, unless the tenant has one of its own."""
    tenant_id = line.header.tenant_id
    now = service.policy("GetTenantPolicy", policy_service_pb2.GetTenantPolicyRequest(tenant_id=tenant_id))
    if any(not name.startswith("quota.") for name in now.overrides):
        complain(f"line {line.number}: {tenant_id} has a policy of its own, which stays.")
        return
    own: TransferPolicy = line.record.policy
    request = policy_service_pb2.SetTenantPolicyRequest(tenant_id=tenant_id)
    for name, value in own.ListFields():
        if name.message_type is None:
            setattr(request, name.name, value)
        else:
            getattr(request, name.name).CopyFrom(value)
    service.policy("SetTenantPolicy", request)


def _sum_up(totals: dict[str, int], *, as_json: bool) -> None:
    if as_json:
        output.write_json(totals)
        return
    meanings = {
        "repeated": "the service had them already",
        "conflicting": "not stored",
        "erased": "forgotten here, and not stored",
        "pending": "without an embedding yet: search does not find them",
        "ignored_revisions": "records of another history",
    }
    parts = [f"{totals['stored']:,} stored"]
    parts += [f"{totals[name]:,} {name} ({meaning})" for name, meaning in meanings.items() if totals[name]]
    print(f"{', '.join(parts)}.")
