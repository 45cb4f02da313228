"""Every service of the contract, every RPC of it, and what each says of itself: read from the generated descriptors.

Everything is keyed by full names, as ``/memory_layer.v1.MemoryService/GetMessage``: a name that a stranger makes up
finds nothing here.
"""

from __future__ import annotations

from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor

from memory_grpc import rpc_facts
from memory_grpc.rpc_facts import UNDECLARED, RpcFacts
from memory_layer.v1 import (
    admin_service_pb2,
    audit_service_pb2,
    embedding_service_pb2,
    erasure_service_pb2,
    index_service_pb2,
    key_service_pb2,
    memory_service_pb2,
    policy_service_pb2,
    transfer_service_pb2,
)
from memory_layer.v1.rpc_pb2 import rpc

SERVICES: tuple[ServiceDescriptor, ...] = tuple(
    service
    for file in (
        memory_service_pb2,
        transfer_service_pb2,
        admin_service_pb2,
        audit_service_pb2,
        embedding_service_pb2,
        erasure_service_pb2,
        index_service_pb2,
        key_service_pb2,
        policy_service_pb2,
    )
    for service in file.DESCRIPTOR.services_by_name.values()
)

METHODS: dict[str, MethodDescriptor] = {
    f"/{service.full_name}/{method.name}": method for service in SERVICES for method in service.methods
}


def _facts(method: MethodDescriptor) -> RpcFacts:
    """Facts with a fault count as none: `make gen` refuses them, and the server everybody who calls."""
    is_streaming = method.client_streaming or method.server_streaming
    facts = rpc_facts.read(method.GetOptions().Extensions[rpc], is_streaming=is_streaming)
    return UNDECLARED if any(rpc_facts.faults(facts)) else facts


FACTS: dict[str, RpcFacts] = {name: _facts(method) for name, method in METHODS.items()}
