"""The transport sockets that make Envoy speak TLS."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Any

from memory_grpc.tls import KeyPair

Node = dict[str, Any]

_TYPES = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3"
_CERTIFICATE_NAME = "http"
# Envoy offers no more than 1.2 to servers unless it is told to.
_VERSIONS = {"tls_minimum_protocol_version": "TLSv1_2", "tls_maximum_protocol_version": "TLSv1_3"}


def upstream_socket(name: str, authorities: Path, pair: KeyPair | None) -> Node:
    """TLS to a gRPC server whose certificate one of ``authorities`` signed for ``name``; ``pair`` is shown to it."""
    context: Node = {
        "tls_params": _VERSIONS,
        "alpn_protocols": ["h2"],  # grpc servers hang up without it
        "validation_context": {
            "trusted_ca": {"filename": str(authorities.absolute())},
            # Without a name any certificate of that CA would do, another service's too.
            "match_typed_subject_alt_names": [{"san_type": _kind(name), "matcher": {"exact": name}}],
        },
    }
    if pair is not None:
        context["tls_certificates"] = [_certificate(pair)]
    typed: Node = {"@type": f"{_TYPES}.UpstreamTlsContext", "common_tls_context": context}
    if _kind(name) == "DNS":
        typed["sni"] = name
    return {"name": "envoy.transport_sockets.tls", "typed_config": typed}


def downstream_socket(secret_file: Path) -> Node:
    """TLS to clients, by the certificate that ``secret_file`` names (see ``secret``)."""
    source = {"path_config_source": {"path": str(secret_file)}, "resource_api_version": "V3"}
    context: Node = {
        "tls_params": _VERSIONS,
        "alpn_protocols": ["h2", "http/1.1"],
        "tls_certificate_sds_secret_configs": [{"name": _CERTIFICATE_NAME, "sds_config": source}],
    }
    typed: Node = {"@type": f"{_TYPES}.DownstreamTlsContext", "common_tls_context": context}
    return {"name": "envoy.transport_sockets.tls", "typed_config": typed}


def secret(pair: KeyPair) -> Node:
    """What stands in the file of its own that Envoy wants for a certificate that it is to read again when it changes.

    Envoy looks when something is moved into the directory of the certificate: put new files in their place by `mv`,
    the certificate last, or swap a link as Kubernetes does.
    """
    certificate = _certificate(pair) | {"watched_directory": {"path": str(pair.cert.absolute().parent)}}
    return {"resources": [{"@type": f"{_TYPES}.Secret", "name": _CERTIFICATE_NAME, "tls_certificate": certificate}]}


def _certificate(pair: KeyPair) -> Node:
    return {
        "certificate_chain": {"filename": str(pair.cert.absolute())},
        "private_key": {"filename": str(pair.key.absolute())},
    }


def _kind(name: str) -> str:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return "DNS"
    return "IP_ADDRESS"
