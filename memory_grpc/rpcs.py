"""Every service of the contract and every RPC of it, read from the generated descriptors."""

from __future__ import annotations

from google.protobuf.descriptor import MethodDescriptor, ServiceDescriptor

from memory_layer.v1 import (
    admin_service_pb2,
    embedding_service_pb2,
    index_service_pb2,
    key_service_pb2,
    memory_service_pb2,
    policy_service_pb2,
)

SERVICES: tuple[ServiceDescriptor, ...] = tuple(
    service
    for file in (
        memory_service_pb2,
        admin_service_pb2,
        embedding_service_pb2,
        index_service_pb2,
        key_service_pb2,
        policy_service_pb2,
    )
    for service in file.DESCRIPTOR.services_by_name.values()
)

# Full name, as ``/memory_layer.v1.MemoryService/GetMessage``, -> descriptor.
METHODS: dict[str, MethodDescriptor] = {
    f"/{service.full_name}/{method.name}": method for service in SERVICES for method in service.methods
}
