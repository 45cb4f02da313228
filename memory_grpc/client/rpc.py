"""An RPC as the client calls it: its path, its messages, and whether calling it again does harm."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Generic, TypeVar

from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.descriptor_pb2 import MethodOptions
from google.protobuf.message_factory import GetMessageClass

from memory_grpc.rpcs import FACTS, METHODS

T = TypeVar("T")


@dataclass(frozen=True)
class Rpc(Generic[T]):
    """An RPC that answers with ``answer``, one of the dataclasses; its path is ``/memory_layer.v1.Service/Method``."""

    path: str
    answer: type[T]

    @cached_property
    def method(self) -> MethodDescriptor:
        """What the contract says of it."""
        return METHODS[self.path]

    @cached_property
    def request(self) -> Any:
        """The protobuf class of its requests."""
        return GetMessageClass(self.method.input_type)

    @cached_property
    def response(self) -> Any:
        """The protobuf class of its answers."""
        return GetMessageClass(self.method.output_type)

    @cached_property
    def is_repeatable(self) -> bool:
        """Whether the same request may be sent again when nobody knows what became of the first.

        The contract says so by ``idempotency_level`` beside the RPC. The client gives the request ids.
        """
        return self.method.GetOptions().idempotency_level != MethodOptions.IDEMPOTENCY_UNKNOWN

    @property
    def is_write(self) -> bool:
        """Whether it has stored something, or found it stored, when it succeeds."""
        return FACTS[self.path].kind == "write"
