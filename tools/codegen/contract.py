"""The contract as plain data, read from a descriptor set and nothing else."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from functools import cached_property

from memory_grpc.rpc_facts import RpcFacts

OWN_PACKAGE = "memory_layer.v1"


@dataclass(frozen=True, slots=True)
class Limits:
    """The ``limits`` option of a field: see limits.proto. Zero and empty mean no limit, as they do there."""

    required: bool = False
    min_length: int = 0
    max_length: int = 0
    one_of: tuple[str, ...] = ()
    uuid: bool = False
    min: float | None = None
    max: float | None = None
    min_items: int = 0
    max_items: int = 0
    max_json_bytes: int = 0
    max_depth: int = 0
    example: str = ""
    path_segment: bool = False

    @property
    def declared(self) -> frozenset[str]:
        """The names of those that are set."""
        return frozenset(field.name for field in fields(self) if getattr(self, field.name) != field.default)


@dataclass(frozen=True, slots=True)
class Field:
    """One field. ``type`` is a scalar's proto name, ``message`` or ``enum``; ``optional`` means presence is tracked."""

    name: str
    type: str
    type_name: str
    repeated: bool
    optional: bool
    comment: str
    limits: Limits


@dataclass(frozen=True, slots=True)
class MessageType:
    """A message: its full name without the leading dot, and its fields in the order of the file."""

    full_name: str
    comment: str
    fields: tuple[Field, ...]

    @property
    def name(self) -> str:
        """The name within its package."""
        return self.full_name.rpartition(".")[2]


@dataclass(frozen=True, slots=True)
class Binding:
    """One REST path of an RPC. ``body`` is ``*``, the name of a field, or empty."""

    verb: str
    path: str
    body: str


@dataclass(frozen=True, slots=True)
class Rpc:
    """One RPC; the first of its bindings is the documented one."""

    service: str
    name: str
    comment: str
    request: str
    response: str
    bindings: tuple[Binding, ...]
    facts: RpcFacts
    client_streaming: bool = False
    server_streaming: bool = False

    @property
    def full_name(self) -> str:
        """``Service.Rpc``."""
        return f"{self.service}.{self.name}"


@dataclass(frozen=True, slots=True)
class Service:
    """One service and its RPCs."""

    name: str
    comment: str
    rpcs: tuple[Rpc, ...]


@dataclass(frozen=True, slots=True)
class EnumValue:
    """One value of an enum."""

    name: str
    number: int
    comment: str
    any_call: bool = False
    """Of a reason: any call can fail with it."""


@dataclass(frozen=True)
class Contract:
    """Everything of the project's package, and the comment that each of its files has over ``package``."""

    services: tuple[Service, ...]
    messages: dict[str, MessageType]
    enums: dict[str, tuple[EnumValue, ...]]
    file_comments: dict[str, str] = field(default_factory=dict)

    @cached_property
    def rpcs(self) -> dict[str, Rpc]:
        """RPCs by ``Service.Rpc``."""
        return {rpc.full_name: rpc for service in self.services for rpc in service.rpcs}
