"""Certificates and keys of the gRPC port, of those who connect to it, and of Envoy's port."""

from __future__ import annotations

from pydantic import BaseModel, Field

from memory_grpc.setting_types import File


class Tls(BaseModel):
    """TLS."""

    tls_cert_file: File = Field(
        None, description="Certificate of the gRPC port with its chain, PEM. Unset: the port speaks plaintext."
    )
    tls_key_file: File = Field(None, description="Its private key, PEM, without a password.")
    tls_client_ca_file: File = Field(
        None,
        description="CAs, PEM, one of which must have signed every client's certificate (mTLS). Unset: none needed.",
    )
    tls_ca_file: File = Field(
        None,
        description="CAs, PEM, by which Envoy and the commands check the server; set, they speak TLS to it.",
    )
    tls_client_cert_file: File = Field(
        None, description="Certificate that Envoy and the commands show to the server, PEM."
    )
    tls_client_key_file: File = Field(None, description="Its private key, PEM, without a password.")
    http_tls_cert_file: File = Field(
        None, description="Certificate of Envoy's port with its chain, PEM. Unset: the port speaks plaintext."
    )
    http_tls_key_file: File = Field(None, description="Its private key, PEM, without a password.")
    tls_server_name: str = Field(
        "", description="Name that the server's certificate must bear. Unset: the host that is connected to."
    )
