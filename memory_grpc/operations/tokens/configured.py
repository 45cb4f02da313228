"""What the MEMORY_JWT_* settings ask for."""

from __future__ import annotations

import time
from dataclasses import dataclass

from memory_grpc.errors import StartupError
from memory_grpc.operations.tokens.claims import ClaimNames
from memory_grpc.operations.tokens.published_keys import PublishedKeys
from memory_grpc.operations.tokens.sources import FileSource, IssuerSource, Source, SourceError, UrlSource, is_safe
from memory_grpc.operations.tokens.verify import Expected, Tokens
from memory_grpc.settings import Settings


@dataclass(frozen=True, slots=True)
class Identity:
    """Tokens are believed: who checks them, and with which keys."""

    tokens: Tokens
    keys: PublishedKeys


def identity(settings: Settings) -> Identity | None:
    """None where the settings name no issuer and no key set. Raises StartupError for what could never work."""
    source = _source(settings)
    if source is None:
        return None
    if not settings.jwt_audience:
        raise StartupError(
            "Set MEMORY_JWT_AUDIENCE: without it the issuer's tokens for other services would be accepted too."
        )
    keys = PublishedKeys(source, settings.jwt_algorithms, time.monotonic)
    names = ClaimNames(settings.jwt_role_claim, settings.jwt_tenants_claim)
    expected = Expected(settings.jwt_issuer, settings.jwt_audience, names)
    return Identity(Tokens(keys, expected, time.time, time.monotonic), keys)


def _source(settings: Settings) -> Source | None:
    if settings.jwt_jwks_file is not None and settings.jwt_jwks_url:
        raise StartupError("Set MEMORY_JWT_JWKS_FILE or MEMORY_JWT_JWKS_URL, not both.")
    for name, url in (("MEMORY_JWT_JWKS_URL", settings.jwt_jwks_url), ("MEMORY_JWT_ISSUER", settings.jwt_issuer)):
        is_read = bool(url) and (name == "MEMORY_JWT_JWKS_URL" or not (settings.jwt_jwks_url or settings.jwt_jwks_file))
        if is_read and not is_safe(url):
            raise StartupError(f"{name} must be an https URL, or an http URL on this machine.")
    if settings.jwt_jwks_file is not None:
        source = FileSource(settings.jwt_jwks_file)
        try:
            source.read()
        except SourceError as error:
            raise StartupError(f"MEMORY_JWT_JWKS_FILE: {settings.jwt_jwks_file}: {error}.") from None
        return source
    if settings.jwt_jwks_url:
        return UrlSource(settings.jwt_jwks_url)
    return IssuerSource(settings.jwt_issuer) if settings.jwt_issuer else None
