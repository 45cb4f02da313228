"""Whose tokens are believed, beside API keys."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, Field
from pydantic_settings import NoDecode

from memory_grpc.setting_types import COMMAS, NOT_EMPTY, File, SomeNames, Text

Algorithm = Literal["RS256", "ES256", "EdDSA"]


class Identity(BaseModel):
    """Tokens."""

    jwt_issuer: Text = Field(
        "",
        description="Issuer whose tokens (authorization: Bearer …) are accepted besides keys, as in "
        "their `iss`. Its keys are found by OpenID discovery, unless one of the next two is "
        "set.",
    )
    jwt_jwks_file: File = Field(
        None, description="Its keys: a file with a JSON Web Key Set, read again when it changes."
    )
    jwt_jwks_url: Text = Field("", description="Its keys: the https URL of the key set.")
    jwt_audience: SomeNames = Field([], description="Comma-separated audiences; a token must be meant for one of them.")
    jwt_algorithms: Annotated[list[Algorithm], NoDecode, COMMAS, NOT_EMPTY] = Field(
        ["RS256", "ES256", "EdDSA"], description="Comma-separated signature algorithms that are accepted."
    )
    jwt_role_claim: Text = Field("memory_role", description="Claim that holds the role: reader, writer or admin.")
    jwt_tenants_claim: Text = Field(
        "memory_tenants",
        description="Claim that holds the tenants: a list of names, or the text * for all.",
    )

    @property
    def believes_tokens(self) -> bool:
        """Whether tokens are believed; then every call needs a key or a token."""
        return bool(self.jwt_issuer or self.jwt_jwks_file or self.jwt_jwks_url)
