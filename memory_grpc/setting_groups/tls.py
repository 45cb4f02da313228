"""Certificates and keys of the gRPC port, of those who connect to it, and of Envoy's port."""

from __future__ import annotations

from pydantic import BaseModel, Field

from memory_grpc.setting_types import File, Text


class Tls(BaseModel):
    """TLS."""

    tls_cert_file: File = Field(
        None, description="Certificate of the gRPC port with its chain, in PEM. Unset: the port speaks plaintext."
    )
    tls_key_file: File = Field(None, description="Its private key, in PEM, without a password.")
    tls_client_ca_file: File = Field(
        None,
        description="CAs in PEM; one of them must have signed each client's certificate (mTLS). Unset: "
        "clients need no certificate.",
    )
    tls_ca_file: File = Field(
        None,
        description="CAs in PEM with which Envoy and the commands verify the server. If set, they "
        "connect to it over TLS.",
    )
    tls_client_cert_file: File = Field(
        None, description="Certificate that Envoy and the commands present to the server, in PEM."
    )
    tls_client_key_file: File = Field(None, description="Its private key, in PEM, without a password.")
    http_tls_cert_file: File = Field(
        None, description="Certificate of Envoy's port with its chain, in PEM. Unset: the port speaks plaintext."
    )
    http_tls_key_file: File = Field(None, description="Its private key, in PEM, without a password.")
    tls_server_name: Text = Field(
        "", description="Name that the server's certificate must have. Unset: the host that is connected to."
    )
