"""How commands call the service: the Python client with the settings' key and certificates, errors as sentences."""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import grpc

from memory_grpc.client import MemoryClient, MemoryServiceError, Retry
from memory_grpc.client.address import Endpoint, parse
from memory_grpc.client.channel import key_metadata, open_channel, open_channel_aio, options
from memory_grpc.client.errors import Violation, from_call
from memory_grpc.client.retry import Attempts
from memory_grpc.client.rpc import Rpc
from memory_grpc.commands.configuration import CLIENT_API_KEY, Target
from memory_grpc.commands.failure import FAILED, USAGE, CommandError, complain
from memory_grpc.errors import FieldViolation, InvalidInput
from memory_grpc.tls import channel_credentials
from memory_grpc.validation import validate

_USER_AGENT = "memory-grpc-cli"
# Somebody waits for the answer: what is over in a moment is waited out, and no more.
_QUICK = Retry(attempts=3, first_pause_seconds=0.2)
# How long it lasts is what patience says.
_PATIENT = Retry(attempts=1_000_000, first_pause_seconds=0.25, longest_pause_seconds=1.0)

RATE_LIMITS = frozenset({"RATE_LIMITED", "TENANT_RATE_LIMITED", "KEY_RATE_LIMITED"})
"""Reasons of who calls too often, and has only to wait as long as the server says."""
FINAL = frozenset({"REQUEST_TOO_LARGE", "QUOTA_EXCEEDED"})
"""Reasons of RESOURCE_EXHAUSTED that the same call would get for ever."""


def metadata(target: Target) -> tuple[tuple[str, str], ...]:
    """The call's metadata: the key, where there is one."""
    return key_metadata(target.api_key)


@contextmanager
def connected(target: Target) -> Iterator[grpc.Channel]:
    """A channel; what calls inside the block raise leaves it as a CommandError."""
    endpoint = _endpoint(target.address, with_key=bool(target.api_key))
    with open_channel(endpoint, options(endpoint, _USER_AGENT, _server_name(target)), _credentials(target)) as channel:
        try:
            yield channel
        except grpc.RpcError as error:
            raise failure(from_call(error), target.address) from None


def connected_aio(target: Target) -> grpc.aio.Channel:
    """The same for asyncio; the caller translates errors with ``failure``."""
    endpoint = _endpoint(target.address, with_key=bool(target.api_key))
    return open_channel_aio(endpoint, options(endpoint, _USER_AGENT, _server_name(target)), _credentials(target))


class Client(MemoryClient):
    """Calls by name, with protobuf messages, which print as REST does: ``client.memory("SearchMemories", request)``."""

    _user_agent = _USER_AGENT
    _patience_seconds = 0.0
    _is_told = False

    def __init__(self, target: Target) -> None:
        super().__init__(**connection_arguments(target))

    def patient(self, seconds: float, *, is_told: bool = False) -> Client:
        """The same client, whose calls wait that long for a service that is down; ``is_told`` says so each time."""
        self._open()  # and closed by this one
        other = copy.copy(self)
        other._patience_seconds, other._is_told = seconds, is_told
        return other

    def memory(self, method: str, request: Any) -> Any:
        """A call of MemoryService."""
        return self._named("MemoryService", method, request)

    def admin(self, method: str, request: Any) -> Any:
        """A call of AdminService."""
        return self._named("AdminService", method, request)

    def policy(self, method: str, request: Any) -> Any:
        """A call of PolicyService."""
        return self._named("PolicyService", method, request)

    def key(self, method: str, request: Any) -> Any:
        """A call of KeyService."""
        return self._named("KeyService", method, request)

    def embedding(self, method: str, request: Any) -> Any:
        """A call of EmbeddingService."""
        return self._named("EmbeddingService", method, request)

    def audit(self, method: str, request: Any) -> Any:
        """A call of AuditService."""
        return self._named("AuditService", method, request)

    def transfer(self, method: str, request: Any) -> Any:
        """A call of TransferService."""
        return self._named("TransferService", method, request)

    def erasure(self, method: str, request: Any) -> Any:
        """A call of ErasureService."""
        return self._named("ErasureService", method, request)

    def _named(self, service: str, method: str, request: Any) -> Any:
        check(request)
        rpc = Rpc(f"/memory_layer.v1.{service}/{method}", object)
        attempts = Attempts(
            _PATIENT if self._patience_seconds else _QUICK,
            None if self._patience_seconds else self._timeout,
            each_seconds=self._timeout,
            patience_seconds=self._patience_seconds or math.inf,
            is_repeatable=rpc.is_repeatable,
            clock=time.monotonic,
        )
        return self._send(rpc, self._completed(request), attempts, _tell if self._is_told else None)


def connection_arguments(target: Target, *, with_others_keys: bool = False) -> dict[str, Any]:
    """The arguments of a client of the target, which may send keys of others than its own. Raises CommandError where
    the address cannot be one, or keys would go there in clear."""
    _endpoint(target.address, with_key=with_others_keys or bool(target.api_key))
    return {
        "address": target.address,
        "api_key": target.api_key,
        "timeout": target.timeout_seconds,
        "credentials": _credentials(target),
        "server_name": _server_name(target),
    }


def check(request: Any) -> None:
    """Raises CommandError (wrong usage) for a request outside the contract's limits, which the service would refuse."""
    try:
        validate(request)
    except InvalidInput as error:
        raise CommandError("\n".join(["Wrong usage:", *_shown(error.violations)]), USAGE) from None


@contextmanager
def client(target: Target) -> Iterator[Client]:
    """A client for the length of the block; what its calls raise leaves the block as a CommandError."""
    with Client(target) as connection:
        try:
            yield connection
        except MemoryServiceError as error:
            raise failure(error, target.address) from None


def failure(error: MemoryServiceError, address: str) -> CommandError:
    """A call's error as the sentence to print: ``CODE: message``, and the fields that are wrong."""
    if error.code == "UNAVAILABLE" and not error.is_from_service:
        if _endpoint(address).tls:
            return CommandError(
                f"No server answers by TLS at {address}: start one, or check MEMORY_TLS_CA_FILE, "
                "MEMORY_TLS_SERVER_NAME and the certificates."
            )
        return CommandError(f"No server answers at {address}: start one with `memory-grpc up`, or give --address.")
    if error.code == "DEADLINE_EXCEEDED" and not error.is_from_service:
        return CommandError(f"{address} did not answer in time: give it longer with --timeout.")
    lines = [f"{error.code}: {error.args[0]}", *_shown(error.violations)]
    if error.code == "UNAUTHENTICATED":
        lines.append(f"Set {CLIENT_API_KEY} to a key of the service, or give --api-key.")
    return CommandError("\n".join(lines), USAGE if error.code == "INVALID_ARGUMENT" else FAILED)


def _shown(violations: Iterable[FieldViolation | Violation]) -> list[str]:
    return [f"  {violation.field}: {violation.description}" for violation in violations]


def _tell(error: MemoryServiceError, pause_seconds: float) -> None:
    complain(f"{error.code}: trying again in {pause_seconds:.1f} s.")


def _credentials(target: Target) -> grpc.ChannelCredentials | None:
    """What the settings say of TLS; None for an address without it."""
    if target.settings is None or not _endpoint(target.address).tls:
        return None
    return channel_credentials(target.settings)


def _server_name(target: Target) -> str | None:
    return target.settings.tls_server_name or None if target.settings else None


def _endpoint(address: str, *, with_key: bool = False) -> Endpoint:
    try:
        return parse(address, with_key=with_key)
    except ValueError as error:
        raise CommandError(f"--{error}.", USAGE) from None
