"""envoy.yaml with this deployment's settings in it.

The file in the repository is the configuration; this module only replaces the values that follow from settings, each by
a function of its own. When a place it sets is gone from envoy.yaml, it fails instead of serving with a limit that does
not hold.
"""

from __future__ import annotations

import base64
from pathlib import Path

import yaml

from memory_grpc import tls
from memory_grpc.addresses import bracketed, is_loopback
from memory_grpc.errors import StartupError
from memory_grpc.local import envoy_stats, envoy_upstreams
from memory_grpc.local.envoy_tls import Secrets, downstream_socket
from memory_grpc.local.envoy_tree import Node, at, gone, load, named, replace
from memory_grpc.resources import DESCRIPTORS
from memory_grpc.settings import Settings

# Envoy waits this much longer than the server, whose own error says more.
_ROUTE_MARGIN_SECONDS = 1.0
_NO_ORIGINS = "local origins = {}"


def write(
    settings: Settings,
    output: Path,
    descriptors: Path | None = None,
    *,
    admin_socket: Path | None = None,
    servers: int = 1,
) -> list[Path]:
    """Writes the configuration, and beside it what Envoy reads again when certificates are renewed; returns the files.
    Raises StartupError."""
    secrets = Secrets(output)
    text = render(settings, descriptors, admin_socket=admin_socket, secrets=secrets, servers=servers)
    texts = {output: text} | {path: yaml.safe_dump(node, sort_keys=False) for path, node in secrets.files.items()}
    for path, text in texts.items():
        path.write_text(text, encoding="utf-8")
    return list(texts)


def render(
    settings: Settings,
    descriptors: Path | None = None,
    *,
    admin_socket: Path | None = None,
    secrets: Secrets | None = None,
    servers: int = 1,
) -> str:
    """The configuration as YAML text.

    ``descriptors`` is where Envoy will find the descriptor set; without it the set is written into the text, which then
    needs no other file. ``admin_socket`` is a unix socket for the admin interface; without it there is none,
    unless MEMORY_ENVOY_STATS_PORT needs one.
    ``secrets`` gets what has to be written beside the text (see ``write``); without it settings of TLS are refused.
    ``servers`` share the calls, on the gRPC port and those after it.
    Raises StartupError when envoy.yaml or the descriptor set is missing or lacks a place.
    """
    config = load()
    manager = _manager(config)
    _set_listener(config, settings)
    secrets = secrets or Secrets(None)
    _set_listener_tls(config, settings, secrets)
    _set_access_log(manager, settings)
    _set_hosts(manager, settings)
    _set_origins(manager, settings)
    _set_keys(manager, settings)
    _set_metrics(manager, settings)
    _set_body_limit(manager, settings)
    _set_timeouts(manager, settings)
    _set_descriptors(manager, descriptors)
    envoy_upstreams.set_addresses(config, settings, servers)
    envoy_upstreams.set_tls(config, settings, secrets)
    _set_admin(config, envoy_stats.add(config, settings, admin_socket))
    return yaml.dump(config, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)


class _Dumper(yaml.SafeDumper):
    """Writes text of several lines as it stands: easier to read."""

    def represent_text(self, data: str) -> yaml.ScalarNode:
        return self.represent_scalar("tag:yaml.org,2002:str", data, style="|" if "\n" in data else None)


_Dumper.add_representer(str, _Dumper.represent_text)


def _set_listener(config: Node, settings: Settings) -> None:
    listener = named(at(config, "static_resources", "listeners"), "memory_layer")
    address = at(listener, "address", "socket_address")
    replace(address, address=settings.http_host, port_value=settings.http_port)
    if settings.http_host == "::":
        address["ipv4_compat"] = True  # everywhere, as the server's own ports


def _set_listener_tls(config: Node, settings: Settings, secrets: Secrets) -> None:
    pair = tls.http_pair(settings)
    if pair is None:
        return
    shown = secrets.pair("tls", pair)
    listener = named(at(config, "static_resources", "listeners"), "memory_layer")
    for chain in at(listener, "filter_chains"):
        chain["transport_socket"] = downstream_socket(shown)


def _set_access_log(manager: Node, settings: Settings) -> None:
    at(manager, "access_log")
    if not settings.access_log:
        del manager["access_log"]


def _set_hosts(manager: Node, settings: Settings) -> None:
    """A browser that is led astray has no key; and what other machines reach has names that only MEMORY_ALLOWED_HOSTS
    knows."""
    hosts = at(manager, "route_config", "virtual_hosts")
    others = named(hosts, "other_hosts")
    wanted = [bracketed(host).lower() for host in settings.allowed_hosts]
    if (
        settings.api_keys
        or settings.believes_tokens
        or "*" in wanted
        or not (wanted or is_loopback(settings.http_host))
    ):
        hosts.remove(others)
        domains = ["*"]
    else:
        own = at(_virtual_host(manager), "domains")
        domains = list(dict.fromkeys([*own, bracketed(settings.http_host).lower(), *wanted]))
    replace(_virtual_host(manager), domains=domains)


def _set_origins(manager: Node, settings: Settings) -> None:
    policy = at(_virtual_host(manager), "typed_per_filter_config", "envoy.filters.http.cors")
    # Envoy takes an exact `*` for any origin.
    replace(policy, allow_origin_string_match=[{"exact": origin} for origin in settings.allowed_origins])
    if settings.allowed_origins:
        anybody = {"header": {"key": "access-control-allow-origin", "value": "*"}}
        for mapper in at(manager, "local_reply_config", "mappers"):
            mapper["headers_to_add"] = [*mapper.get("headers_to_add", []), anybody]
    script = at(_filter(manager, "envoy.filters.http.lua"), "default_source_code")
    if _NO_ORIGINS not in at(script, "inline_string"):
        raise gone(f"line «{_NO_ORIGINS}»")
    table = ", ".join(f"[{_lua(origin)}] = true" for origin in settings.allowed_origins)
    replace(script, inline_string=script["inline_string"].replace(_NO_ORIGINS, f"local origins = {{{table}}}"))


def _set_keys(manager: Node, settings: Settings) -> None:
    """Keys that were made are the database's: of those Envoy knows nothing."""
    match = at(named(at(_virtual_host(manager), "routes"), "no_key"), "match")
    is_needed = settings.api_keys or settings.believes_tokens
    replace(at(match, "runtime_fraction", "default_value"), numerator=100 if is_needed else 0)


def shows_metrics(settings: Settings) -> bool:
    """Whether Envoy shows /metrics, which needs no key, to whoever reaches it."""
    only_here = settings.metrics_public == "loopback" and is_loopback(settings.http_host)
    return settings.metrics_public == "always" or only_here


def _set_metrics(manager: Node, settings: Settings) -> None:
    metrics = named(at(_virtual_host(manager), "routes"), "metrics")
    at(metrics, "route")
    if not shows_metrics(settings):
        del metrics["route"]
        metrics |= {"match": {"path": "/metrics"}, "direct_response": {"status": 404}}


def _lua(text: str) -> str:
    """A string of Lua; what is no letter and no digit as its number, so that nothing ends it."""
    return '"' + "".join(chr(b) if chr(b).isalnum() and b < 128 else f"\\{b:03d}" for b in text.encode()) + '"'


def _set_body_limit(manager: Node, settings: Settings) -> None:
    replace(_filter(manager, "envoy.filters.http.buffer"), max_request_bytes=settings.max_request_bytes)


def _set_timeouts(manager: Node, settings: Settings) -> None:
    routes = at(_virtual_host(manager), "routes")
    patience = f"{settings.request_timeout_seconds + _ROUTE_MARGIN_SECONDS:.3f}s"
    for name in ("rpc", "rest"):  # what is like `rest` has the same route
        replace(at(named(routes, name), "route"), timeout=patience)
    for addition in at(named(routes, "rpc"), "request_headers_to_add"):
        header = at(addition, "header")
        if header.get("key") == "grpc-timeout":
            replace(header, value=f"{max(1, round(settings.request_timeout_seconds * 1000))}m")
            return
    raise gone("a grpc-timeout in the route rpc")


def _set_descriptors(manager: Node, descriptors: Path | None) -> None:
    transcoder = _filter(manager, "envoy.filters.http.grpc_json_transcoder")
    if descriptors is not None:
        replace(transcoder, proto_descriptor=str(descriptors))
        return
    try:
        content = DESCRIPTORS.read_bytes()
    except OSError as error:
        raise StartupError(f"The descriptor set {DESCRIPTORS} cannot be read: {error.strerror}.") from None
    at(transcoder, "proto_descriptor")
    del transcoder["proto_descriptor"]
    transcoder["proto_descriptor_bin"] = base64.b64encode(content).decode()


def _set_admin(config: Node, admin_socket: Path | None) -> None:
    if "admin" in config:
        raise StartupError("envoy.yaml must not have an admin section: it would be open to others.")
    if admin_socket is not None:
        config["admin"] = {"address": {"pipe": {"path": str(admin_socket), "mode": 0o600}}}


def _manager(config: Node) -> Node:
    listener = named(at(config, "static_resources", "listeners"), "memory_layer")
    chains = at(listener, "filter_chains")
    if not chains:
        raise gone("a filter chain")
    filters = at(chains[0], "filters")
    if any(at(chain, "filters") is not filters for chain in chains):  # settings would reach the first chain alone
        raise gone("one list of filters for all chains")
    manager: Node = at(named(filters, "envoy.filters.network.http_connection_manager"), "typed_config")
    return manager


def _virtual_host(manager: Node) -> Node:
    return named(at(manager, "route_config", "virtual_hosts"), "memory_layer")


def _filter(manager: Node, name: str) -> Node:
    config: Node = at(named(at(manager, "http_filters"), name), "typed_config")
    return config
