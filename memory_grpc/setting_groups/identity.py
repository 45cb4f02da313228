"""Whose tokens are believed, beside API keys."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field
from pydantic_settings import NoDecode

from memory_grpc.setting_types import COMMAS, File, Names

Algorithm = Literal["RS256", "ES256", "EdDSA"]


class Identity(BaseModel):
    """Tokens."""

    jwt_issuer: str = Field(
        "",
        description="Issuer whose tokens (authorization: Bearer …) are accepted besides keys, as in "
        "their `iss`. Its keys are found by OpenID discovery, unless one of the next two is "
        "set.",
    )
    jwt_jwks_file: File = Field(
        None, description="Its keys: a file with a JSON Web Key Set, read again when it changes."
    )
    jwt_jwks_url: str = Field("", description="Its keys: the https URL of the key set.")
    jwt_audience: Names = Field([], description="Comma-separated audiences; a token must be meant for one of them.")
    jwt_algorithms: Annotated[list[Algorithm], NoDecode, COMMAS] = Field(
        ["RS256", "ES256", "EdDSA"], min_length=1, description="Comma-separated signature algorithms that are accepted."
    )
    jwt_role_claim: str = Field(
        "memory_role", min_length=1, description="Claim that holds the role: reader, writer or admin."
    )
    jwt_tenants_claim: str = Field(
        "memory_tenants",
        min_length=1,
        description="Claim that holds the tenants: a list of names, or the text * for all.",
    )

    @property
    def believes_tokens(self) -> bool:
        """Whether tokens are believed; then every call needs a key or a token."""
        return bool(self.jwt_issuer or self.jwt_jwks_file or self.jwt_jwks_url)
