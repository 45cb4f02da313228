"""The gRPC client of the commands: channels, the key, and errors as sentences."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import grpc
from google.protobuf.message import DecodeError
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from memory_grpc.addresses import is_loopback
from memory_grpc.commands.configuration import Target
from memory_grpc.commands.failure import CommandError
from memory_grpc.tls import channel_credentials
from memory_layer.v1.admin_service_pb2_grpc import AdminServiceStub
from memory_layer.v1.audit_service_pb2_grpc import AuditServiceStub
from memory_layer.v1.embedding_service_pb2_grpc import EmbeddingServiceStub
from memory_layer.v1.erasure_service_pb2_grpc import ErasureServiceStub
from memory_layer.v1.key_service_pb2_grpc import KeyServiceStub
from memory_layer.v1.memory_service_pb2_grpc import MemoryServiceStub
from memory_layer.v1.policy_service_pb2_grpc import PolicyServiceStub
from memory_layer.v1.transfer_service_pb2_grpc import TransferServiceStub

_OPTIONS: list[tuple[str, Any]] = [
    ("grpc.max_receive_message_length", -1),
    # A server that restarts is found again within seconds, not minutes.
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 2000),
    ("grpc.primary_user_agent", "memory-grpc-cli"),
]
_TLS = ("https://", "grpcs://")
_PLAIN = ("http://", "grpc://")

RATE_LIMITS = frozenset({"RATE_LIMITED", "TENANT_RATE_LIMITED", "KEY_RATE_LIMITED"})
"""Reasons of who calls too often, and has only to wait as long as the server says."""
FINAL = frozenset({"REQUEST_TOO_LARGE", "QUOTA_EXCEEDED"})
"""Reasons of RESOURCE_EXHAUSTED that the same call would get for ever."""


def metadata(target: Target) -> tuple[tuple[str, str], ...]:
    """The call's metadata: the key, where there is one."""
    return (("x-api-key", target.api_key),) if target.api_key else ()


@contextmanager
def connected(target: Target) -> Iterator[grpc.Channel]:
    """A channel; what calls inside the block raise leaves it as a CommandError."""
    host, tls = _endpoint(target.address)
    channel = (
        grpc.secure_channel(host, _credentials(target), options=_options(target))
        if tls
        else grpc.insecure_channel(host, options=_options(target))
    )
    with channel:
        try:
            yield channel
        except grpc.RpcError as error:
            raise failure(error, target.address) from None


def connected_aio(target: Target) -> grpc.aio.Channel:
    """The same for asyncio; the caller translates errors with ``failure``."""
    host, tls = _endpoint(target.address)
    if tls:
        return grpc.aio.secure_channel(host, _credentials(target), options=_options(target))
    return grpc.aio.insecure_channel(host, options=_options(target))


class Client:
    """Calls by name with the key and the deadline: ``client.memory("SearchMemories", request)``."""

    def __init__(self, channel: grpc.Channel, target: Target) -> None:
        self._memory = MemoryServiceStub(channel)
        self._admin = AdminServiceStub(channel)
        self._policy = PolicyServiceStub(channel)
        self._key = KeyServiceStub(channel)
        self._audit = AuditServiceStub(channel)
        self._embedding = EmbeddingServiceStub(channel)
        self._transfer = TransferServiceStub(channel)
        self._erasure = ErasureServiceStub(channel)
        self._target = target

    def memory(self, method: str, request: Any) -> Any:
        """A call of MemoryService."""
        return self._call(getattr(self._memory, method), request)

    def admin(self, method: str, request: Any) -> Any:
        """A call of AdminService."""
        return self._call(getattr(self._admin, method), request)

    def policy(self, method: str, request: Any) -> Any:
        """A call of PolicyService."""
        return self._call(getattr(self._policy, method), request)

    def key(self, method: str, request: Any) -> Any:
        """A call of KeyService."""
        return self._call(getattr(self._key, method), request)

    def embedding(self, method: str, request: Any) -> Any:
        """A call of EmbeddingService."""
        return self._call(getattr(self._embedding, method), request)

    def audit(self, method: str, request: Any) -> Any:
        """A call of AuditService."""
        return self._call(getattr(self._audit, method), request)

    def transfer(self, method: str, request: Any) -> Any:
        """A call of TransferService."""
        return self._call(getattr(self._transfer, method), request)

    def erasure(self, method: str, request: Any) -> Any:
        """A call of ErasureService."""
        return self._call(getattr(self._erasure, method), request)

    def _call(self, method: Any, request: Any) -> Any:
        return method(request, metadata=metadata(self._target), timeout=self._target.timeout_seconds)


@contextmanager
def client(target: Target) -> Iterator[Client]:
    """A client for the length of the block."""
    with connected(target) as channel:
        yield Client(channel, target)


def failure(error: Any, address: str) -> CommandError:
    """A call's error as the sentence to print: ``CODE: message``, and the fields that are wrong."""
    code = error.code()
    if code is grpc.StatusCode.UNAVAILABLE and not is_from_server(error):
        if _endpoint(address)[1]:
            return CommandError(
                f"No server answers by TLS at {address}: start one, or check MEMORY_TLS_CA_FILE, "
                "MEMORY_TLS_SERVER_NAME and the certificates."
            )
        return CommandError(f"No server answers at {address}: start one with `memory-grpc up`, or give --address.")
    if code is grpc.StatusCode.DEADLINE_EXCEEDED and not is_from_server(error):
        return CommandError(f"{address} did not answer in time: give it longer with --timeout.")
    lines = [f"{code.name}: {error.details()}"]
    lines += [f"  {v.field}: {v.description}" for v in violations(error)]
    return CommandError("\n".join(lines))


def violations(error: Any) -> list[error_details_pb2.BadRequest.FieldViolation]:
    """The fields that an INVALID_ARGUMENT names."""
    for detail in _details(error):
        bad = error_details_pb2.BadRequest()
        if detail.Unpack(bad):
            return list(bad.field_violations)
    return []


def reason(error: Any) -> str:
    """The ErrorInfo reason (``RATE_LIMITED``), or nothing where the error is not the service's."""
    for detail in _details(error):
        info = error_details_pb2.ErrorInfo()
        if detail.Unpack(info):
            return str(info.reason)
    return ""


def retry_after_seconds(error: Any) -> float | None:
    """How long the server asks to wait; None when it does not say."""
    for key, value in error.trailing_metadata() or ():
        if key == "retry-after" and str(value).isdigit():
            return float(value)
    return None


def is_from_server(error: Any) -> bool:
    """Whether the service itself answered, rather than grpc on its behalf."""
    return bool(_details(error))


def _details(error: Any) -> list[Any]:
    try:
        status = rpc_status.from_call(error)
    except (ValueError, DecodeError):  # details of another status than the call's, or broken: a proxy's doing
        return []
    return [] if status is None else list(status.details)


def _credentials(target: Target) -> grpc.ChannelCredentials:
    return grpc.ssl_channel_credentials() if target.settings is None else channel_credentials(target.settings)


def _options(target: Target) -> list[tuple[str, Any]]:
    options = list(_OPTIONS)
    if target.settings and target.settings.tls_server_name:
        options.append(("grpc.ssl_target_name_override", target.settings.tls_server_name))
    if is_loopback(_endpoint(target.address)[0].rpartition(":")[0]):
        # grpc would ask http_proxy for this machine too, which no proxy reaches.
        options.append(("grpc.enable_http_proxy", 0))
    return options


def _endpoint(address: str) -> tuple[str, bool]:
    """``https://host:443`` → (``host:443``, TLS); plain without a scheme."""
    for prefix in _TLS + _PLAIN:
        if address.startswith(prefix):
            return address.removeprefix(prefix).rstrip("/"), prefix in _TLS
    return address, False
