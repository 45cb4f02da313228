"""What the claims of a valid token grant: the same as a made key can."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from memory_grpc.access import Grant, Role

EVERY_TENANT = "*"
"""As a text in the place of a list."""
_MOST_TENANTS = 100
_LONGEST_TENANT = 64
_LONGEST_SUBJECT = 256
_ROLES = {role.name.lower(): role for role in Role}


@dataclass(frozen=True, slots=True)
class ClaimNames:
    """Which claims hold the role and the tenants."""

    role: str
    tenants: str


class UnfitClaim(Exception):
    """A claim is missing or unfit; the text says which, and not what it holds."""


def grant_of(claims: Mapping[str, Any], names: ClaimNames) -> Grant:
    """The grant. Raises UnfitClaim."""
    subject = claims.get("sub")
    if not isinstance(subject, str) or not 1 <= len(subject) <= _LONGEST_SUBJECT or not subject.isprintable():
        raise UnfitClaim("subject")
    role = claims.get(names.role)
    if not isinstance(role, str) or role not in _ROLES:
        raise UnfitClaim("role")
    return Grant(_ROLES[role], _tenants(claims.get(names.tenants)), actor=f"jwt:{subject}")


def _tenants(claim: Any) -> frozenset[str] | None:
    if claim == EVERY_TENANT:
        return None
    if not isinstance(claim, list) or not 1 <= len(claim) <= _MOST_TENANTS or not all(map(_is_tenant, claim)):
        raise UnfitClaim("tenants")
    return frozenset(claim)


def _is_tenant(value: Any) -> bool:
    """Whether a request could name it. What none can name is a mistake, and halves of surrogates cannot be stored."""
    if not isinstance(value, str) or not 1 <= len(value) <= _LONGEST_TENANT or "\0" in value:
        return False
    return not any("\ud800" <= character <= "\udfff" for character in value)
