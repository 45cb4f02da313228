"""The transport sockets that make Envoy speak TLS, and the files by which it learns of renewed certificates."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Any

from memory_grpc.errors import StartupError
from memory_grpc.tls import KeyPair

Node = dict[str, Any]

_TYPES = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3"
# Envoy offers no more than 1.2 to servers unless it is told to.
_VERSIONS = {"tls_minimum_protocol_version": "TLSv1_2", "tls_maximum_protocol_version": "TLSv1_3"}


class Secrets:
    """What Envoy reads again when it is renewed: certificates and CAs, each named by a file beside the configuration.

    Envoy looks when something is moved into the directory of the certificate: put new files in their place by `mv`,
    the certificate last, or swap a link as Kubernetes does. ``files`` are to be written before Envoy starts. The
    certificates are not read here: they may be where only Envoy sees them.
    """

    def __init__(self, config: Path | None) -> None:
        """``config`` is where the configuration will be; with None there are no files, and TLS is refused."""
        self._config = config
        self.files: dict[Path, Node] = {}

    def pair(self, name: str, pair: KeyPair) -> Node:
        """Where Envoy finds a certificate and its key."""
        content = {
            "certificate_chain": {"filename": str(pair.cert.absolute())},
            "private_key": {"filename": str(pair.key.absolute())},
        }
        return self._add(name, "tls_certificate", content, pair.cert, pair.names[0])

    def authorities(self, name: str, path: Path, variable: str) -> Node:
        """Where Envoy finds CAs, which ``variable`` names."""
        return self._add(name, "validation_context", {"trusted_ca": {"filename": str(path.absolute())}}, path, variable)

    def _add(self, name: str, kind: str, content: Node, watched: Path, variable: str) -> Node:
        if self._config is None:
            raise StartupError(f"{variable} needs a file beside the configuration: give --output.")
        content = content | {"watched_directory": {"path": str(watched.absolute().parent)}}
        secret = {"@type": f"{_TYPES}.Secret", "name": name, kind: content}
        file = self._config.absolute().with_name(f"{self._config.stem}-{name}.yaml")
        self.files[file] = {"resources": [secret]}  # Envoy takes no more than one from a file
        source = {"path_config_source": {"path": str(file)}, "resource_api_version": "V3"}
        return {"name": name, "sds_config": source}


def upstream_socket(name: str, authorities: Node, pair: Node | None) -> Node:
    """TLS to a gRPC server whose certificate one of ``authorities`` signed for ``name``; ``pair`` is shown to it. Both
    come from ``Secrets``."""
    # Without a name any certificate of that CA would do, another service's too.
    own_name = {"match_typed_subject_alt_names": [{"san_type": _kind(name), "matcher": {"exact": name}}]}
    context: Node = {
        "tls_params": _VERSIONS,
        "alpn_protocols": ["h2"],  # grpc servers hang up without it
        "combined_validation_context": {
            "default_validation_context": own_name,
            "validation_context_sds_secret_config": authorities,
        },
    }
    if pair is not None:
        context["tls_certificate_sds_secret_configs"] = [pair]
    typed: Node = {"@type": f"{_TYPES}.UpstreamTlsContext", "common_tls_context": context}
    if _kind(name) == "DNS":
        typed["sni"] = name
    return {"name": "envoy.transport_sockets.tls", "typed_config": typed}


def downstream_socket(pair: Node) -> Node:
    """TLS to clients, by a certificate from ``Secrets``."""
    context: Node = {
        "tls_params": _VERSIONS,
        "alpn_protocols": ["h2", "http/1.1"],
        "tls_certificate_sds_secret_configs": [pair],
    }
    typed: Node = {"@type": f"{_TYPES}.DownstreamTlsContext", "common_tls_context": context}
    return {"name": "envoy.transport_sockets.tls", "typed_config": typed}


def _kind(name: str) -> str:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return "DNS"
    return "IP_ADDRESS"
