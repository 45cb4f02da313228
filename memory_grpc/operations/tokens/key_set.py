"""A JSON Web Key Set (RFC 7517): the public keys that tokens are checked with."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

MOST_BYTES = 256 * 1024
_MOST_KEYS = 100
_LEAST_RSA_BITS = 2048


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A public key, and the one algorithm that signatures by it are made with."""

    algorithm: str
    key: Any


KeySet = Mapping[str, SigningKey]
"""By key id."""


def parse(document: Any, algorithms: Collection[str]) -> KeySet:
    """The keys of a set that sign by one of these algorithms.

    What is none of them is left out: sets hold keys for other uses too, and private or symmetric ones have no
    place there. Raises ValueError when there is none.
    """
    found: dict[str, SigningKey] = {}
    listed = document.get("keys") if isinstance(document, dict) else None
    for entry in listed[:_MOST_KEYS] if isinstance(listed, list) else []:
        key = _signing_key(entry)
        if key is not None and key.algorithm in algorithms:
            found[entry["kid"]] = key
    if not found:
        raise ValueError("no key that has an id and an allowed algorithm")
    return MappingProxyType(found)


def _signing_key(entry: Any) -> SigningKey | None:
    if not isinstance(entry, dict) or not isinstance(entry.get("kid"), str) or entry.get("use", "sig") != "sig":
        return None
    if entry.get("kty") not in ("RSA", "EC", "OKP"):
        return None
    try:
        key = jwt.PyJWK.from_dict({name: entry[name] for name in entry if name != "alg"}).key
    except (jwt.PyJWTError, ValueError, TypeError, KeyError):
        return None
    algorithm = _algorithm(key)
    # A key that is meant for another algorithm (PS256, RS512) is not used for ours.
    return SigningKey(algorithm, key) if algorithm and entry.get("alg", algorithm) == algorithm else None


def _algorithm(key: Any) -> str:
    """What a public key signs by; nothing for a private one, and for one that is too weak or of another kind."""
    if isinstance(key, RSAPublicKey):
        return "RS256" if key.key_size >= _LEAST_RSA_BITS else ""
    if isinstance(key, EllipticCurvePublicKey):
        return "ES256" if isinstance(key.curve, SECP256R1) else ""
    return "EdDSA" if isinstance(key, Ed25519PublicKey) else ""
