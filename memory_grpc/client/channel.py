"""What a channel is made with, for threads and for asyncio alike."""

from __future__ import annotations

from typing import Any

import grpc

from memory_grpc.client.address import Endpoint

Options = list[tuple[str, Any]]
_JWT = ("eyJ", "eyA", "ewo", "ew0", "ewk")  # how an object of JSON begins in base64, also with space after the brace
_OPTIONS: Options = [
    # The service bounds its answers itself (MEMORY_MAX_ANSWER_BYTES).
    ("grpc.max_receive_message_length", -1),
    # A server that restarts is found again within seconds, not minutes.
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.max_reconnect_backoff_ms", 2000),
    # A peer that is gone without a word is noticed: a stream may have no deadline. More often than every five minutes
    # servers may take for abuse.
    ("grpc.keepalive_time_ms", 300_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    # One place decides what is tried again: retry.py.
    ("grpc.enable_retries", 0),
]


def options(endpoint: Endpoint, user_agent: str, server_name: str | None = None) -> Options:
    """The options of a channel to ``endpoint``; ``server_name`` is what its certificate says instead of the host."""
    chosen = [*_OPTIONS, ("grpc.primary_user_agent", user_agent)]
    if server_name:
        chosen.append(("grpc.ssl_target_name_override", server_name))
    if endpoint.is_local:
        # grpc would ask http_proxy for this machine too, which no proxy reaches.
        chosen.append(("grpc.enable_http_proxy", 0))
    return chosen


def open_channel(endpoint: Endpoint, options: Options, credentials: grpc.ChannelCredentials | None) -> grpc.Channel:
    """A channel for threads. ``credentials`` are for TLS; gRPC's bundled CA certificates are trusted without them."""
    if endpoint.tls:
        return grpc.secure_channel(endpoint.target, credentials or grpc.ssl_channel_credentials(), options=options)
    return grpc.insecure_channel(endpoint.target, options=options)


def open_channel_aio(
    endpoint: Endpoint, options: Options, credentials: grpc.ChannelCredentials | None
) -> grpc.aio.Channel:
    """The same for the running event loop."""
    if endpoint.tls:
        return grpc.aio.secure_channel(endpoint.target, credentials or grpc.ssl_channel_credentials(), options=options)
    return grpc.aio.insecure_channel(endpoint.target, options=options)


def key_metadata(api_key: str | None) -> tuple[tuple[str, str], ...]:
    """The metadata of a call: the key, where there is one; a token (JWT) in its place goes where tokens go.

    Raises:
        ValueError: no header can carry it. The key is not in the message.
    """
    if api_key is None:
        return ()
    if not api_key or not (api_key.isascii() and api_key.isprintable()):
        raise ValueError("api_key: it is empty, or contains characters that a header cannot carry")
    if api_key.startswith(_JWT) and api_key.count(".") == 2:
        return (("authorization", f"Bearer {api_key}"),)
    return (("x-api-key", api_key),)
