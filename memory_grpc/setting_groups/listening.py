"""Addresses and ports."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from memory_grpc.setting_types import EnvoyAddress, Host


class Listening(BaseModel):
    """Where it listens."""

    host: Host = Field(
        "127.0.0.1", description="Address or name that the gRPC server and the metrics endpoint bind to."
    )
    grpc_port: int = Field(50051, ge=0, le=65535, description="gRPC port.")
    metrics_port: int = Field(
        9464, ge=0, le=65535, description="HTTP port of /metrics, /console, /docs and /openapi.json."
    )
    http_host: EnvoyAddress = Field("127.0.0.1", description="IP address Envoy binds to.")
    http_port: int = Field(8000, ge=0, le=65535, description="Envoy's port: REST/JSON, and gRPC on the same port.")
    metrics_public: Literal["loopback", "always", "never"] = Field(
        "loopback",
        description="When Envoy serves /metrics, to everybody who reaches it: only on loopback "
        "addresses, always, or never.",
    )
    envoy_stats_port: int = Field(
        0,
        ge=0,
        le=65535,
        description="Port on MEMORY_HOST where Envoy serves its own statistics (/stats/prometheus); 0 for none.",
    )
    upstream_host: Host = Field("127.0.0.1", description="Where Envoy finds the gRPC server and the metrics endpoint.")
