"""Where Envoy finds the servers, and how it knows them."""

from __future__ import annotations

from memory_grpc import tls
from memory_grpc.errors import StartupError
from memory_grpc.local.envoy_tls import Secrets, upstream_socket
from memory_grpc.local.envoy_tree import Node, at, named, replace
from memory_grpc.settings import Settings

# The clusters that lead to gRPC ports.
_GRPC = ("memory_grpc", "probes", "watches")


def set_addresses(config: Node, settings: Settings, servers: int) -> None:
    """Calls are shared among ``servers`` on the gRPC port and those after it; pages are the first one's."""
    clusters = at(config, "static_resources", "clusters")
    ports = {name: range(settings.grpc_port, settings.grpc_port + servers) for name in _GRPC}
    ports["http_side"] = range(settings.metrics_port, settings.metrics_port + 1)
    for name in ports:
        for locality in at(named(clusters, name), "load_assignment", "endpoints"):
            at(at(locality, "lb_endpoints")[0], "endpoint", "address", "socket_address")
            endpoints = [_endpoint(settings.upstream_host, port) for port in ports[name]]
            replace(locality, lb_endpoints=endpoints)


def _endpoint(host: str, port: int) -> Node:
    return {"endpoint": {"address": {"socket_address": {"address": host, "port_value": port}}}}


def set_tls(config: Node, settings: Settings, secrets: Secrets) -> None:
    """TLS to the servers where MEMORY_TLS_CA_FILE is set. Raises StartupError where it is missing."""
    pair = tls.client_pair(settings)
    if settings.tls_ca_file is None:
        if tls.server_pair(settings) is not None:
            raise StartupError(
                "MEMORY_TLS_CERT_FILE needs MEMORY_TLS_CA_FILE: Envoy must know by which CA to check the server."
            )
        return
    authorities = secrets.authorities("tls-ca", settings.tls_ca_file, "MEMORY_TLS_CA_FILE")
    shown = secrets.pair("tls-client", pair) if pair else None
    socket = upstream_socket(settings.tls_server_name or settings.upstream_host, authorities, shown)
    for cluster in _GRPC:
        named(at(config, "static_resources", "clusters"), cluster)["transport_socket"] = socket
