"""What the two clients have in common: where they call, with which key, how patiently, and for which tenant."""

from __future__ import annotations

import math
import threading
import time
import uuid
from collections.abc import Mapping
from typing import Any

import grpc

from memory_grpc import __version__
from memory_grpc.client import channel
from memory_grpc.client.address import parse
from memory_grpc.client.convert import complete, filled
from memory_grpc.client.errors import MemoryServiceError, from_call
from memory_grpc.client.retry import Attempts, Retry
from memory_grpc.client.rpc import Rpc
from memory_grpc.client.seen import Seen

DEFAULT_ADDRESS = "http://127.0.0.1:8000"


class Base:
    """The arguments of a client, and what it makes of those of a call."""

    _user_agent = f"memory-grpc/{__version__}"

    def __init__(
        self,
        address: str = DEFAULT_ADDRESS,
        *,
        api_key: str | None = None,
        tenant_id: str | None = None,
        timeout: float = 30.0,
        retry: Retry | None = None,
        credentials: grpc.ChannelCredentials | None = None,
        server_name: str | None = None,
    ) -> None:
        """Connects when the first call is made.

        Args:
            address: ``host:port`` or a URL, including that of REST; ``https`` and ``grpcs`` use TLS.
            api_key: Sent with every call; a key, or a token (JWT) of the issuer that the service accepts.
            tenant_id: The tenant of every call that can name one and does not.
            timeout: Seconds for a call, including all its attempts, unless the call sets its own; ``math.inf`` for no
                limit.
            retry: How often and how soon a failed call is tried again.
            credentials: For TLS with your own CA or a client certificate: what ``grpc.ssl_channel_credentials(...)``
                returns. Without it, gRPC's bundled CA certificates are trusted.
            server_name: The name in the server's certificate, if it differs from the host of the address.

        Raises:
            ValueError: the address, the key or the timeout is invalid, or the key would be sent to another machine
                unencrypted although the address does not start with ``http://``.
        """
        if not timeout > 0:
            raise ValueError("timeout: give a number of seconds above 0")
        self._endpoint = parse(address, with_key=bool(api_key))
        if credentials is not None and not self._endpoint.tls:
            raise ValueError("credentials: they need TLS; start the address with https:// or grpcs://")
        self._metadata = channel.key_metadata(api_key)
        self._tenant_id = tenant_id
        self._timeout = timeout
        self._retry = retry or Retry()
        self._credentials = credentials
        self._seen = Seen()
        self._opening = threading.Lock()  # threads that call first share a channel
        self._options = channel.options(self._endpoint, self._user_agent, server_name)

    def _key_and_position(self) -> tuple[tuple[str, str], ...]:
        """The metadata of a call: the key, and what its answer has to have seen."""
        return (*self._metadata, *self._seen.metadata())

    def _noted(self, rpc: Rpc[Any], headers: Any, begun: int) -> None:
        """What a call says that ended well."""
        if rpc.is_write:
            self._seen.wrote(headers, begun)
        else:
            self._seen.note(headers)

    def _failure(self, error: Any, stream: object = None, begun: int = 0) -> MemoryServiceError:
        """The error of a call, which may have written before it failed: it says up to where, too."""
        self._seen.ended(stream, error.trailing_metadata(), well=False, begun=begun)
        return from_call(error)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._endpoint.target!r})"

    def _request(self, rpc: Rpc[Any], arguments: Mapping[str, Any]) -> Any:
        return self._completed(filled(rpc.request(), arguments))

    def _completed(self, request: Any) -> Any:
        return complete(request, self._tenant_id, _new_id)

    def _attempts(self, rpc: Rpc[Any], timeout: float | None) -> Attempts:
        seconds = self._timeout if timeout is None else timeout
        return self._bounded(rpc, None if seconds == math.inf else seconds)

    def _bounded(self, rpc: Rpc[Any], timeout: float | None) -> Attempts:
        """The attempts of a call that lasts until it is done, unless it is given a time: a stream."""
        return Attempts(self._retry, timeout, is_repeatable=rpc.is_repeatable, clock=time.monotonic)


def _new_id() -> str:
    return str(uuid.uuid4())
