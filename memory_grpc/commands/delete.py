"""``memory-grpc delete``: erases messages by their ids."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from memory_grpc.client import NotFound
from memory_grpc.commands import output
from memory_grpc.commands.client import client
from memory_grpc.commands.configuration import Target
from memory_grpc.commands.failure import FAILED, OK, complain
from memory_layer.v1 import memory_service_pb2 as pb


def delete(tenant_id: str, message_ids: Sequence[UUID], target: Target, *, as_json: bool) -> int:
    """Erases each message, and says which were not there; FAILED when any was not."""
    erased, missing = [], []
    with client(target) as service:
        for message_id in map(str, message_ids):
            request = pb.DeleteMessageRequest(message_id=message_id, tenant_id=tenant_id)
            try:
                service.memory("DeleteMessage", request)
            except NotFound:
                missing.append(message_id)
            else:
                erased.append(message_id)
    if as_json:
        output.write_json({"erased": erased, "not_found": missing})
    else:
        print(f"{tenant_id}: {len(erased):,} erased.")
    for message_id in missing:
        complain(f"{message_id}: nothing is stored under that id.")
    return FAILED if missing else OK
