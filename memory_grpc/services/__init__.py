"""One module a proto service: protobuf to the service's own values and back, nothing else."""

from __future__ import annotations

from collections.abc import Callable

import grpc

from memory_grpc.operations.models.registry import Slot
from memory_grpc.services.admin_service import AdminService
from memory_grpc.services.audit_service import AuditService
from memory_grpc.services.embedding_service import EmbeddingService
from memory_grpc.services.erasure_service import ErasureService
from memory_grpc.services.index_service import IndexService
from memory_grpc.services.key_service import KeyService
from memory_grpc.services.memory_service import MemoryService
from memory_grpc.services.policy_service import PolicyService
from memory_grpc.services.transfer_service import TransferService
from memory_grpc.settings import Settings
from memory_layer.v1.admin_service_pb2_grpc import add_AdminServiceServicer_to_server
from memory_layer.v1.audit_service_pb2_grpc import add_AuditServiceServicer_to_server
from memory_layer.v1.embedding_service_pb2_grpc import add_EmbeddingServiceServicer_to_server
from memory_layer.v1.erasure_service_pb2_grpc import add_ErasureServiceServicer_to_server
from memory_layer.v1.index_service_pb2_grpc import add_IndexServiceServicer_to_server
from memory_layer.v1.key_service_pb2_grpc import add_KeyServiceServicer_to_server
from memory_layer.v1.memory_service_pb2_grpc import add_MemoryServiceServicer_to_server
from memory_layer.v1.policy_service_pb2_grpc import add_PolicyServiceServicer_to_server
from memory_layer.v1.transfer_service_pb2_grpc import add_TransferServiceServicer_to_server


def add_services(server: grpc.aio.Server, slot: Slot, settings: Settings, uptime_seconds: Callable[[], float]) -> None:
    """Registers every service of the contract."""
    add_MemoryServiceServicer_to_server(MemoryService(slot), server)
    add_AdminServiceServicer_to_server(AdminService(slot, settings, uptime_seconds), server)
    add_PolicyServiceServicer_to_server(PolicyService(slot), server)
    add_KeyServiceServicer_to_server(KeyService(slot), server)
    add_EmbeddingServiceServicer_to_server(EmbeddingService(slot), server)
    add_IndexServiceServicer_to_server(IndexService(slot), server)
    add_AuditServiceServicer_to_server(AuditService(slot), server)
    add_TransferServiceServicer_to_server(TransferService(slot), server)
    add_ErasureServiceServicer_to_server(ErasureService(slot), server)
