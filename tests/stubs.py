"""Clients of every service over one channel."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import grpc

from memory_layer.v1.admin_service_pb2_grpc import AdminServiceStub
from memory_layer.v1.audit_service_pb2_grpc import AuditServiceStub
from memory_layer.v1.embedding_service_pb2_grpc import EmbeddingServiceStub
from memory_layer.v1.erasure_service_pb2_grpc import ErasureServiceStub
from memory_layer.v1.index_service_pb2_grpc import IndexServiceStub
from memory_layer.v1.key_service_pb2_grpc import KeyServiceStub
from memory_layer.v1.memory_service_pb2_grpc import MemoryServiceStub
from memory_layer.v1.policy_service_pb2_grpc import PolicyServiceStub
from memory_layer.v1.transfer_service_pb2_grpc import TransferServiceStub


@dataclass
class Stubs:
    """``server.memory.SearchMemories(request)``: each stub is made when it is first used."""

    channel: grpc.aio.Channel

    @cached_property
    def memory(self) -> Any:
        return MemoryServiceStub(self.channel)

    @cached_property
    def admin(self) -> Any:
        return AdminServiceStub(self.channel)

    @cached_property
    def policy(self) -> Any:
        return PolicyServiceStub(self.channel)

    @cached_property
    def key(self) -> Any:
        return KeyServiceStub(self.channel)

    @cached_property
    def embedding(self) -> Any:
        return EmbeddingServiceStub(self.channel)

    @cached_property
    def index(self) -> Any:
        return IndexServiceStub(self.channel)

    @cached_property
    def audit(self) -> Any:
        return AuditServiceStub(self.channel)

    @cached_property
    def transfer(self) -> Any:
        return TransferServiceStub(self.channel)

    @cached_property
    def erasure(self) -> Any:
        return ErasureServiceStub(self.channel)
