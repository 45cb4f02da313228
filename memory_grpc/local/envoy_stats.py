"""Envoy's own statistics on a port of their own, where MEMORY_ENVOY_STATS_PORT names one.

Envoy shows them by its admin interface alone, which can also stop it and print its configuration. So that interface
stays on a unix socket that only Envoy's user can open, and a listener in front lets one path through.
"""

from __future__ import annotations

from pathlib import Path

from memory_grpc.addresses import parsed
from memory_grpc.errors import StartupError
from memory_grpc.local.envoy_tree import Node, at
from memory_grpc.settings import Settings

PATH = "/stats/prometheus"
# For an Envoy that nobody else wants to administer; in its container this is a file system of its own.
_ADMIN_SOCKET = Path("/tmp/memory-layer-envoy-admin.sock")  # noqa: S108 - nothing is read from it
_MANAGER = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
_ROUTER = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"


def add(config: Node, settings: Settings, admin_socket: Path | None) -> Path | None:
    """Adds the listener, if there is to be one; returns the socket that the admin interface must then have.
    Raises StartupError."""
    if settings.envoy_stats_port == 0:
        return admin_socket
    if parsed(settings.host) is None:
        raise StartupError("MEMORY_ENVOY_STATS_PORT needs an IP address in MEMORY_HOST: Envoy listens on no names.")
    socket = admin_socket or _ADMIN_SOCKET
    at(config, "static_resources", "listeners").append(_listener(settings))
    at(config, "static_resources", "clusters").append(_cluster(socket))
    return socket


def _listener(settings: Settings) -> Node:
    routes = [
        {
            "match": {"path": PATH, "headers": [{"name": ":method", "string_match": {"exact": "GET"}}]},
            "route": {"cluster": "envoy_admin", "timeout": "10s"},
        },
        {"match": {"prefix": "/"}, "direct_response": {"status": 404}},
    ]
    manager = {
        "@type": _MANAGER,
        "stat_prefix": "stats",
        "request_headers_timeout": "10s",
        "common_http_protocol_options": {"idle_timeout": "60s"},
        "route_config": {"virtual_hosts": [{"name": "stats", "domains": ["*"], "routes": routes}]},
        "http_filters": [{"name": "envoy.filters.http.router", "typed_config": {"@type": _ROUTER}}],
    }
    address: Node = {"address": settings.host, "port_value": settings.envoy_stats_port}
    if settings.host == "::":
        address["ipv4_compat"] = True
    return {
        "name": "stats",
        "address": {"socket_address": address},
        "enable_reuse_port": False,
        "ignore_global_conn_limit": True,  # while clients have taken every connection, this is what shows it
        "filter_chains": [
            {"filters": [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]}
        ],
    }


def _cluster(socket: Path) -> Node:
    endpoint = {"endpoint": {"address": {"pipe": {"path": str(socket)}}}}
    return {
        "name": "envoy_admin",
        "connect_timeout": "1s",
        "load_assignment": {"cluster_name": "envoy_admin", "endpoints": [{"lb_endpoints": [endpoint]}]},
    }
